//! A script as people write it: what is read, what is refused, and its schema.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use mock_upstream::{Fault, FaultRule, Latency, Millis, Model, Price, Provider, Route, Said, Script, Usage, UsageAt};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::usd;

fn script(json: Value) -> Result<Script, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

#[test]
fn a_script_reads_as_it_is_written() {
    let read = script(json!({
        "providers": {
            "primary": {
                "models": ["mock-1"],
                "faults": [
                    {"key": "sk-a", "first": 2, "fault": "hang"},
                    {"route": "messages", "sequence": [
                        "ok",
                        {"status": {"code": 500, "retry_after": 7}},
                        {"cut": {"after_chunks": 2}},
                        {"slow_drip": {"bytes": 10, "every": "5ms"}},
                    ]},
                ],
            },
            "secondary": {},
        },
        "models": {
            "mock-1": {
                "usage": {"input": 7000, "output": 3000, "cached": 4000},
                "price": {"input": "$2.50", "output": "$10.00"},
                "latency": {"first_byte": "50ms", "between_chunks": "2s"},
                "usage_at": "finish_chunk",
            },
        },
    }))
    .unwrap();
    assert_eq!(read.validate(), Ok(()));
    let faults = &read.providers["primary"].faults;
    assert_eq!(
        faults[0],
        FaultRule { key: Some("sk-a".into()), first: Some(2), fault: Some(Fault::Hang), ..FaultRule::default() }
    );
    assert_eq!(faults[1].route, Some(Route::Messages));
    assert_eq!(
        faults[1].sequence.as_ref().unwrap()[1],
        Fault::Status { code: 500, retry_after: Some(7), message: None }
    );
    assert_eq!(read.providers["secondary"], Provider::default());
    let model = &read.models["mock-1"];
    assert_eq!((model.chunks, model.usage_at), (4, UsageAt::FinishChunk));
    assert_eq!(model.latency.between_chunks, Millis(2000));
    assert_eq!(model.price.unwrap().output, usd("$10"));
}

#[test]
fn a_typo_is_refused_by_name() {
    for (json, says) in [
        (json!({"provider": {}}), "unknown field `provider`"),
        (json!({"providers": {"a": {"fault": []}}}), "unknown field `fault`"),
        (json!({"models": {"m": {"prices": {}}}}), "unknown field `prices`"),
        (json!({"models": {"m": {"usage": {"in": 1}}}}), "unknown field `in`"),
        (json!({"models": {"m": {"latency": {"first_byte": 50}}}}), "expected a string"),
        (json!({"models": {"m": {"usage_at": "end"}}}), "unknown variant `end`"),
        (json!({"providers": {"a": {"faults": [{"fault": "hangs"}]}}}), "unknown variant `hangs`"),
        (json!({"providers": {"a": {"faults": [{"fault": {"cut": {"after": 1}}}]}}}), "unknown field `after`"),
    ] {
        let error = script(json).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_usual_script_is_a_call_of_an_eighth_of_a_cent() {
    let script = Script::usual();
    assert_eq!(script.validate(), Ok(()));
    let model = &script.models["mock-1"];
    let price = model.price.unwrap();
    assert_eq!((price.input, price.output), (usd("$2.50"), usd("$10.00")));
    assert_eq!(model.usage.total(), 200);
}

#[test]
fn the_usual_reply_has_characters_of_every_length() {
    let lengths: std::collections::BTreeSet<usize> = Model::default().reply().chars().map(char::len_utf8).collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn the_schema_knows_every_field() {
    let schema = serde_json::to_value(schemars::schema_for!(Script)).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["$defs"]["Usd"]["pattern"], r"^\$[0-9]+(\.[0-9]+)?$");
    assert_eq!(schema["$defs"]["Millis"]["type"], "string");
    let written = serde_json::to_value(&Script::usual().models["mock-1"]).unwrap();
    for field in written.as_object().unwrap().keys() {
        assert!(schema["$defs"]["Model"]["properties"].get(field).is_some(), "{field}");
    }
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Ok),
        Just(Fault::Hang),
        Just(Fault::NoEndMarkerOpen),
        any::<u32>().prop_map(|after_chunks| Fault::Cut { after_chunks }),
        (400u16..600, option::of(any::<u64>()), option::of(".*"))
            .prop_map(|(code, retry_after, message)| Fault::Status { code, retry_after, message }),
        (1usize..99, any::<u32>()).prop_map(|(bytes, ms)| Fault::SlowDrip { bytes, every: Millis(ms.into()) }),
        prop::collection::vec(1usize..99, 1..4).prop_map(|sizes| Fault::Split { sizes }),
    ]
}

fn any_rule() -> impl Strategy<Value = FaultRule> {
    let once = (option::of(".*"), option::of(1u32..9), any_fault()).prop_map(|(key, first, fault)| FaultRule {
        key,
        first,
        fault: Some(fault),
        ..FaultRule::default()
    });
    let sequence = prop::collection::vec(any_fault(), 1..4).prop_map(|faults| FaultRule {
        route: Some(Route::Embeddings),
        sequence: Some(faults),
        ..FaultRule::default()
    });
    prop_oneof![once, sequence]
}

fn any_model() -> impl Strategy<Value = Model> {
    let cents = || (0i64..1_000_000).prop_map(|units| usd(&format!("${}.{:02}", units / 100, units % 100)));
    let price = option::of((cents(), cents(), option::of(cents())).prop_map(|(input, output, cached)| Price {
        input,
        output,
        cached,
        ..Price::default()
    }));
    (price, 0u64..10_000, 1u32..9, option::of(".*"), 0u64..9_999).prop_map(|(price, input, chunks, reply, ms)| Model {
        usage: Usage { input, cached: input / 2, ..Usage::default() },
        price,
        latency: Latency { first_byte: Millis(ms), ..Latency::default() },
        chunks,
        reply,
        answer: Said { reasoning: (ms % 3 == 0).then(|| "Hm.".to_owned()), ..Said::default() },
        usage_at: UsageAt::EveryChunk,
        max_output_tokens: (ms % 2 == 0).then_some(ms),
    })
}

proptest! {
    #[test]
    fn a_script_survives_writing_and_reading(
        models in prop::collection::vec(any_model(), 0..3),
        rules in prop::collection::vec(any_rule(), 0..4),
        listed in any::<bool>(),
    ) {
        let models: Vec<(String, Model)> =
            models.into_iter().enumerate().map(|(i, model)| (format!("mock-{i}"), model)).collect();
        let names = listed.then(|| models.iter().map(|(name, _)| name.clone()).collect());
        let script = Script {
            providers: [("primary".to_owned(), Provider { models: names, faults: rules })].into(),
            models: models.into_iter().collect(),
        };
        prop_assert_eq!(script.validate(), Ok(()));
        let json = serde_json::to_string(&script).unwrap();
        prop_assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
    }
}

//! What is served: texts, streams, thoughts, calls of tools, embeddings.

use mock_upstream::Script;
use serde_json::{Value, json};

use crate::{
    program::{Api, Program, Seen},
    support::{
        Bench,
        program::REPLY,
        served::{Served, edited, fault},
    },
};

/// Input, output and all tokens, as the SDK gives them.
pub(crate) fn tokens(answer: &Value) -> [&Value; 3] {
    ["inputTokens", "outputTokens", "totalTokens"].map(|name| &answer["usage"][name])
}

pub(crate) fn call(program: &Program) {
    let served = program.gateway("call", json!({}));
    let seen = program.run_as_agent(&served, "generate", json!({}));
    whole_answer(program, &seen[0]);
    assert_eq!(served.calls(), 1);
}

#[track_caller]
pub(crate) fn whole_answer(program: &Program, seen: &Seen) {
    let answer = seen.served(program.api.path());
    assert_eq!((seen.text.as_str(), &answer["finish"]), (REPLY, &json!("stop")), "{seen:?}");
    assert_eq!(tokens(answer), [100, 100, 200], "{answer}");
}

pub(crate) fn stream(program: &Program) {
    // Every boundary there can be: inside characters, inside `data:`, between the two line ends.
    let split = fault(&json!({ "split": { "sizes": [1, 2, 3] } }));
    let served = program.gateway_with("stream", json!({}), &split);
    let seen = program.run_as_agent(&served, "stream", json!({}));
    whole_answer(program, &seen[0]);
    assert_eq!(seen[0].requests[0].body["stream"], true);
    assert_eq!(served.calls(), 1);
}

pub(crate) fn reasoning_tokens(program: &Program) {
    let usage = json!({ "input": 100, "output": 100, "reasoning": 40 });
    let script = edited(|script| script["models"]["mock-1"]["usage"] = usage);
    let served = program.gateway_with("reasoning", json!({}), &script);
    for case in ["generate", "stream"] {
        let seen = program.run_as_agent(&served, case, json!({}));
        let answer = seen[0].served(program.api.path());
        assert_eq!(text_and_reasoning(answer), [60, 40], "{answer}");
        assert_eq!(tokens(answer), [100, 100, 200], "{answer}");
    }
    let charged: Vec<u64> = served.ledger().inference().map(|entry| entry.tokens.reasoning).collect();
    assert_eq!(charged, [40, 40]);
}

/// How the tokens of output are told apart.
pub(crate) fn text_and_reasoning(answer: &Value) -> [&Value; 2] {
    ["textTokens", "reasoningTokens"].map(|name| &answer["usage"]["outputTokenDetails"][name])
}

/// The protocols that a provider may speak.
const PROTOCOLS: [&str; 3] = ["openai", "anthropic", "gemini"];

/// A gateway whose one provider speaks a protocol.
fn in_front_of(program: &Program, name: &str, protocol: &str, script: &Script) -> Served {
    let policy =
        json!({ "providers": [{ "name": "primary", "api": protocol }], "virtual_keys": [{ "name": "agent" }] });
    Bench::get().serve(&program.called(&format!("{name}-{protocol}")), &policy, script)
}

pub(crate) const THOUGHT: &str = "They ask for tea: 🍵.";

pub(crate) fn reasoning_text(program: &Program) {
    let script = edited(|script| script["models"]["mock-1"]["answer"] = json!({ "reasoning": THOUGHT }));
    for protocol in PROTOCOLS {
        let served = in_front_of(program, "thinks", protocol, &script);
        for case in ["generate", "stream"] {
            let seen = program.run_as_agent(&served, case, json!({}));
            let answer = seen[0].served("/v1/responses");
            assert_eq!((&answer["reasoning"], seen[0].text.as_str()), (&json!(THOUGHT), REPLY), "{protocol}: {answer}");
        }
        assert_eq!(served.calls(), 2);
    }
}

pub(crate) fn tool_call(program: &Program) {
    let served = program.gateway_with("tool", json!({}), &with_caller(&json!({})));
    let seen = program.run_as_agent(&served, "tool", json!({}));
    weather_was_told(&seen[0]);
    assert_eq!(tokens(seen[0].returned()), [200, 200, 400], "both calls count: {seen:?}");
    // What reached the provider, not only what was sent.
    let bodies: Vec<Value> = served.ledger().inference().map(|it| body(&it.body)).collect();
    assert_eq!(bodies.len(), 2);
    match program.api {
        Api::Chat => weather_went_back_to_chat(&bodies),
        Api::Responses => weather_went_back_to_responses(&bodies),
    }
}

/// The usual model, and one that calls a tool, with this in its answer besides.
fn with_caller(answer: &Value) -> Script {
    edited(|script| {
        script["models"]["caller"] = script["models"]["mock-1"].clone();
        script["models"]["caller"]["answer"] = answer.clone();
        script["models"]["caller"]["answer"]["tool_calls"] = weather();
    })
}

pub(crate) fn weather() -> Value {
    json!([{ "name": "weather", "arguments": { "city": "Wien" } }])
}

/// The model called the tool, and answered when it had what the tool returned.
#[track_caller]
pub(crate) fn weather_was_told(seen: &Seen) {
    let answer = seen.returned();
    assert_eq!(answer["inputs"], json!([{ "city": "Wien" }]), "the tool ran once, with what the model said");
    assert_eq!((&answer["steps"], seen.text.as_str()), (&json!(["tool-calls", "stop"]), REPLY), "{answer}");
}

#[track_caller]
fn weather_went_back_to_chat(bodies: &[Value]) {
    assert_eq!(bodies[0]["tools"][0]["function"]["name"], "weather", "{bodies:?}");
    let [_, call, result] = bodies[1]["messages"].as_array().unwrap().as_slice() else { panic!("{bodies:?}") };
    assert_eq!(call["tool_calls"][0]["function"]["name"], "weather", "{call}");
    assert_eq!(
        (&result["role"], body(result["content"].as_str().unwrap())),
        (&json!("tool"), json!({ "sky": "blue" }))
    );
    assert_eq!(result["tool_call_id"], call["tool_calls"][0]["id"]);
}

#[track_caller]
fn weather_went_back_to_responses(bodies: &[Value]) {
    assert_eq!(bodies[0]["tools"][0]["name"], "weather", "{bodies:?}");
    let [_, call, result] = bodies[1]["input"].as_array().unwrap().as_slice() else { panic!("{bodies:?}") };
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("weather")), "{call}");
    assert_eq!((&result["type"], &result["call_id"]), (&json!("function_call_output"), &call["call_id"]), "{result}");
    assert_eq!(body(result["output"].as_str().unwrap()), json!({ "sky": "blue" }));
}

/// What the model thought goes back with the call. The SDK leaves it to OpenAI to remember that by
/// its id, which nobody else can: they have to be sent it.
pub(crate) fn tool_call_elsewhere(program: &Program) {
    for protocol in PROTOCOLS {
        let served = in_front_of(program, "tool", protocol, &with_caller(&json!({ "reasoning": THOUGHT })));
        let seen = program.run_as_agent(&served, "tool", json!({ "store": false }));
        weather_was_told(&seen[0]);
        assert_eq!(seen[0].returned()["reasonings"], json!([THOUGHT, ""]), "{protocol}: {seen:?}");
        let told = served.ledger().inference().last().unwrap().body.clone();
        assert!(told.contains("weather") && told.contains("sky"), "{protocol}: {told}");
        let remembered = program.run_as_agent(&served, "tool", json!({}));
        if protocol == "openai" {
            weather_was_told(&remembered[0]);
        } else {
            let refused = remembered[0].refused(400);
            assert!(refused.message.contains("item_reference"), "{protocol}: {refused:?}");
        }
    }
}

pub(crate) fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn embeddings(program: &Program) {
    let served = program.gateway("embeddings", json!({}));
    let seen = program.run_as_agent(&served, "embed", json!({}));
    let answer = seen[0].served("/v1/embeddings");
    assert_eq!(answer, &json!({ "numbers": [true, true], "usage": { "tokens": 100 } }));
    assert_eq!(served.calls(), 1);
}

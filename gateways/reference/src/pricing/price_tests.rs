//! Tests of costs and bounds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn price(patch: &str) -> Price {
    Price { rates: Arc::new(Rates::from_json(patch).unwrap()) }
}

fn cost(patch: &str, usage: Usage) -> String {
    price(patch).cost(&usage, None).to_string()
}

#[test]
fn parts_cost_their_own_price_and_else_that_of_their_whole() {
    let patch = r#"{"input_cost_per_token": 0.01, "output_cost_per_token": 0.1, "cache_read_input_token_cost": 0.001}"#;
    let usage = Usage { input: 100, output: 10, cached: 40, cache_write: 10, reasoning: 5, ..Usage::default() };
    // 50 fresh and 10 written at 0.01, 40 cached at 0.001, 10 output at 0.1
    assert_eq!(cost(patch, usage), "1.64");
}

#[test]
fn a_cache_write_for_an_hour_has_its_own_price() {
    let patch = r#"{"input_cost_per_token": 3, "output_cost_per_token": 15,
        "cache_creation_input_token_cost": 4, "cache_creation_input_token_cost_above_1hr": 6}"#;
    let usage = Usage { input: 100, cache_write: 50, cache_write_hour: 20, ..Usage::default() };
    // 50 fresh at 3, 30 for five minutes at 4, 20 for an hour at 6
    assert_eq!(cost(patch, usage), "390");
}

#[test]
fn a_long_prompt_costs_its_own_price_for_the_whole_request() {
    let patch = r#"{"input_cost_per_token": 1, "output_cost_per_token": 10,
        "input_cost_per_token_above_200k_tokens": 2, "output_cost_per_token_above_200k_tokens": 15}"#;
    assert_eq!(cost(patch, Usage { input: 200_000, output: 1, ..Usage::default() }), "200010");
    assert_eq!(cost(patch, Usage { input: 200_001, output: 1, ..Usage::default() }), "400017");
    // The cached part is as long as any other.
    assert_eq!(cost(patch, Usage { input: 200_001, cached: 200_000, ..Usage::default() }), "400002");
}

#[test]
fn what_is_cached_and_an_image_too_is_charged_once() {
    let patch = r#"{"input_cost_per_token": 0.000001, "cache_read_input_token_cost": 0.0000001,
        "output_cost_per_token": 0.000002}"#;
    let usage = Usage { input: 100, cached: 90, input_image: 80, output: 10, ..Usage::default() };
    assert_eq!(cost(patch, usage), "0.000039");
    let dear = r#"{"input_cost_per_token": 1, "input_cost_per_image_token": 5, "cache_read_input_token_cost": 0}"#;
    // Ten are not cached; nobody says that they are not of the image.
    assert_eq!(cost(dear, Usage { output: 0, ..usage }), "50");
}

#[test]
fn audio_and_images_have_their_own_prices() {
    let patch = r#"{"input_cost_per_token": 1, "output_cost_per_token": 2, "input_cost_per_audio_token": 10,
        "output_cost_per_audio_token": 20, "output_cost_per_image_token": 30}"#;
    let usage = Usage {
        input: 10,
        input_audio: 4,
        output: 10,
        output_audio: 3,
        output_image: 1,
        reasoning: 2,
        ..Usage::default()
    };
    // 6 at 1 and 4 at 10; 3 at 20, 1 at 30, 2 and 4 at 2
    assert_eq!(cost(patch, usage), "148");
}

#[test]
fn a_discount_counts_only_if_the_answer_says_it_and_a_surcharge_anyway() {
    let price = price(
        r#"{"input_cost_per_token": 4, "output_cost_per_token": 0, "input_cost_per_token_flex": 2,
            "input_cost_per_token_priority": 8, "input_cost_per_token_batches": 1}"#,
    );
    let cost = |service, asked| price.cost(&Usage { input: 1, service, ..Usage::default() }, asked).to_string();
    assert_eq!(cost(Some(Service::Flex), Some(Service::Flex)), "2");
    assert_eq!(cost(Some(Service::Batch), None), "1");
    assert_eq!(cost(None, Some(Service::Flex)), "4");
    assert_eq!(cost(None, Some(Service::Priority)), "8");
    assert_eq!(cost(Some(Service::Standard), Some(Service::Priority)), "4");
    assert_eq!(cost(Some(Service::Priority), None), "8");
}

fn figure() -> impl Strategy<Value = String> {
    (0_u64..1_000_000).prop_map(|pico| Usd::from_pico(i64::try_from(pico).unwrap()).to_string())
}

/// Prices by some of the names that there are.
fn any_price() -> impl Strategy<Value = Price> {
    let items = prop::sample::select(vec![
        "input_cost_per_token",
        "output_cost_per_token",
        "cache_read_input_token_cost",
        "cache_creation_input_token_cost",
        "cache_creation_input_token_cost_above_1hr",
        "output_cost_per_reasoning_token",
        "input_cost_per_audio_token",
        "output_cost_per_audio_token",
        "input_cost_per_image_token",
        "output_cost_per_image_token",
    ]);
    let contexts = prop::sample::select(vec!["", "_above_128k_tokens", "_above_200k_tokens", "_above_272k_tokens"]);
    let services = prop::sample::select(vec!["", "_batches", "_flex", "_priority", "_fast"]);
    prop::collection::vec((items, contexts, services, figure()), 0..24).prop_map(|rates| {
        let fields: Vec<String> = rates.iter().map(|(a, b, c, price)| format!("\"{a}{b}{c}\":{price}")).collect();
        price(&format!("{{{}}}", fields.join(",")))
    })
}

fn any_service() -> impl Strategy<Value = Option<Service>> {
    prop::option::of(prop::sample::select(vec![
        Service::Standard,
        Service::Batch,
        Service::Flex,
        Service::Priority,
        Service::Fast,
    ]))
}

/// Usage of any sense or none: parts may exceed their wholes.
fn any_usage() -> impl Strategy<Value = Usage> {
    let counts = prop::array::uniform10(0_u64..300_000);
    counts.prop_map(|[input, output, cached, cache_write, cache_write_hour, reasoning, a, b, c, d]| Usage {
        input,
        output,
        cached,
        cache_write,
        cache_write_hour,
        reasoning,
        input_audio: a,
        input_image: b,
        output_audio: c,
        output_image: d,
        ..Usage::default()
    })
}

/// What each dialect can say: no audio, no images, cache writes for an hour only with care.
fn plain_usage() -> impl Strategy<Value = Usage> {
    (0_u64..300_000, 0_u64..300_000, 0_u64..300_000, 0_u64..300_000).prop_map(|(fresh, cached, answered, reasoning)| {
        Usage { input: fresh + cached, output: answered + reasoning, cached, reasoning, ..Usage::default() }
    })
}

fn chat(usage: &Usage, write: u64, hour: u64) -> Value {
    json!({ "usage": {
        "prompt_tokens": usage.input, "completion_tokens": usage.output,
        "prompt_tokens_details": { "cached_tokens": usage.cached, "cache_write_tokens": write,
            "cache_creation_token_details": { "ephemeral_1h_input_tokens": hour } },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
    }})
}

fn response(usage: &Usage) -> Value {
    json!({ "usage": {
        "input_tokens": usage.input, "output_tokens": usage.output,
        "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
    }})
}

fn message(usage: &Usage, write: u64, hour: u64) -> Value {
    json!({ "type": "message", "usage": {
        "input_tokens": usage.input - usage.cached - write, "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cached, "cache_creation_input_tokens": write,
        "cache_creation": { "ephemeral_5m_input_tokens": write - hour, "ephemeral_1h_input_tokens": hour },
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
    }})
}

fn gemini(usage: &Usage) -> Value {
    json!({ "usageMetadata": {
        "promptTokenCount": usage.input, "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning, "cachedContentTokenCount": usage.cached,
        "totalTokenCount": usage.input + usage.output,
    }})
}

proptest! {
    #[test]
    fn the_same_usage_costs_the_same_in_every_dialect(price in any_price(), usage in plain_usage()) {
        let expected = price.cost(&usage, None);
        for body in [chat(&usage, 0, 0), response(&usage), message(&usage, 0, 0), gemini(&usage)] {
            let read = Usage::of_body(&body).unwrap();
            prop_assert_eq!(price.cost(&read, None), expected, "{}", body);
        }
    }

    #[test]
    fn cache_writes_cost_the_same_wherever_they_are_told(
        price in any_price(), usage in plain_usage(), write in 0_u64..300_000, hour in 0_u64..300_000,
    ) {
        let hour = hour.min(write);
        let usage = Usage { input: usage.input + write, ..usage };
        let chat = Usage::of_body(&chat(&usage, write, hour)).unwrap();
        let message = Usage::of_body(&message(&usage, write, hour)).unwrap();
        prop_assert_eq!(price.cost(&chat, None), price.cost(&message, None));
    }

    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_bound(
        price in any_price(), usage in any_usage(), asked in any_service(), served in any_service(),
        (more_input, more_output) in (0_u64..10_000, 0_u64..10_000),
    ) {
        // A provider may serve dearer than it was asked to; nobody can know that before.
        let is_dear = matches!(served, Some(Service::Priority | Service::Fast));
        let is_expected = match asked {
            Some(Service::Fast) => true,
            None | Some(Service::Priority) => served != Some(Service::Fast),
            Some(_) => !is_dear,
        };
        prop_assume!(is_expected);
        let bound = price.bound(usage.input + more_input, usage.output + more_output, asked);
        let usage = Usage { service: served, ..usage };
        prop_assert!(price.cost(&usage, asked) <= bound);
    }
}

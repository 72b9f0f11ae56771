//! What an answer says of its tokens reaches every caller, whichever protocol its provider speaks.

use serde_json::{Value, json};

use crate::callers::{BASES, CALLERS, Caller, events, request};
use crate::support::World;

/// Where a caller reads how many tokens came from a cache, and how many were thoughts.
fn places(caller: Caller) -> [&'static str; 2] {
    match caller {
        Caller::Chat | Caller::Completions => {
            ["/usage/prompt_tokens_details/cached_tokens", "/usage/completion_tokens_details/reasoning_tokens"]
        }
        Caller::Responses => {
            ["/usage/input_tokens_details/cached_tokens", "/usage/output_tokens_details/reasoning_tokens"]
        }
        Caller::Messages => ["/usage/cache_read_input_tokens", "/usage/output_tokens_details/thinking_tokens"],
        Caller::Gemini => ["/usageMetadata/cachedContentTokenCount", "/usageMetadata/thoughtsTokenCount"],
    }
}

/// The last event of a stream that counts.
fn counted(caller: Caller, events: Vec<Value>) -> Value {
    let whole = |event: Value| if caller == Caller::Responses { event["response"].clone() } else { event };
    let counts = |event: &Value| event["usage"].is_object() || event["usageMetadata"].is_object();
    events.into_iter().map(whole).rfind(counts).unwrap_or_default()
}

#[tokio::test]
async fn cached_tokens_and_thoughts_are_told_to_every_caller_plain_and_streamed() {
    for base in BASES {
        let world = World::start(|config| {
            for provider in ["primary", "second", "third"] {
                config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
            }
        })
        .await;
        world.model(&json!({"usage": {"input": 7000, "output": 3000, "cached": 4000, "reasoning": 500}}));
        for caller in CALLERS {
            let told = |whole: &Value| places(caller).map(|place| whole.pointer(place).and_then(Value::as_u64));
            let plain = world.send(request(&world, caller, false)).await;
            assert_eq!(told(&plain.json()), [Some(4000), Some(500)], "{caller:?} on {base}: {}", plain.text);
            let mut body = caller.body(true);
            if matches!(caller, Caller::Chat | Caller::Completions) {
                body["stream_options"] = json!({"include_usage": true});
            }
            let (stream, _) = world.stream(caller.path(true), &body).await;
            let last = counted(caller, events(&stream));
            assert_eq!(told(&last), [Some(4000), Some(500)], "{caller:?} on {base}: {}", stream.text);
        }
    }
}

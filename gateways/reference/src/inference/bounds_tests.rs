#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use serde_json::json;

fn parse(route: Route, body: &str) -> Result<Bounds, Problem> {
    read(route, &serde_json::from_str(body).unwrap(), &[])
}

fn bounds(body: &Value) -> Bounds {
    parse(Route::ChatCompletions, &body.to_string()).unwrap()
}

fn input(body: &Value) -> u64 {
    bounds(body).input.bytes
}

#[test]
fn the_texts_of_messages_count_without_their_wrappers() {
    let texts = json!({"messages": [
        {"role": "system", "content": "12345"},
        {"role": "user", "content": [{"type": "text", "text": "67ö"}]},
        {"role": "assistant", "content": null},
    ]});
    assert_eq!(input(&texts), 9);
    let hundred = "x".repeat(100);
    assert_eq!(input(&json!({"messages": [{"role": "user", "content": hundred}]})), 100);
    assert_eq!(input(&json!({"system": [{"type": "text", "text": hundred}]})), 100);
    assert_eq!(input(&json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": hundred}]}]})), 100);
}

#[test]
fn a_hundred_bytes_are_a_hundred_in_every_dialect() {
    let hundred = "x".repeat(100);
    for (route, body) in [
        (Route::ChatCompletions, json!({"messages": [{"role": "user", "content": hundred}]})),
        (Route::Completions, json!({"prompt": hundred})),
        (Route::Responses, json!({"input": hundred})),
        (
            Route::Responses,
            json!({"input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": hundred}]}]}),
        ),
        (Route::Embeddings, json!({"input": hundred})),
        (Route::Messages, json!({"messages": [{"role": "user", "content": [{"type": "text", "text": hundred}]}]})),
        (Route::GenerateContent, json!({"contents": [{"role": "user", "parts": [{"text": hundred}]}]})),
        (Route::GenerateContent, json!({"systemInstruction": {"parts": [{"text": hundred}]}})),
        (Route::StreamGenerateContent, json!({"system_instruction": {"parts": {"text": hundred}}})),
        (Route::EmbedContent, json!({"content": {"parts": [{"text": hundred}]}})),
    ] {
        assert_eq!(parse(route, &body.to_string()).unwrap().input.bytes, 100, "{route:?}: {body}");
    }
}

#[test]
fn geminis_bounds_stand_in_its_settings_in_either_spelling() {
    let of = |body: Value| parse(Route::GenerateContent, &body.to_string());
    let bounds = of(json!({"generationConfig": {"maxOutputTokens": 10, "candidateCount": 2}})).unwrap();
    assert_eq!((bounds.max_output, bounds.answers), (Some(10), 2));
    let both = json!({"generationConfig": {"maxOutputTokens": 10}, "generation_config": {"max_output_tokens": 20}});
    assert_eq!(of(both).unwrap().max_output, Some(20));
    let schema = json!({"generationConfig": {"responseSchema": {"type": "OBJECT", "description": "x".repeat(100)}}});
    assert!(of(schema).unwrap().input.bytes > 100);
    let inline = json!({"contents": [{"parts": [{"inlineData": {"mimeType": "a/b", "data": "x".repeat(100)}}]}]});
    assert!(of(inline).unwrap().input.bytes > 100);
    for config in [json!({"candidateCount": 0}), json!({"maxOutputTokens": "10"}), json!(1)] {
        assert!(of(json!({"generationConfig": config})).is_err(), "{config}");
    }
}

#[test]
fn token_lists_count_each_token() {
    assert_eq!(input(&json!({"input": [[1, 2, 3], [4]]})), 4);
}

#[test]
fn everything_that_is_spelled_out_for_the_model_counts_with_its_names() {
    for name in [
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "response_format",
        "text",
        "output_config",
        "output_format",
        "toolConfig",
        "tool_config",
        // Of servers that are compatible with OpenAI's
        "documents",
        "chat_template",
        "chat_template_kwargs",
        "guided_json",
        "structured_outputs",
        "a_field_of_tomorrow",
    ] {
        let value = json!({"type": "object", "properties": {"a_rather_long_name": {"id": "text", "role": "text"}}});
        let body = json!({ name: value.clone() });
        assert_eq!(input(&body), saturated(value.to_string().len()), "{name}");
    }
}

#[test]
fn a_text_or_a_list_in_a_field_that_nobody_knows_counts_and_a_setting_does_not() {
    assert_eq!(input(&json!({"guided_regex": "12345678", "documents": ["1"]})), 15);
    let settings = json!({"model": "m", "user": "u", "metadata": {"a": "b"}, "stop": ["END"], "temperature": 0.5,
        "stream": true, "stream_options": {"include_usage": true}, "reasoning": {"effort": "low"}, "seed": 7,
        "service_tier": "auto", "modalities": ["text"], "logit_bias": {"1": 5}, "new_switch": true, "none": null});
    assert_eq!(input(&settings), 0);
    let config = json!({"generationConfig": {"stopSequences": ["END"]}});
    assert_eq!(parse(Route::GenerateContent, &config.to_string()).unwrap().input.bytes, 0);
    assert_ne!(input(&config), 0);
}

#[test]
fn a_speed_is_a_service_where_text_is_made() {
    let service =
        |route, speed: Value| parse(route, &json!({ "speed": speed }).to_string()).map(|bounds| bounds.service);
    assert_eq!(service(Route::Messages, json!("fast")).unwrap(), Some(Service::Fast));
    assert!(service(Route::ChatCompletions, json!(1.25)).is_err());
    assert_eq!(service(Route::Speech, json!(1.25)).unwrap(), None);
}

#[test]
fn a_text_counts_whatever_the_name_under_which_it_stands() {
    let long = "x".repeat(1_000);
    for message in [
        json!({"role": long, "content": ""}),
        json!({"role": "user", "content": [{"type": "text", "id": long}]}),
        json!({"role": "assistant", "tool_calls": [{"id": "1", "function": {"arguments": long}}]}),
        json!({"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": long}]}]}),
        json!({"role": "user", "content": [{"type": "tool_use", "input": {"type": long}}]}),
        json!({"role": "user", (long.clone()): 1}),
    ] {
        assert!(input(&json!({ "messages": [message] })) >= 1_000, "{message}");
    }
    assert!(input(&json!({"prediction": {"type": "content", "content": long}})) >= 1_000);
}

#[test]
fn a_name_that_stands_there_twice_counts_twice() {
    let body = r#"{"messages":[{"role":"user","content":"12345","content":"6"}]}"#;
    assert_eq!(parse(Route::ChatCompletions, body).unwrap().input.bytes, 6);
}

#[test]
fn what_cannot_be_read_cannot_be_bounded() {
    let deep = format!(r#"{{"messages":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    for body in [
        r#"{"messages":[{"role":"user","content":"\ud800 and a lot of text"}]}"#,
        r#"{"messages":[{"role":"user","content":"text","temperature":1e999}]}"#,
        r#"{"tools":[{"name":"\udfff"}]}"#,
        r#"{"prompt":[1e999]}"#,
        deep.as_str(),
    ] {
        assert!(parse(Route::ChatCompletions, body).is_err(), "{body}");
    }
}

#[test]
fn each_route_has_its_own_names_for_a_bound_on_output() {
    let body = r#"{"max_tokens":10,"max_completion_tokens":20,"max_output_tokens":30}"#;
    for (route, bound) in [
        (Route::ChatCompletions, Some(20)),
        (Route::Completions, Some(10)),
        (Route::Messages, Some(10)),
        (Route::Responses, Some(30)),
        (Route::Embeddings, None),
    ] {
        assert_eq!(parse(route, body).unwrap().max_output, bound, "{route:?}");
    }
}

#[test]
fn a_bound_of_nothing_is_none() {
    for (route, body) in [
        (Route::ChatCompletions, r#"{"max_tokens":0}"#),
        (Route::ChatCompletions, r#"{"max_tokens":0,"max_completion_tokens":10}"#),
        (Route::ChatCompletions, r#"{"max_tokens":10,"max_completion_tokens":0}"#),
        (Route::Completions, r#"{"max_tokens":0,"echo":true}"#),
        (Route::Messages, r#"{"max_tokens":0}"#),
        (Route::Responses, r#"{"max_output_tokens":0}"#),
        (Route::GenerateContent, r#"{"generationConfig":{"maxOutputTokens":0}}"#),
        (Route::GenerateContent, r#"{"generationConfig":{"maxOutputTokens":0,"max_output_tokens":10}}"#),
    ] {
        assert_eq!(parse(route, body).unwrap().max_output, None, "{route:?}: {body}");
    }
}

#[test]
fn every_prompt_and_every_answer_to_it_is_an_answer() {
    let answers = |prompt: Value| bounds(&json!({"prompt": prompt, "n": 2, "best_of": 3})).answers;
    assert_eq!(answers(json!("a")), 3);
    assert_eq!(answers(json!([1, 2, 3, 4])), 3);
    assert_eq!(answers(json!(["a", "b"])), 6);
    assert_eq!(answers(json!([[1, 2], [3]])), 6);
    assert_eq!(bounds(&json!({"n": null})).answers, 1);
}

#[test]
fn a_number_of_answers_that_is_none_is_refused() {
    for body in [r#"{"n":0}"#, r#"{"n":-1}"#, r#"{"n":"2"}"#, r#"{"n":1.5}"#, r#"{"best_of":0}"#] {
        assert!(parse(Route::ChatCompletions, body).is_err(), "{body}");
    }
}

#[test]
fn what_the_provider_keeps_is_open() {
    for (route, body) in [
        (Route::Responses, json!({"input": "a", "previous_response_id": "resp_1"})),
        (Route::Responses, json!({"input": "a", "conversation": {"id": "conv_1"}})),
        (Route::Responses, json!({"prompt": {"id": "pmpt_1"}})),
        (Route::GenerateContent, json!({"contents": [], "cachedContent": "cachedContents/1"})),
    ] {
        assert!(parse(route, &body.to_string()).unwrap().input.is_open, "{body}");
    }
    assert!(!bounds(&json!({"prompt": "a", "previous_response_id": null})).input.is_open);
}

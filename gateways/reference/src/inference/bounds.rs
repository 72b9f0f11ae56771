//! What bounds the cost of a request: how much goes in, and how much can come out.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::request::field;
use super::route::Route;
use crate::errors::Problem;
use crate::rates::Service;
use crate::translate::{Form, camel};

/// Fields that hold what a model reads: a text, tokens, or messages made of parts.
const TEXTS: [&str; 12] = [
    "messages",
    "system",
    "prompt",
    "input",
    "instructions",
    "suffix",
    "prediction",
    "contents",
    "systemInstruction",
    "system_instruction",
    "content",
    "requests",
];
/// Fields that a provider spells out for the model: as long as their JSON.
const SPELLED_OUT: [&str; 10] = [
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
];
/// Gemini's settings, in both spellings that it reads.
const GEMINI_CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
/// Names of a message's or a part's wrapper, which hold a word each.
const STRUCTURE: [&str; 3] = ["role", "type", "id"];
/// The longest such word in JSON; what is longer is a text.
const LONGEST_WORD: usize = 64;

/// What bounds the cost of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// How many bytes of text go in; no tokenizer makes more tokens than bytes.
    pub(crate) input_bytes: u64,
    /// The most tokens that the caller allows for one answer.
    pub(crate) max_output: Option<u64>,
    /// How many answers are made: for each of several prompts, as many as are asked for.
    pub(crate) answers: u64,
    /// The service that it asks for, unless it leaves that to the provider.
    pub(crate) service: Option<Service>,
}

/// Reads the bounds of a body. What cannot be read cannot be bounded, and is refused.
pub(super) fn read(route: Route, fields: &IndexMap<String, Box<RawValue>>) -> Result<Bounds, Problem> {
    let mut max_output = None;
    for name in output_bounds(route) {
        let bound: Option<u64> = field(fields, name)?;
        // Where several are given, a provider may go by the largest.
        max_output = max_output.max(bound);
    }
    let mut bounds =
        Bounds { input_bytes: input_bytes(fields)?, max_output, answers: answers(fields)?, service: service(fields)? };
    if route.form() == Form::Content {
        for name in GEMINI_CONFIG {
            if let Some(config) = field::<IndexMap<String, Box<RawValue>>>(fields, name)? {
                bounds.add_gemini_config(&config)?;
            }
        }
    }
    Ok(bounds)
}

impl Bounds {
    /// Gemini's bounds stand one level deeper, in either spelling.
    fn add_gemini_config(&mut self, config: &IndexMap<String, Box<RawValue>>) -> Result<(), Problem> {
        for (name, raw) in config {
            match camel(name).as_str() {
                "maxOutputTokens" => self.max_output = self.max_output.max(field(config, name)?),
                "candidateCount" => match field::<u64>(config, name)? {
                    Some(0) => return Err(Problem::bad_request(format!("{name} must be at least 1"))),
                    wanted => self.answers = self.answers.max(wanted.unwrap_or(1)),
                },
                "responseSchema" | "responseJsonSchema" => {
                    // Looks into everything: what cannot be read cannot be bounded.
                    let _: Option<Value> = field(config, name)?;
                    self.input_bytes = self.input_bytes.saturating_add(saturated(raw.get().len()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The fields that a provider of this route knows as a bound on its output.
fn output_bounds(route: Route) -> &'static [&'static str] {
    match route {
        Route::ChatCompletions => &["max_tokens", "max_completion_tokens"],
        Route::Completions | Route::Messages => &["max_tokens"],
        Route::Responses => &["max_output_tokens"],
        Route::Embeddings
        | Route::Images
        | Route::Speech
        | Route::Transcriptions
        | Route::GenerateContent
        | Route::StreamGenerateContent
        | Route::EmbedContent
        | Route::BatchEmbedContents => &[],
    }
}

/// Fast mode is dearer than any service tier.
fn service(fields: &IndexMap<String, Box<RawValue>>) -> Result<Option<Service>, Problem> {
    let word = |name: &str| -> Result<Option<Service>, Problem> {
        Ok(field::<String>(fields, name)?.as_deref().and_then(Service::from_word))
    };
    let fast = word("speed")?.filter(|service| *service == Service::Fast);
    Ok(fast.or(word("service_tier")?))
}

fn answers(fields: &IndexMap<String, Box<RawValue>>) -> Result<u64, Problem> {
    let mut each = 1;
    for name in ["n", "best_of"] {
        match field::<u64>(fields, name)? {
            Some(0) => return Err(Problem::bad_request(format!("{name} must be at least 1"))),
            Some(wanted) => each = each.max(wanted),
            None => {}
        }
    }
    let prompts = match field::<Value>(fields, "prompt")? {
        Some(Value::Array(prompts)) if prompts.iter().any(|prompt| !prompt.is_number()) => prompts.len(),
        _ => 1,
    };
    Ok(each.saturating_mul(saturated(prompts)))
}

fn input_bytes(fields: &IndexMap<String, Box<RawValue>>) -> Result<u64, Problem> {
    let mut sum = 0_u64;
    for name in TEXTS.iter().chain(&SPELLED_OUT) {
        let Some(raw) = fields.get(*name) else { continue };
        // Looks into everything, where counting may skip: a provider reads it all.
        let Some(_) = field::<Value>(fields, name)? else { continue };
        let bytes = if TEXTS.contains(name) {
            let mut json = serde_json::Deserializer::from_str(raw.get());
            let unreadable = |_| Problem::bad_request(format!("{name} has a value that cannot be read"));
            Texts.deserialize(&mut json).map_err(unreadable)?
        } else {
            saturated(raw.get().len())
        };
        sum = sum.saturating_add(bytes);
    }
    Ok(sum)
}

/// Counts the bytes of the texts in a value. A number is a token by itself. Of a message
/// or a part, the wrapper does not count; whatever else stands in it, with its name, does.
/// A name that stands there twice counts twice: nobody can say which one a provider reads.
struct Texts;

impl<'de> DeserializeSeed<'de> for Texts {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(saturated(text.len()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<u64, E> {
        Ok(1)
    }

    fn visit_i64<E>(self, _: i64) -> Result<u64, E> {
        Ok(1)
    }

    fn visit_f64<E>(self, _: f64) -> Result<u64, E> {
        Ok(1)
    }

    fn visit_bool<E>(self, _: bool) -> Result<u64, E> {
        Ok(1)
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut sum = 0_u64;
        while let Some(bytes) = items.next_element_seed(Texts)? {
            sum = sum.saturating_add(bytes);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<u64, A::Error> {
        let mut sum = 0_u64;
        while let Some(name) = fields.next_key::<String>()? {
            let bytes = if matches!(name.as_str(), "content" | "text" | "parts") {
                fields.next_value_seed(Texts)?
            } else {
                let value: &RawValue = fields.next_value().map_err(A::Error::custom)?;
                let length = value.get().len();
                let is_word = STRUCTURE.contains(&name.as_str()) && length <= LONGEST_WORD;
                if is_word { 0 } else { saturated(name.len().saturating_add(length)) }
            };
            sum = sum.saturating_add(bytes);
        }
        Ok(sum)
    }
}

fn saturated(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::json;

    fn parse(route: Route, body: &str) -> Result<Bounds, Problem> {
        read(route, &serde_json::from_str(body).unwrap())
    }

    fn bounds(body: &Value) -> Bounds {
        parse(Route::ChatCompletions, &body.to_string()).unwrap()
    }

    fn input(body: &Value) -> u64 {
        bounds(body).input_bytes
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
        assert_eq!(
            input(&json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": hundred}]}]})),
            100
        );
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
            assert_eq!(parse(route, &body.to_string()).unwrap().input_bytes, 100, "{route:?}: {body}");
        }
    }

    #[test]
    fn geminis_bounds_stand_in_its_settings_in_either_spelling() {
        let of = |body: Value| parse(Route::GenerateContent, &body.to_string());
        let bounds = of(json!({"generationConfig": {"maxOutputTokens": 10, "candidateCount": 2}})).unwrap();
        assert_eq!((bounds.max_output, bounds.answers), (Some(10), 2));
        let both = json!({"generationConfig": {"maxOutputTokens": 10}, "generation_config": {"max_output_tokens": 20}});
        assert_eq!(of(both).unwrap().max_output, Some(20));
        let schema =
            json!({"generationConfig": {"responseSchema": {"type": "OBJECT", "description": "x".repeat(100)}}});
        assert!(of(schema).unwrap().input_bytes > 100);
        let inline = json!({"contents": [{"parts": [{"inlineData": {"mimeType": "a/b", "data": "x".repeat(100)}}]}]});
        assert!(of(inline).unwrap().input_bytes > 100);
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
        for name in SPELLED_OUT {
            let value = json!({"type": "object", "properties": {"a_rather_long_name": {"id": "text", "role": "text"}}});
            let body = json!({ name: value.clone() });
            assert_eq!(input(&body), saturated(value.to_string().len()), "{name}");
        }
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
        assert_eq!(parse(Route::ChatCompletions, body).unwrap().input_bytes, 6);
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
}

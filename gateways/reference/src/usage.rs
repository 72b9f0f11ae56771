//! The tokens that an answer reports.

use serde_json::Value;

use crate::rates::Service;

/// Token counts. Of `input`, `cached` and `cache_write` are parts, and so are `input_audio`
/// and `input_image`, which may be cached too; of `cache_write`, `cache_write_hour`. Of
/// `output`, `reasoning`, `output_audio` and `output_image` are parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) cache_write_hour: u64,
    pub(crate) reasoning: u64,
    pub(crate) input_audio: u64,
    pub(crate) input_image: u64,
    pub(crate) output_audio: u64,
    pub(crate) output_image: u64,
    /// Searches of the web that were made for the answer.
    pub(crate) searches: u64,
    /// Sessions in which code ran for it.
    pub(crate) code_sessions: u64,
    /// The service that the provider says it gave.
    pub(crate) service: Option<Service>,
}

impl Usage {
    pub(crate) fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The usage of a whole answer, in whatever dialect it is.
    pub(crate) fn of_body(body: &Value) -> Option<Usage> {
        let usage = match (body.get("usage"), body.get("usageMetadata")) {
            (None, Some(usage)) => Usage::of_gemini(usage),
            (usage, _) if body.get("type").and_then(Value::as_str) == Some("message") => {
                Usage::of_anthropic(usage?, None)
            }
            (usage, _) => Usage::of_openai(usage?),
        };
        Some(usage?.with_body(body))
    }

    /// Reads the `usage` object of the OpenAI family: of chat completions, completions and
    /// embeddings, of responses, or of images and audio.
    pub(crate) fn of_openai(usage: &Value) -> Option<Usage> {
        let count = |names: &[&str]| names.iter().find_map(|name| usage.get(name)?.as_u64());
        let objects = |names: [&str; 3]| names.map(|name| usage.get(name));
        let part = |objects: &[Option<&Value>], paths: &[&[&str]]| {
            let mut objects = objects.iter().flatten();
            objects.find_map(|object| paths.iter().find_map(|path| at(object, path)?.as_u64())).unwrap_or(0)
        };
        // Three routes, three names.
        let input_parts = &objects(["prompt_tokens_details", "input_tokens_details", "input_token_details"]);
        let output_parts = &objects(["completion_tokens_details", "output_tokens_details", "output_token_details"]);
        let hour: [&[&str]; 2] = [
            &["cache_creation_token_details", "ephemeral_1h_input_tokens"],
            &["cached_write_token_details", "cached_write_tokens_1h"],
        ];
        let input = count(&["prompt_tokens", "input_tokens"])?;
        let answered = count(&["completion_tokens", "output_tokens"]).unwrap_or(0);
        // Some (xAI, Google's own copy of this API) count reasoning beside the answer, and only
        // the sum of all says so.
        let rest = count(&["total_tokens"]).map_or(0, |total| total.saturating_sub(input));
        Some(Usage {
            input,
            output: answered.max(rest),
            cached: part(input_parts, &[&["cached_tokens"], &["cached_read_tokens"]]),
            cache_write: part(
                input_parts,
                &[&["cache_write_tokens"], &["cached_write_tokens"], &["cache_creation_tokens"]],
            ),
            cache_write_hour: part(input_parts, &hour),
            reasoning: part(output_parts, &[&["reasoning_tokens"]]),
            input_audio: part(input_parts, &[&["audio_tokens"]]),
            input_image: part(input_parts, &[&["image_tokens"]]),
            output_audio: part(output_parts, &[&["audio_tokens"]]),
            output_image: part(output_parts, &[&["image_tokens"]]),
            searches: count(&["num_search_queries"]).or_else(|| searches_of(usage)).unwrap_or(0),
            ..Usage::default()
        })
    }

    /// Reads the `usage` object of Anthropic messages, where cached tokens stand
    /// beside the input tokens, not among them. What a later object leaves out
    /// (a stream's last one has no input) is taken from `before`.
    pub(crate) fn of_anthropic(usage: &Value, before: Option<Usage>) -> Option<Usage> {
        let count = |path: &[&str]| at(usage, path).and_then(Value::as_u64);
        let before = before.unwrap_or_default();
        let (input, output) = (count(&["input_tokens"]), count(&["output_tokens"]));
        if input.is_none() && output.is_none() {
            return None;
        }
        let cached = count(&["cache_read_input_tokens"]).unwrap_or(before.cached);
        let five_minutes = count(&["cache_creation", "ephemeral_5m_input_tokens"]);
        let hour = count(&["cache_creation", "ephemeral_1h_input_tokens"]);
        let both = five_minutes.or(hour).map(|_| five_minutes.unwrap_or(0).saturating_add(hour.unwrap_or(0)));
        let cache_write = count(&["cache_creation_input_tokens"]).or(both).unwrap_or(before.cache_write);
        let fresh =
            input.unwrap_or_else(|| before.input.saturating_sub(before.cached).saturating_sub(before.cache_write));
        Some(Usage {
            input: fresh.saturating_add(cached).saturating_add(cache_write),
            output: output.unwrap_or(before.output),
            cached,
            cache_write,
            cache_write_hour: hour.unwrap_or(before.cache_write_hour),
            reasoning: count(&["output_tokens_details", "reasoning_tokens"])
                .or_else(|| count(&["output_tokens_details", "thinking_tokens"]))
                .unwrap_or(before.reasoning),
            searches: searches_of(usage).unwrap_or(before.searches),
            service: service(usage).or(before.service),
            ..Usage::default()
        })
    }

    /// Reads the `usageMetadata` of Gemini, where cached tokens stand among those of the
    /// prompt, and thoughts beside those of the answer.
    pub(crate) fn of_gemini(usage: &Value) -> Option<Usage> {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        let input = count("promptTokenCount")?.saturating_add(count("toolUsePromptTokenCount").unwrap_or(0));
        let reasoning = count("thoughtsTokenCount").unwrap_or(0);
        // An answer without a token has no count; the sum of all says so too.
        let answered = count("candidatesTokenCount").map(|answered| answered.saturating_add(reasoning));
        let rest = || count("totalTokenCount").map(|total| total.saturating_sub(input));
        let of = |list: &str, modality: &str| {
            let parts = usage.get(list).and_then(Value::as_array).into_iter().flatten();
            let told = |part: &&Value| part.get("modality").and_then(Value::as_str) == Some(modality);
            let counts = parts.filter(told).filter_map(|part| part.get("tokenCount")?.as_u64());
            counts.fold(0, u64::saturating_add)
        };
        Some(Usage {
            input,
            output: answered.or_else(rest).unwrap_or(reasoning),
            cached: count("cachedContentTokenCount").unwrap_or(0),
            reasoning,
            input_audio: of("promptTokensDetails", "AUDIO"),
            input_image: of("promptTokensDetails", "IMAGE"),
            output_audio: of("candidatesTokensDetails", "AUDIO"),
            output_image: of("candidatesTokensDetails", "IMAGE"),
            ..Usage::default()
        })
    }

    /// The same with what the body around it tells: the service, and what was done beside
    /// answering.
    pub(crate) fn with_body(self, body: &Value) -> Usage {
        let done = done_beside(body);
        Usage {
            service: service(body).or(self.service),
            searches: self.searches.max(done.searches),
            code_sessions: self.code_sessions.max(done.code_sessions),
            ..self
        }
    }
}

/// What Anthropic, and OpenRouter after it, count of searches.
fn searches_of(usage: &Value) -> Option<u64> {
    at(usage, &["server_tool_use", "web_search_requests"])?.as_u64()
}

/// What was done beside answering, by the items of a response's output, or by what an answer of
/// Gemini's says that it rests on.
fn done_beside(body: &Value) -> Usage {
    let mut done = Usage::default();
    let mut containers = Vec::new();
    for item in list(body.get("output")) {
        match item.get("type").and_then(Value::as_str) {
            // Pages that are opened after a search are not charged.
            Some("web_search_call") => {
                let action = at(item, &["action", "type"]).and_then(Value::as_str);
                done.searches += u64::from(action.is_none_or(|action| action == "search"));
            }
            Some("code_interpreter_call") => {
                let container = item.get("container_id");
                let is_known = container.is_some() && containers.contains(&container);
                done.code_sessions += u64::from(!is_known);
                containers.push(container);
            }
            _ => {}
        }
    }
    for candidate in list(body.get("candidates")) {
        let queries = list(at(candidate, &["groundingMetadata", "webSearchQueries"]));
        done.searches = done.searches.saturating_add(u64::try_from(queries.len()).unwrap_or(u64::MAX));
    }
    done
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What stands at the end of a path of names. A JSON pointer would be parsed anew for each answer.
fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// The service that a body, or a usage object, says was given.
fn service(body: &Value) -> Option<Service> {
    let word = |name: &str| body.get(name).and_then(Value::as_str).and_then(Service::from_word);
    word("speed").filter(|service| *service == Service::Fast).or_else(|| word("service_tier"))
}

/// Whether a `usage` object says how much was answered. One that does not says too little
/// to charge by, except for embeddings, which answer with no tokens.
pub(crate) fn has_output(usage: Option<&Value>) -> bool {
    // Of Gemini, which leaves out a count of nothing, the sum of all says it.
    let names = ["completion_tokens", "output_tokens", "candidatesTokenCount", "totalTokenCount"];
    usage.is_some_and(|usage| names.iter().any(|name| usage.get(name).is_some_and(Value::is_u64)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::json;

    #[test]
    fn parts_are_read_from_chat_completions_and_responses_alike() {
        let expected = Some(Usage { input: 100, output: 50, cached: 40, reasoning: 20, ..Usage::default() });
        let chat = json!({
            "prompt_tokens": 100, "completion_tokens": 50,
            "prompt_tokens_details": { "cached_tokens": 40 },
            "completion_tokens_details": { "reasoning_tokens": 20 },
        });
        let responses = json!({
            "input_tokens": 100, "output_tokens": 50,
            "input_tokens_details": { "cached_tokens": 40 },
            "output_tokens_details": { "reasoning_tokens": 20 },
        });
        assert_eq!(Usage::of_openai(&chat), expected);
        assert_eq!(Usage::of_openai(&responses), expected);
    }

    #[test]
    fn reasoning_that_stands_beside_the_answer_is_output_too() {
        let xai = json!({
            "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "completion_tokens_details": { "reasoning_tokens": 94 },
        });
        let usage = Usage::of_openai(&xai).unwrap();
        assert_eq!((usage.output, usage.reasoning, usage.total()), (103, 94, 135));
    }

    #[test]
    fn an_object_without_counts_is_no_usage() {
        assert_eq!(Usage::of_openai(&json!({})), None);
        assert_eq!(Usage::of_openai(&Value::Null), None);
        assert_eq!(Usage::of_anthropic(&json!({"service_tier": "x"}), None), None);
    }

    #[test]
    fn usage_without_what_was_answered_says_too_little() {
        assert!(has_output(Some(&json!({"prompt_tokens": 7, "completion_tokens": 0}))));
        assert!(has_output(Some(&json!({"input_tokens": 7, "output_tokens": 3}))));
        assert!(!has_output(Some(&json!({"prompt_tokens": 7}))));
        assert!(!has_output(Some(&json!({"prompt_tokens": 7, "completion_tokens": null}))));
        assert!(!has_output(None));
    }

    #[test]
    fn anthropics_cached_tokens_are_added_to_its_input() {
        let start = json!({
            "input_tokens": 10, "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 30, "output_tokens": 1,
        });
        let first = Usage::of_anthropic(&start, None);
        let last = Usage::of_anthropic(&json!({"output_tokens": 50}), first);
        let expected = Usage { input: 100, output: 50, cached: 60, cache_write: 30, ..Usage::default() };
        assert_eq!(last, Some(expected));
    }
    #[test]
    fn an_hours_cache_write_is_a_part_of_all_that_was_written() {
        let start = json!({
            "input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
            "output_tokens": 1, "service_tier": "priority",
        });
        let first = Usage::of_anthropic(&start, None);
        let last = Usage::of_anthropic(&json!({"output_tokens": 50}), first).unwrap();
        assert_eq!((last.input, last.cache_write, last.cache_write_hour), (60, 50, 30));
        assert_eq!(last.service, Some(Service::Priority));
    }

    #[test]
    fn geminis_thoughts_stand_beside_its_answer_and_its_cache_inside_its_prompt() {
        let usage = json!({
            "promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 30,
            "thoughtsTokenCount": 20, "toolUsePromptTokenCount": 5, "totalTokenCount": 155,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 90}, {"modality": "AUDIO", "tokenCount": 10}],
        });
        let expected = Usage { input: 105, output: 50, cached: 60, reasoning: 20, input_audio: 10, ..Usage::default() };
        assert_eq!(Usage::of_gemini(&usage), Some(expected));
        let without = json!({"promptTokenCount": 100, "thoughtsTokenCount": 20, "totalTokenCount": 120});
        assert_eq!(Usage::of_gemini(&without).unwrap().output, 20);
    }

    #[test]
    fn what_was_done_beside_answering_is_counted_where_each_protocol_tells_it() {
        let done = |body: Value| {
            let usage = Usage::of_body(&body).unwrap();
            (usage.searches, usage.code_sessions)
        };
        let usage = json!({"input_tokens": 1, "output_tokens": 1});
        let code = |container: &str| json!({"type": "code_interpreter_call", "container_id": container});
        let search = |action: &str| json!({"type": "web_search_call", "action": {"type": action}});
        let output = [
            search("search"),
            search("open_page"),
            json!({"type": "web_search_call"}),
            code("a"),
            code("a"),
            code("b"),
        ];
        assert_eq!(done(json!({"usage": usage, "output": output})), (2, 2));
        let anthropic = json!({"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 3}});
        assert_eq!(done(json!({"type": "message", "usage": anthropic})), (3, 0));
        let first = Usage::of_anthropic(&anthropic, None);
        assert_eq!(Usage::of_anthropic(&json!({"output_tokens": 2}), first).unwrap().searches, 3);
        let gemini = json!({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2},
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}]});
        assert_eq!(done(gemini), (2, 0));
        let perplexity = json!({"prompt_tokens": 1, "completion_tokens": 1, "num_search_queries": 4});
        assert_eq!(done(json!({ "usage": perplexity })), (4, 0));
    }

    #[test]
    fn the_service_is_told_beside_the_usage_or_in_it() {
        let chat = json!({"service_tier": "flex", "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
        assert_eq!(Usage::of_body(&chat).unwrap().service, Some(Service::Flex));
        let fast = json!({"type": "message", "usage":
            {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard", "speed": "fast"}});
        assert_eq!(Usage::of_body(&fast).unwrap().service, Some(Service::Fast));
    }
}

//! The tokens that an answer reports.

use serde_json::Value;

/// Token counts. `cached` and `cache_write` are parts of `input`, `reasoning` of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) reasoning: u64,
}

impl Usage {
    pub(crate) fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Reads the `usage` object of the OpenAI family: of chat completions,
    /// completions and embeddings, or of responses.
    pub(crate) fn of_openai(usage: &Value) -> Option<Usage> {
        let count = |names: [&str; 2]| names.iter().find_map(|name| usage.get(name)?.as_u64());
        let part = |objects: [&str; 2], names: &[&str]| {
            objects
                .iter()
                .filter_map(|object| usage.get(object))
                .find_map(|object| names.iter().find_map(|name| object.get(name)?.as_u64()))
                .unwrap_or(0)
        };
        let input_parts = ["prompt_tokens_details", "input_tokens_details"];
        let output_parts = ["completion_tokens_details", "output_tokens_details"];
        let input = count(["prompt_tokens", "input_tokens"])?;
        Some(Usage {
            input,
            output: count(["completion_tokens", "output_tokens"]).unwrap_or(0),
            cached: part(input_parts, &["cached_tokens", "cached_read_tokens"]),
            cache_write: part(input_parts, &["cache_write_tokens", "cached_write_tokens", "cache_creation_tokens"]),
            reasoning: part(output_parts, &["reasoning_tokens"]),
        })
    }

    /// Reads the `usage` object of Anthropic messages, where cached tokens stand
    /// beside the input tokens, not among them. What a later object leaves out
    /// (a stream's last one has no input) is taken from `before`.
    pub(crate) fn of_anthropic(usage: &Value, before: Option<Usage>) -> Option<Usage> {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        let before = before.unwrap_or_default();
        let (input, output) = (count("input_tokens"), count("output_tokens"));
        if input.is_none() && output.is_none() {
            return None;
        }
        let cached = count("cache_read_input_tokens").unwrap_or(before.cached);
        let cache_write = count("cache_creation_input_tokens").unwrap_or(before.cache_write);
        let fresh =
            input.unwrap_or_else(|| before.input.saturating_sub(before.cached).saturating_sub(before.cache_write));
        Some(Usage {
            input: fresh.saturating_add(cached).saturating_add(cache_write),
            output: output.unwrap_or(before.output),
            cached,
            cache_write,
            reasoning: 0,
        })
    }
}

/// Whether a `usage` object says how much was answered. One that does not says too little
/// to charge by, except for embeddings, which answer with no tokens.
pub(crate) fn has_output(usage: Option<&Value>) -> bool {
    let names = ["completion_tokens", "output_tokens"];
    usage.is_some_and(|usage| names.iter().any(|name| usage.get(name).is_some_and(Value::is_u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_are_read_from_chat_completions_and_responses_alike() {
        let expected = Some(Usage { input: 100, output: 50, cached: 40, cache_write: 0, reasoning: 20 });
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
        let expected = Usage { input: 100, output: 50, cached: 60, cache_write: 30, reasoning: 0 };
        assert_eq!(last, Some(expected));
    }
}

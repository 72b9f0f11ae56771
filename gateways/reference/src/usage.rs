//! The tokens that an answer reports.

use crate::json::Tree;
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
    pub(crate) fn of_body<T: Tree>(body: &T) -> Option<Usage> {
        let usage = match (body.get("usage"), body.get("usageMetadata")) {
            (None, Some(usage)) => Usage::of_gemini(usage),
            (usage, _) if body.get("type").and_then(Tree::as_str) == Some("message") => {
                MessageCount::default().read(usage?)
            }
            (usage, _) => Usage::of_openai(usage?),
        };
        Some(usage?.with_body(body))
    }

    /// Reads the `usage` object of the OpenAI family: of chat completions, completions and
    /// embeddings, of responses, or of images and audio.
    pub(crate) fn of_openai<T: Tree>(usage: &T) -> Option<Usage> {
        let count = |names: &[&str]| names.iter().find_map(|name| usage.get(name)?.as_u64());
        let objects = |names: [&str; 3]| names.map(|name| usage.get(name));
        let part = |objects: &[Option<&T>], paths: &[&[&str]]| {
            let mut objects = objects.iter().copied().flatten();
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
        // Perplexity's research counts what it read and thought beside all others, and says so by
        // the former; elsewhere (SGLang) reasoning that stands here is a part of the answer.
        let read = count(&["citation_tokens"]);
        let thought = count(&["reasoning_tokens"]).unwrap_or(0);
        let beside = read.map_or(0, |_| thought);
        Some(Usage {
            input: input.saturating_add(read.unwrap_or(0)),
            output: answered.max(rest).saturating_add(beside),
            cached: part(input_parts, &[&["cached_tokens"], &["cached_read_tokens"]]),
            cache_write: part(
                input_parts,
                &[&["cache_write_tokens"], &["cached_write_tokens"], &["cache_creation_tokens"]],
            ),
            cache_write_hour: part(input_parts, &hour),
            reasoning: part(output_parts, &[&["reasoning_tokens"]]).max(thought),
            input_audio: part(input_parts, &[&["audio_tokens"]]),
            input_image: part(input_parts, &[&["image_tokens"]]),
            output_audio: part(output_parts, &[&["audio_tokens"]]),
            output_image: part(output_parts, &[&["image_tokens"]]),
            searches: count(&["num_search_queries"]).or_else(|| searches_of(usage)).unwrap_or(0),
            ..Usage::default()
        })
    }

    /// Reads the counts of Anthropic messages, where cached tokens stand beside the input
    /// tokens, not among them. What they leave out is taken from `before`.
    fn of_anthropic<T: Tree>(usage: &T, before: Usage) -> Option<Usage> {
        let count = |path: &[&str]| at(usage, path).and_then(Tree::as_u64);
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
    pub(crate) fn of_gemini<T: Tree>(usage: &T) -> Option<Usage> {
        let count = |name: &str| usage.get(name).and_then(Tree::as_u64);
        let input = count("promptTokenCount")?.saturating_add(count("toolUsePromptTokenCount").unwrap_or(0));
        let reasoning = count("thoughtsTokenCount").unwrap_or(0);
        // An answer without a token has no count; the sum of all says so too.
        let answered = count("candidatesTokenCount").map(|answered| answered.saturating_add(reasoning));
        let rest = || count("totalTokenCount").map(|total| total.saturating_sub(input));
        let of = |list: &str, modality: &str| {
            let parts = self::list(usage.get(list)).iter();
            let told = |part: &&T| part.get("modality").and_then(Tree::as_str) == Some(modality);
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

    /// The tokens of both.
    fn and(self, other: Usage) -> Usage {
        Usage {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached: self.cached.saturating_add(other.cached),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_hour: self.cache_write_hour.saturating_add(other.cache_write_hour),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            ..self
        }
    }

    /// The same with what the body around it tells: the service, and what was done beside
    /// answering.
    pub(crate) fn with_body<T: Tree>(self, body: &T) -> Usage {
        let done = done_beside(body);
        Usage {
            service: service(body).or(self.service),
            searches: self.searches.max(done.searches),
            code_sessions: self.code_sessions.max(done.code_sessions),
            ..self
        }
    }
}

/// What a message of Anthropic's counts, which a stream tells bit by bit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MessageCount {
    answer: Usage,
    /// The summaries of the conversation that were made before it. The counts at the top leave
    /// them out, though they cost the same.
    /// <https://platform.claude.com/docs/en/build-with-claude/compaction-threshold#understanding-usage>
    summaries: Usage,
}

impl MessageCount {
    /// Reads a `usage` object, and gives all that is counted so far. What a later one leaves out
    /// (a stream's last one may have no input) stays as it was.
    pub(crate) fn read<T: Tree>(&mut self, usage: &T) -> Option<Usage> {
        self.answer = Usage::of_anthropic(usage, self.answer)?;
        if let Some(samplings) = usage.get("iterations").and_then(Tree::as_list) {
            // An attempt of another kind may not be billed, or is counted at the top.
            let is_summary = |sampling: &&T| sampling.get("type").and_then(Tree::as_str) == Some("compaction");
            let summaries = samplings.iter().filter(is_summary);
            let summaries = summaries.filter_map(|summary| Usage::of_anthropic(summary, Usage::default()));
            self.summaries = summaries.fold(Usage::default(), Usage::and);
        }
        Some(self.answer.and(self.summaries))
    }
}

/// What Anthropic, and OpenRouter after it, count of searches.
fn searches_of<T: Tree>(usage: &T) -> Option<u64> {
    at(usage, &["server_tool_use", "web_search_requests"])?.as_u64()
}

/// What was done beside answering, by the items of a response's output, or by what an answer of
/// Gemini's says that it rests on.
fn done_beside<T: Tree>(body: &T) -> Usage {
    let mut done = Usage::default();
    let mut containers = Vec::new();
    for item in list(body.get("output")) {
        match item.get("type").and_then(Tree::as_str) {
            // Pages that are opened after a search are not charged.
            Some("web_search_call") => {
                let action = at(item, &["action", "type"]).and_then(Tree::as_str);
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

fn list<T: Tree>(value: Option<&T>) -> &[T] {
    value.and_then(Tree::as_list).unwrap_or_default()
}

/// What stands at the end of a path of names. A JSON pointer would be parsed anew for each answer.
fn at<'a, T: Tree>(value: &'a T, path: &[&str]) -> Option<&'a T> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// The service that a body, or a usage object, says was given.
fn service<T: Tree>(body: &T) -> Option<Service> {
    let word = |name: &str| body.get(name).and_then(Tree::as_str).and_then(Service::from_word);
    word("speed").filter(|service| *service == Service::Fast).or_else(|| word("service_tier"))
}

/// Whether a `usage` object says how much was answered. One that does not says too little
/// to charge by, except for embeddings, which answer with no tokens.
pub(crate) fn has_output<T: Tree>(usage: Option<&T>) -> bool {
    // Of Gemini, which leaves out a count of nothing, the sum of all says it.
    let names = ["completion_tokens", "output_tokens", "candidatesTokenCount", "totalTokenCount"];
    usage.is_some_and(|usage| names.iter().any(|name| usage.get(name).and_then(Tree::as_u64).is_some()))
}

/// The same of what a plain answer says.
pub(crate) fn counts_output<T: Tree>(body: &T) -> bool {
    has_output(body.get("usage").or_else(|| body.get("usageMetadata")))
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;

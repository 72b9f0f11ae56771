//! What a stream says about its usage and its end, read event by event.

use serde_json::Value;

use super::sse::Event;
use crate::failure::{error_in, refuses_request};
use crate::finish;
use crate::translate::Form;
use crate::usage::{MessageCount, Usage, has_output};

/// Whose stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Chat completions and completions: ends with `data: [DONE]`.
    Completions,
    /// Responses: ends with the event `response.completed` or its kin.
    Responses,
    /// Anthropic messages: ends with the event `message_stop`.
    Messages,
    /// Gemini's generateContent: ends where the body does, behind a reason to finish.
    Content,
}

impl From<Form> for Protocol {
    fn from(form: Form) -> Protocol {
        match form {
            Form::Responses => Protocol::Responses,
            Form::Messages => Protocol::Messages,
            Form::Content => Protocol::Content,
            // Embeddings are never streamed.
            Form::Chat | Form::Completions | Form::Embeddings | Form::Embed | Form::BatchEmbed | Form::Media => {
                Protocol::Completions
            }
        }
    }
}

/// What one event means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A part of the answer.
    Content,
    /// Nothing but usage, which OpenAI sends only to callers who ask for it.
    UsageOnly,
    /// The provider's own end marker: the answer is whole.
    End,
    /// The provider reports a failure inside the stream.
    Failure(String),
}

/// Watches a stream go by.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    protocol: Protocol,
    usage: Option<Usage>,
    /// What an Anthropic message has counted.
    message: MessageCount,
    /// Whether `usage` is the provider's last word, not a count on the way.
    is_final: bool,
    /// Whether the provider's latest count says how much was answered.
    is_complete: bool,
    finish_reasons: Vec<String>,
    /// Whether a stream without an end marker may end here.
    has_finished: bool,
    is_refusal: bool,
}

impl Watch {
    pub(crate) fn new(protocol: Protocol) -> Watch {
        Watch {
            protocol,
            usage: None,
            message: MessageCount::default(),
            is_final: false,
            is_complete: false,
            finish_reasons: Vec::new(),
            has_finished: false,
            is_refusal: false,
        }
    }

    /// Whether the failure that the provider has reported refuses what was asked.
    pub(crate) fn is_refusal(&self) -> bool {
        self.is_refusal
    }

    /// The latest usage that the stream carried, and whether it is final.
    pub(crate) fn usage(&self) -> Option<(Usage, bool)> {
        self.usage.map(|usage| (usage, self.is_final))
    }

    /// Why the model stopped, as far as the stream said so.
    pub(crate) fn finish_reasons(&self) -> &[String] {
        &self.finish_reasons
    }

    /// Whether the body may end here, as the provider's own end. Then the latest count was
    /// its last word.
    pub(crate) fn ends_here(&mut self) -> bool {
        let ends = self.protocol == Protocol::Content && self.has_finished;
        self.is_final |= ends && self.is_complete;
        ends
    }

    /// Reads one event, and gives its data where that is JSON.
    pub(crate) fn see(&mut self, event: &Event) -> (Sign, Option<Value>) {
        let data = event.data.trim();
        if data == "[DONE]" {
            if self.protocol != Protocol::Completions {
                return (Sign::Content, None);
            }
            // Nothing comes after the end: a count that stood earlier was the last word.
            self.is_final = self.is_complete;
            return (Sign::End, None);
        }
        if !event.says_something() {
            return (Sign::Content, None);
        }
        let Ok(json) = serde_json::from_str::<Value>(data) else {
            return (Sign::Failure("the provider sent an event that is no JSON".to_owned()), None);
        };
        self.finish_reasons.extend(finish::reasons(&json).map(str::to_owned));
        let sign = match self.protocol {
            Protocol::Completions => self.completions(&json),
            Protocol::Responses => self.responses(event, &json),
            Protocol::Messages => self.messages(event, &json),
            Protocol::Content => self.content(&json),
        };
        (sign, Some(json))
    }

    fn failed(&mut self, error: &Value) -> Sign {
        self.is_refusal = refuses_request(error);
        Sign::Failure(message(error))
    }

    fn completions(&mut self, json: &Value) -> Sign {
        if let Some(error) = error_in(json) {
            return self.failed(error);
        }
        let choices = json.get("choices").and_then(Value::as_array);
        let no_choices = choices.is_some_and(Vec::is_empty);
        let usage = json.get("usage").and_then(Usage::of_openai).map(|usage| usage.with_body(json));
        if let Some(usage) = usage {
            self.usage = Some(usage);
            self.is_complete = has_output(json.get("usage"));
            let finished = choices
                .into_iter()
                .flatten()
                .any(|choice| choice.get("finish_reason").is_some_and(|reason| !reason.is_null()));
            self.is_final = self.is_complete && (self.is_final || no_choices || finished);
        }
        if no_choices && usage.is_some() { Sign::UsageOnly } else { Sign::Content }
    }

    fn responses(&mut self, event: &Event, json: &Value) -> Sign {
        let kind = json.get("type").and_then(Value::as_str).unwrap_or(&event.name);
        let response = json.get("response");
        let usage = response.and_then(|response| Some(Usage::of_openai(response.get("usage")?)?.with_body(response)));
        if let Some(usage) = usage {
            self.usage = Some(usage);
            let has_output = has_output(response.and_then(|response| response.get("usage")));
            self.is_final = has_output && matches!(kind, "response.completed" | "response.incomplete");
        }
        match kind {
            "response.completed" | "response.incomplete" => Sign::End,
            "error" => self.failed(json),
            "response.failed" => {
                self.failed(response.and_then(|response| response.get("error")).unwrap_or(&Value::Null))
            }
            _ => Sign::Content,
        }
    }

    fn messages(&mut self, event: &Event, json: &Value) -> Sign {
        let kind = json.get("type").and_then(Value::as_str).unwrap_or(&event.name);
        let usage = match kind {
            "message_start" => json.get("message").and_then(|message| message.get("usage")),
            _ => json.get("usage"),
        };
        if let Some(counted) = usage.and_then(|usage| self.message.read(usage)) {
            self.usage = Some(counted);
            self.is_final |= kind == "message_delta" && has_output(usage);
        }
        match kind {
            "message_stop" => Sign::End,
            "error" => self.failed(json.get("error").unwrap_or(&Value::Null)),
            _ => Sign::Content,
        }
    }

    fn content(&mut self, json: &Value) -> Sign {
        if let Some(error) = error_in(json) {
            return self.failed(error);
        }
        let candidates = json.get("candidates").and_then(Value::as_array);
        self.has_finished |= candidates.into_iter().flatten().any(|one| one.get("finishReason").is_some())
            || json.pointer("/promptFeedback/blockReason").is_some();
        if let Some(usage) = json.get("usageMetadata").and_then(Usage::of_gemini) {
            let searches = self.usage.map_or(0, |usage| usage.searches);
            let usage = usage.with_body(json);
            self.usage = Some(Usage { searches: usage.searches.max(searches), ..usage });
            self.is_complete = has_output(json.get("usageMetadata"));
            // Every piece has a count; it is the last word once the answer has finished.
            self.is_final = self.is_complete && self.has_finished;
        }
        Sign::Content
    }
}

fn message(error: &Value) -> String {
    let told = error.as_str().or_else(|| error.get("message")?.as_str());
    told.map_or_else(|| "the provider reported a failure".to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::sse::Parser;
    use super::*;

    fn watch(protocol: Protocol, text: &str) -> (Watch, Vec<Sign>) {
        let mut parser = Parser::default();
        parser.push(text.as_bytes()).unwrap();
        let mut watch = Watch::new(protocol);
        let mut signs = Vec::new();
        while let Some(event) = parser.next_event() {
            signs.push(watch.see(&event).0);
        }
        (watch, signs)
    }

    #[test]
    fn a_usage_chunk_of_its_own_is_final_and_known_as_such() {
        let text = "data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n\
                    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n\
                    data: [DONE]\n\n";
        let (watch, signs) = watch(Protocol::Completions, text);
        assert_eq!(signs, [Sign::Content, Sign::UsageOnly, Sign::End]);
        let usage = Usage { input: 7, output: 3, ..Usage::default() };
        assert_eq!(watch.usage(), Some((usage, true)));
    }

    #[test]
    fn usage_before_the_end_is_not_final() {
        let text = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":7}}\n\n";
        let (watch, _) = watch(Protocol::Completions, text);
        assert!(!watch.usage().unwrap().1);
    }

    #[test]
    fn a_whole_stream_whose_count_stood_earlier_has_its_last_word() {
        let usage = |usage: &str| {
            let text = format!("data: {{\"choices\":[{{}}],\"usage\":{usage}}}\n\ndata: [DONE]\n\n");
            watch(Protocol::Completions, &text).0.usage().unwrap().1
        };
        assert!(usage(r#"{"prompt_tokens":7,"completion_tokens":3}"#));
        assert!(!usage(r#"{"prompt_tokens":7}"#), "it does not say how much was answered");
    }

    #[test]
    fn a_whole_message_without_its_last_count_has_no_last_word() {
        for delta in ["{}", r#"{"input_tokens":7}"#] {
            let text = format!(
                "data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{{\"input_tokens\":7,\"output_tokens\":1}}}}}}\n\n\
                 data: {{\"type\":\"message_delta\",\"usage\":{delta}}}\n\n\
                 data: {{\"type\":\"message_stop\"}}\n\n"
            );
            let (watch, signs) = watch(Protocol::Messages, &text);
            assert_eq!(signs.last(), Some(&Sign::End));
            assert!(!watch.usage().unwrap().1, "{delta}");
        }
    }

    #[test]
    fn a_message_ends_with_its_stop_and_counts_its_delta() {
        let text = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n\
                    event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":3}}\n\n\
                    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let (watch, signs) = watch(Protocol::Messages, text);
        assert_eq!(signs.last(), Some(&Sign::End));
        assert_eq!(watch.usage(), Some((Usage { input: 7, output: 3, ..Usage::default() }, true)));
    }

    #[test]
    fn a_response_ends_when_it_is_completed() {
        let text = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":3}}}\n\n";
        let (watch, signs) = watch(Protocol::Responses, text);
        assert_eq!(signs, [Sign::End]);
        assert!(watch.usage().unwrap().1);
    }

    #[test]
    fn a_failure_inside_a_stream_is_seen_in_each_protocol() {
        for (protocol, text) in [
            (Protocol::Completions, "data: {\"error\":{\"message\":\"broken\"}}\n\n"),
            (Protocol::Completions, "data: {\"error\":\"broken\"}\n\n"),
            (Protocol::Responses, "event: error\ndata: {\"type\":\"error\",\"message\":\"broken\"}\n\n"),
            (Protocol::Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"broken\"}}\n\n"),
        ] {
            let (_, signs) = watch(protocol, text);
            assert_eq!(signs, [Sign::Failure("broken".to_owned())], "{protocol:?}");
        }
    }
}

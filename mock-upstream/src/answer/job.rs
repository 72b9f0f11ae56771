//! What an answer is made from.

use std::borrow::Cow;

use serde_json::Value;

use crate::ask::Ask;
use crate::script::{Model, ToolCall, Usage, UsageAt};

/// One call to a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// The call's number in the ledger, from which its identifiers are made.
    pub(crate) seq: u64,
    /// Unix seconds.
    pub(crate) created: i64,
    /// The model's name.
    pub(crate) name: &'a str,
    pub(crate) model: &'a Model,
    /// Where the usage stands in this answer, which a fault may have changed.
    pub(crate) usage_at: UsageAt,
    pub(crate) ask: &'a Ask,
}

/// One piece of a stream's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delta<'a> {
    pub(crate) of: Of,
    pub(crate) text: Cow<'a, str>,
    /// Whether its part of the answer begins with it.
    pub(crate) is_first: bool,
    /// Whether its part of the answer ends with it.
    pub(crate) is_last: bool,
    /// Output tokens that this piece stands for.
    pub(crate) tokens: u64,
    /// Output tokens up to and with this piece.
    pub(crate) so_far: u64,
}

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Reasoning,
    Text,
    /// The arguments of the call in this place.
    Call(usize),
}

impl<'a> Job<'a> {
    pub(crate) fn usage(&self) -> Usage {
        self.model.usage
    }

    /// Whether the answer tells its usage at all.
    pub(crate) fn shows_usage(&self) -> bool {
        self.usage_at != UsageAt::Never
    }

    /// `prefix` and the call's number.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}mock{:08}", self.seq)
    }

    /// The id of the tool call in this place.
    pub(crate) fn call_id(&self, prefix: &str, place: usize) -> String {
        format!("{}_{place}", self.id(prefix))
    }

    /// The text alone, in as many pieces as the model's script says.
    pub(crate) fn text_deltas(&self) -> Vec<Delta<'a>> {
        self.dealt(vec![(Of::Text, Cow::Borrowed(self.model.reply()))])
    }

    /// What the answer holds, whole and in order: thoughts, text, the arguments of each call. It has
    /// a text, be it an empty one, where there is nothing else.
    pub(crate) fn parts(&self) -> Vec<(Of, Cow<'a, str>)> {
        let answer = &self.model.answer;
        let mut parts = Vec::new();
        parts.extend(answer.reasoning.as_deref().map(|text| (Of::Reasoning, Cow::Borrowed(text))));
        let text = self.model.reply();
        if !text.is_empty() || (parts.is_empty() && answer.tool_calls.is_empty()) {
            parts.push((Of::Text, Cow::Borrowed(text)));
        }
        let calls = answer.tool_calls.iter().enumerate();
        parts.extend(calls.map(|(place, call)| (Of::Call(place), Cow::Owned(arguments(call)))));
        parts
    }

    /// The same, each part in as many pieces as the model's script says.
    pub(crate) fn deltas(&self) -> Vec<Delta<'a>> {
        self.dealt(self.parts())
    }

    /// Characters are dealt evenly over the pieces of their part, and tokens over all pieces;
    /// what remains of them comes last.
    fn dealt(&self, parts: Vec<(Of, Cow<'a, str>)>) -> Vec<Delta<'a>> {
        let mut deltas: Vec<Delta<'a>> = Vec::new();
        for (of, text) in parts {
            let begin = deltas.len();
            for text in pieces(text, self.model.chunks.max(1)) {
                if of == Of::Text || !text.is_empty() {
                    let is_first = deltas.len() == begin;
                    deltas.push(Delta { of, text, is_first, is_last: false, tokens: 0, so_far: 0 });
                }
            }
            if let Some(last) = deltas.last_mut() {
                last.is_last = true;
            }
        }
        let output = self.model.usage.output;
        let count = u64::try_from(deltas.len()).unwrap_or(u64::MAX).max(1);
        let each = output / count;
        let mut so_far = 0;
        for (delta, left) in deltas.iter_mut().zip((0..count).rev()) {
            delta.tokens = if left == 0 { output - so_far } else { each };
            so_far += delta.tokens;
            delta.so_far = so_far;
        }
        deltas
    }
}

/// The arguments of a call as JSON.
pub(crate) fn arguments(call: &ToolCall) -> String {
    Value::Object(call.arguments.clone()).to_string()
}

/// A text in so many pieces, of characters dealt evenly.
fn pieces(text: Cow<'_, str>, count: u32) -> Vec<Cow<'_, str>> {
    let mut characters = text.chars().count();
    let mut begin = 0;
    let mut ends = Vec::new();
    for index in 0..count {
        let take = characters.div_ceil(usize::try_from(count - index).unwrap_or(usize::MAX));
        let rest = &text[begin..];
        let end = begin + rest.char_indices().nth(take).map_or(rest.len(), |(at, _)| at);
        ends.push(begin..end);
        begin = end;
        characters -= take;
    }
    match text {
        Cow::Borrowed(text) => ends.into_iter().map(|range| Cow::Borrowed(&text[range])).collect(),
        Cow::Owned(text) => ends.into_iter().map(|range| Cow::Owned(text[range].to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_pieces_are_the_whole(reply in ".{0,40}", chunks in 1u32..50, output in 0u64..10_000) {
            let model = Model {
                usage: Usage { output, ..Usage::default() },
                chunks,
                reply: Some(reply.clone()),
                ..Model::default()
            };
            let ask = Ask::default();
            let job = Job {
                seq: 1, created: 0, name: "m", model: &model, usage_at: model.usage_at, ask: &ask,
            };
            let deltas = job.text_deltas();
            prop_assert_eq!(deltas.len(), usize::try_from(chunks).unwrap_or(0));
            prop_assert_eq!(deltas.iter().map(|d| d.text.as_ref()).collect::<String>(), reply);
            prop_assert_eq!(deltas.iter().map(|d| d.tokens).sum::<u64>(), output);
            prop_assert_eq!(deltas.last().map(|d| d.so_far), Some(output));
            prop_assert!(deltas.iter().enumerate().all(|(at, d)| d.is_first == (at == 0)));
            let each = output / u64::from(chunks);
            for delta in deltas.iter().rev().skip(1) {
                prop_assert_eq!(delta.tokens, each);
            }
        }

        #[test]
        fn every_part_arrives_whole_and_all_tokens_are_dealt(
            reasoning in ".{1,20}", reply in ".{0,20}", city in ".{0,20}", chunks in 1u32..9, output in 0u64..10_000,
        ) {
            let arguments = serde_json::json!({"city": city});
            let answer = serde_json::json!({
                "reasoning": reasoning,
                "tool_calls": [{"name": "a", "arguments": arguments}, {"name": "b"}],
            });
            let model = Model {
                usage: Usage { output, ..Usage::default() },
                chunks,
                reply: Some(reply.clone()),
                answer: serde_json::from_value(answer).map_err(|error| TestCaseError::fail(error.to_string()))?,
                ..Model::default()
            };
            let ask = Ask::default();
            let job = Job { seq: 1, created: 0, name: "m", model: &model, usage_at: model.usage_at, ask: &ask };
            let deltas = job.deltas();
            let whole = |of| deltas.iter().filter(|d| d.of == of).map(|d| d.text.as_ref()).collect::<String>();
            prop_assert_eq!(whole(Of::Reasoning), reasoning);
            prop_assert_eq!(whole(Of::Text), reply);
            prop_assert_eq!(whole(Of::Call(0)), arguments.to_string());
            prop_assert_eq!(whole(Of::Call(1)), "{}");
            prop_assert_eq!(deltas.iter().map(|d| d.tokens).sum::<u64>(), output);
            prop_assert_eq!(deltas.iter().filter(|d| d.is_first).count(), deltas.iter().filter(|d| d.is_last).count());
        }
    }
}

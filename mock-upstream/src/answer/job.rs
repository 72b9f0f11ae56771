//! What an answer is made from.

use crate::ask::Ask;
use crate::script::{Model, Usage, UsageAt};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delta<'a> {
    pub(crate) text: &'a str,
    /// Output tokens that this piece stands for.
    pub(crate) tokens: u64,
    /// Output tokens up to and with this piece.
    pub(crate) so_far: u64,
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

    /// The content in as many pieces as the model's script says. Text is dealt evenly, and so
    /// are tokens, whose remainder comes last.
    pub(crate) fn deltas(&self) -> impl Iterator<Item = Delta<'a>> + use<'a> {
        let count = self.model.chunks.max(1);
        let output = self.model.usage.output;
        let each = output / u64::from(count);
        let mut rest = self.model.reply();
        let mut characters = rest.chars().count();
        (0..count).map(move |index| {
            let left = count - index;
            let take = characters.div_ceil(usize::try_from(left).unwrap_or(usize::MAX));
            let end = rest.char_indices().nth(take).map_or(rest.len(), |(at, _)| at);
            let (text, tail) = rest.split_at(end);
            rest = tail;
            characters -= take;
            let so_far = if left == 1 { output } else { each * u64::from(index + 1) };
            let tokens = so_far - each * u64::from(index);
            Delta { text, tokens, so_far }
        })
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
            let deltas: Vec<_> = job.deltas().collect();
            prop_assert_eq!(deltas.len(), usize::try_from(chunks).unwrap_or(0));
            prop_assert_eq!(deltas.iter().map(|d| d.text).collect::<String>(), reply);
            prop_assert_eq!(deltas.iter().map(|d| d.tokens).sum::<u64>(), output);
            prop_assert_eq!(deltas.last().map(|d| d.so_far), Some(output));
            let each = output / u64::from(chunks);
            for delta in deltas.iter().rev().skip(1) {
                prop_assert_eq!(delta.tokens, each);
            }
        }
    }
}

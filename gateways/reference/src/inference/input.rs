//! What goes into a model, as far as a body shows it: texts, pictures, and what has no length
//! there.

use crate::config::ApiBase;

/// The most tokens that Anthropic counts for a picture, at the resolution that Opus 4.7 reads.
const PICTURE_OF_ANTHROPIC: u64 = 4_784;
/// And the most of all that are known: gpt-4o-mini's eight tiles, 2833 + 8 × 5667.
const PICTURE: u64 = 48_169;
/// No model of a provider that is known reads more at once.
const WINDOW: u64 = 2_097_152;

/// What goes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    /// Of text; no tokenizer makes more tokens than bytes.
    pub(crate) bytes: u64,
    /// Their tokens do not depend on their bytes.
    pub(crate) pictures: u64,
    /// Whether it has something whose length it does not show: a document, a film, an uploaded
    /// file, a conversation that the provider keeps.
    pub(crate) is_open: bool,
    /// Whether a picture stands there by a link that does not say that it is one. Gemini reads
    /// whatever such a link leads to, a film among it; all others read a picture or nothing.
    pub(crate) is_linked: bool,
}

impl Input {
    /// Something whose length is not shown.
    pub(crate) const OPEN: Input = Input { bytes: 0, pictures: 0, is_open: true, is_linked: false };
    pub(crate) const PICTURE: Input = Input { bytes: 0, pictures: 1, is_open: false, is_linked: false };

    pub(crate) fn of_bytes(bytes: usize) -> Input {
        Input { bytes: saturated(bytes), ..Input::default() }
    }

    pub(crate) fn and(self, other: Input) -> Input {
        Input {
            bytes: self.bytes.saturating_add(other.bytes),
            pictures: self.pictures.saturating_add(other.pictures),
            is_open: self.is_open || other.is_open,
            is_linked: self.is_linked || other.is_linked,
        }
    }

    /// The most tokens that a provider can count for it. `window` is the most that its model
    /// reads at once, where that is known; in each of `rounds` it reads all that again, with
    /// what a tool has found.
    pub(crate) fn most_tokens(self, api: ApiBase, window: Option<u64>, rounds: u64) -> u64 {
        let picture = if api == ApiBase::Anthropic { PICTURE_OF_ANTHROPIC } else { PICTURE };
        let shown = self.bytes.saturating_add(self.pictures.saturating_mul(picture));
        let whole = shown.max(window.unwrap_or(WINDOW));
        let is_open = self.is_open || self.is_linked && api == ApiBase::Gemini;
        let first = if is_open { whole } else { shown };
        first.saturating_add(whole.saturating_mul(rounds))
    }
}

pub(super) fn saturated(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_input_is_a_models_window_and_never_less_than_what_is_shown() {
        let open = Input { bytes: 100, pictures: 1, is_open: true, is_linked: false };
        assert_eq!(open.most_tokens(ApiBase::Anthropic, Some(200_000), 0), 200_000);
        assert_eq!(open.most_tokens(ApiBase::OpenAi, Some(1_000), 0), 100 + PICTURE);
        assert_eq!(open.most_tokens(ApiBase::Gemini, None, 0), WINDOW);
        let shown = Input { is_open: false, ..open };
        assert_eq!(shown.most_tokens(ApiBase::Anthropic, Some(1_000), 0), 100 + PICTURE_OF_ANTHROPIC);
        let again = shown.most_tokens(ApiBase::Anthropic, Some(200_000), 2);
        assert_eq!(again, 100 + PICTURE_OF_ANTHROPIC + 2 * 200_000);
    }

    #[test]
    fn a_link_that_does_not_say_that_it_is_a_picture_is_open_to_gemini_alone() {
        let linked = Input { is_linked: true, ..Input::PICTURE };
        assert_eq!(linked.most_tokens(ApiBase::Gemini, None, 0), WINDOW);
        assert_eq!(linked.most_tokens(ApiBase::OpenAi, None, 0), PICTURE);
        assert_eq!(linked.most_tokens(ApiBase::Anthropic, None, 0), PICTURE_OF_ANTHROPIC);
        assert_eq!(Input::PICTURE.most_tokens(ApiBase::Gemini, None, 0), PICTURE);
    }
}

//! In what servers of OpenAI's kind differ from each other: each refuses something that another
//! demands. Which server is how stands in the table of `config/standard.rs`.

/// What a server takes, and what it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Whether it bounds an answer by `max_tokens`. OpenAI's newer models refuse that, and know
    /// `max_completion_tokens`, which other servers may not.
    pub(crate) takes_max_tokens: bool,
    /// Whether a stream may be asked for its usage, which it else tells unasked.
    pub(crate) takes_stream_options: bool,
    /// What it takes back of what was thought before.
    pub(crate) thoughts: Thoughts,
    pub(crate) text: Text,
}

/// The field of an assistant's message in which a server takes back what was thought before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thoughts {
    /// None: it refuses all of them.
    Refused,
    /// `reasoning_details`, as they came.
    Details,
    /// `reasoning_content`, beside the calls of tools that came of it: some demand it there.
    Content,
}

/// Which of OpenAI's two newer routes for text a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Both,
    ChatCompletions,
    Responses,
}

impl Dialect {
    /// OpenAI's own.
    pub(crate) const OPENAI: Dialect =
        Dialect { takes_max_tokens: false, takes_stream_options: true, thoughts: Thoughts::Refused, text: Text::Both };

    /// That of a server of which no more is known than that it is compatible.
    pub(crate) const COMPATIBLE: Dialect =
        Dialect { takes_max_tokens: true, takes_stream_options: true, thoughts: Thoughts::Content, text: Text::Both };
}

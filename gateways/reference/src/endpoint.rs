//! What can be asked of a provider, whatever its address for it.

/// One operation of a provider's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// OpenAI's.
    ChatCompletions,
    /// OpenAI's.
    Completions,
    /// OpenAI's.
    Responses,
    /// OpenAI's.
    Embeddings,
    /// Anthropic's.
    Messages,
}

impl Endpoint {
    /// Behind the base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "/v1/chat/completions",
            Endpoint::Completions => "/v1/completions",
            Endpoint::Responses => "/v1/responses",
            Endpoint::Embeddings => "/v1/embeddings",
            Endpoint::Messages => "/v1/messages",
        }
    }
}

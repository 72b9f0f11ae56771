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
    /// OpenAI's.
    Images,
    /// OpenAI's.
    Speech,
    /// OpenAI's.
    Transcriptions,
    /// Anthropic's.
    Messages,
    /// Anthropic's.
    CountMessageTokens,
    /// Gemini's.
    GenerateContent,
    /// Gemini's, as server-sent events.
    StreamGenerateContent,
    /// Gemini's.
    EmbedContent,
    /// Gemini's.
    BatchEmbedContents,
    /// Gemini's.
    CountContentTokens,
}

impl Endpoint {
    /// Behind the protocol's version and, with Gemini, behind the model.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "chat/completions",
            Endpoint::Completions => "completions",
            Endpoint::Responses => "responses",
            Endpoint::Embeddings => "embeddings",
            Endpoint::Images => "images/generations",
            Endpoint::Speech => "audio/speech",
            Endpoint::Transcriptions => "audio/transcriptions",
            Endpoint::Messages => "messages",
            Endpoint::CountMessageTokens => "messages/count_tokens",
            Endpoint::GenerateContent => "generateContent",
            Endpoint::StreamGenerateContent => "streamGenerateContent?alt=sse",
            Endpoint::EmbedContent => "embedContent",
            Endpoint::BatchEmbedContents => "batchEmbedContents",
            Endpoint::CountContentTokens => "countTokens",
        }
    }
}

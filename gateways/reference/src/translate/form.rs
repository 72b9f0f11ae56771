//! In whose form a request and its answer are.

/// A protocol's form of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's older completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Gemini's generateContent.
    Content,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's images and audio, which are never translated.
    Media,
    /// Gemini's embedContent.
    Embed,
    /// Gemini's batchEmbedContents.
    BatchEmbed,
}

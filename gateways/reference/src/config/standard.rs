//! The providers that Bifrost knows by name.

use super::provider::{ApiBase, Paths};

/// What the name of a provider, or of a custom one's base, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) api: ApiBase,
    pub(super) paths: Paths,
    /// Where it is if the file does not say.
    pub(super) url: Option<&'static str>,
    /// Whether it can be used without a key: a server of one's own.
    pub(super) is_local: bool,
}

/// The standard provider of this name, if this gateway speaks its protocol.
pub(super) fn standard(name: &str) -> Option<Standard> {
    let cloud = |api, url| Standard { api, paths: Paths::Versioned, url: Some(url), is_local: false };
    let local = |url| Standard { api: ApiBase::OpenAi, paths: Paths::Versioned, url, is_local: true };
    Some(match name {
        "anthropic" => cloud(ApiBase::Anthropic, "https://api.anthropic.com"),
        "azure" => Standard { api: ApiBase::OpenAi, paths: Paths::Azure, url: None, is_local: false },
        "cerebras" => cloud(ApiBase::OpenAi, "https://api.cerebras.ai"),
        "fireworks" => cloud(ApiBase::OpenAi, "https://api.fireworks.ai/inference"),
        "gemini" => cloud(ApiBase::Gemini, "https://generativelanguage.googleapis.com"),
        "groq" => cloud(ApiBase::OpenAi, "https://api.groq.com/openai"),
        "huggingface" => cloud(ApiBase::OpenAi, "https://router.huggingface.co"),
        "mistral" => cloud(ApiBase::OpenAi, "https://api.mistral.ai"),
        "nebius" => cloud(ApiBase::OpenAi, "https://api.tokenfactory.nebius.com"),
        "ollama" => local(Some("http://localhost:11434")),
        "openai" => cloud(ApiBase::OpenAi, "https://api.openai.com"),
        "opencode-go" => cloud(ApiBase::OpenAi, "https://opencode.ai/zen/go"),
        "opencode-zen" => cloud(ApiBase::OpenAi, "https://opencode.ai/zen"),
        "openrouter" => cloud(ApiBase::OpenAi, "https://openrouter.ai/api"),
        "parasail" => cloud(ApiBase::OpenAi, "https://api.parasail.io"),
        "perplexity" => Standard { paths: Paths::Bare, ..cloud(ApiBase::OpenAi, "https://api.perplexity.ai") },
        "sgl" | "vllm" => local(None),
        "xai" => cloud(ApiBase::OpenAi, "https://api.x.ai"),
        _ => return None,
    })
}

/// Whether Bifrost has a provider of this name whose protocol this gateway does not speak.
pub(super) fn is_unspoken(name: &str) -> bool {
    matches!(name, "bedrock" | "cohere" | "elevenlabs" | "replicate" | "runware" | "runway" | "vertex")
}

/// What a custom provider may be allowed to do, in Bifrost's words.
pub(super) const REQUESTS: [&str; 55] = [
    "list_models",
    "text_completion",
    "text_completion_stream",
    "chat_completion",
    "chat_completion_stream",
    "responses",
    "responses_stream",
    "count_tokens",
    "embedding",
    "rerank",
    "ocr",
    "speech",
    "speech_stream",
    "transcription",
    "transcription_stream",
    "image_generation",
    "image_generation_stream",
    "image_edit",
    "image_edit_stream",
    "image_variation",
    "video_generation",
    "video_retrieve",
    "video_download",
    "video_delete",
    "video_list",
    "video_remix",
    "batch_create",
    "batch_list",
    "batch_retrieve",
    "batch_cancel",
    "batch_delete",
    "batch_results",
    "file_upload",
    "file_list",
    "file_retrieve",
    "file_delete",
    "file_content",
    "container_create",
    "container_list",
    "container_retrieve",
    "container_delete",
    "container_file_create",
    "container_file_list",
    "container_file_retrieve",
    "container_file_content",
    "container_file_delete",
    "passthrough",
    "passthrough_stream",
    "websocket_responses",
    "realtime",
    "cached_content_create",
    "cached_content_list",
    "cached_content_retrieve",
    "cached_content_update",
    "cached_content_delete",
];

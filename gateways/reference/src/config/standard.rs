//! The providers that Bifrost knows by name, and what is known of each.

use super::provider::{ApiBase, Paths};
use crate::dialect::{Dialect, Text, Thoughts};

/// What the name of a provider, or of a custom one's base, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) api: ApiBase,
    pub(super) paths: Paths,
    /// Of OpenAI's protocol, where it speaks that.
    pub(super) dialect: Dialect,
    /// Where it is if the file does not say.
    pub(super) url: Option<&'static str>,
    /// Whether it can be used without a key: a server of one's own.
    pub(super) is_local: bool,
}

/// The standard provider of this name, if this gateway speaks its protocol.
pub(super) fn standard(name: &str) -> Option<Standard> {
    STANDARDS.iter().find(|(known, _)| *known == name).map(|(_, standard)| *standard)
}

/// What a custom provider of this base is. One that says `openai` means its protocol, which
/// anyone may speak.
pub(super) fn base(kind: &str) -> Option<Standard> {
    let dialect = |known: Standard| if kind == "openai" { Dialect::COMPATIBLE } else { known.dialect };
    standard(kind).map(|known| Standard { dialect: dialect(known), ..known })
}

/// The dialect of whoever is at this host, if that is known: a provider of any name may be there.
pub(super) fn dialect_at(host: &str) -> Option<Dialect> {
    let is_at = |known: &str| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if is_at("openai.azure.com") {
        return Some(Dialect::OPENAI);
    }
    let host_of = |standard: &Standard| standard.url?.strip_prefix("https://")?.split('/').next();
    STANDARDS.iter().map(|(_, standard)| standard).find(|one| host_of(one).is_some_and(is_at)).map(|one| one.dialect)
}

/// They refuse every field of what was thought before.
const FORGETFUL: Dialect = Dialect { thoughts: Thoughts::Refused, ..Dialect::COMPATIBLE };
/// They have no `/v1/responses`, or none that every model or version has.
const CHAT: Dialect = Dialect { text: Text::ChatCompletions, ..Dialect::COMPATIBLE };

const STANDARDS: [(&str, Standard); 19] = [
    ("anthropic", Standard { api: ApiBase::Anthropic, ..at("https://api.anthropic.com", Dialect::COMPATIBLE) }),
    ("azure", Standard { paths: Paths::Azure, url: None, ..at("", Dialect::OPENAI) }),
    ("cerebras", at("https://api.cerebras.ai", Dialect { text: Text::ChatCompletions, ..FORGETFUL })),
    ("fireworks", at("https://api.fireworks.ai/inference", Dialect::COMPATIBLE)),
    (
        "gemini",
        Standard { api: ApiBase::Gemini, ..at("https://generativelanguage.googleapis.com", Dialect::COMPATIBLE) },
    ),
    ("groq", at("https://api.groq.com/openai", FORGETFUL)),
    // It hands on to others, those two among them.
    ("huggingface", at("https://router.huggingface.co", FORGETFUL)),
    (
        "mistral",
        at("https://api.mistral.ai", Dialect { takes_stream_options: false, text: Text::ChatCompletions, ..FORGETFUL }),
    ),
    ("nebius", at("https://api.tokenfactory.nebius.com", CHAT)),
    ("ollama", local(Some("http://localhost:11434"), CHAT)),
    ("openai", at("https://api.openai.com", Dialect::OPENAI)),
    ("opencode-go", at("https://opencode.ai/zen/go", Dialect::COMPATIBLE)),
    ("opencode-zen", at("https://opencode.ai/zen", Dialect::COMPATIBLE)),
    ("openrouter", at("https://openrouter.ai/api", Dialect { thoughts: Thoughts::Details, ..Dialect::COMPATIBLE })),
    ("parasail", at("https://api.parasail.io", CHAT)),
    // Its chat completions ended on 2026-09-27.
    ("perplexity", at("https://api.perplexity.ai", Dialect { text: Text::Responses, ..Dialect::COMPATIBLE })),
    ("sgl", local(None, CHAT)),
    ("vllm", local(None, Dialect::COMPATIBLE)),
    ("xai", at("https://api.x.ai", Dialect::COMPATIBLE)),
];

/// A public server of OpenAI's kind.
const fn at(url: &'static str, dialect: Dialect) -> Standard {
    Standard { api: ApiBase::OpenAi, paths: Paths::Versioned, dialect, url: Some(url), is_local: false }
}

/// A server of one's own.
const fn local(url: Option<&'static str>, dialect: Dialect) -> Standard {
    Standard { api: ApiBase::OpenAi, paths: Paths::Versioned, dialect, url, is_local: true }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_says_who_is_there() {
        for (host, expected) in [
            ("api.openai.com", Some(Dialect::OPENAI)),
            ("eu.api.openai.com", Some(Dialect::OPENAI)),
            ("mine.openai.azure.com", Some(Dialect::OPENAI)),
            ("notapi.openai.com", None),
            ("api.openai.com.example", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(dialect_at(host), expected, "{host}");
        }
        assert_eq!(dialect_at("api.mistral.ai"), standard("mistral").map(|mistral| mistral.dialect));
    }
}

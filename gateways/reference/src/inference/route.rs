//! The inference routes, and how providers serve them.

use crate::config::{ApiBase, RequestType};
use crate::dialect::Text;
use crate::endpoint::Endpoint;
use crate::errors::Wording;
use crate::translate::Form;

/// An inference route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    ChatCompletions,
    Completions,
    Responses,
    Embeddings,
    Images,
    Speech,
    Transcriptions,
    Messages,
    GenerateContent,
    StreamGenerateContent,
    EmbedContent,
    BatchEmbedContents,
}

impl Route {
    pub(crate) fn request_type(self) -> RequestType {
        match self {
            Route::ChatCompletions | Route::Messages | Route::GenerateContent | Route::StreamGenerateContent => {
                RequestType::ChatCompletion
            }
            Route::Completions => RequestType::TextCompletion,
            Route::Responses => RequestType::Responses,
            Route::Embeddings | Route::EmbedContent | Route::BatchEmbedContents => RequestType::Embedding,
            Route::Images => RequestType::ImageGeneration,
            Route::Speech => RequestType::Speech,
            Route::Transcriptions => RequestType::Transcription,
        }
    }

    /// The form of its requests and answers.
    pub(crate) fn form(self) -> Form {
        match self {
            Route::ChatCompletions => Form::Chat,
            Route::Completions => Form::Completions,
            Route::Responses => Form::Responses,
            Route::Embeddings => Form::Embeddings,
            Route::Images | Route::Speech | Route::Transcriptions => Form::Media,
            Route::Messages => Form::Messages,
            Route::GenerateContent | Route::StreamGenerateContent => Form::Content,
            Route::EmbedContent => Form::Embed,
            Route::BatchEmbedContents => Form::BatchEmbed,
        }
    }

    /// Where it is, without a prefix.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Route::ChatCompletions => "/v1/chat/completions",
            Route::Completions => "/v1/completions",
            Route::Responses => "/v1/responses",
            Route::Embeddings => "/v1/embeddings",
            Route::Images => "/v1/images/generations",
            Route::Speech => "/v1/audio/speech",
            Route::Transcriptions => "/v1/audio/transcriptions",
            Route::Messages => "/anthropic/v1/messages",
            Route::GenerateContent => "/genai/v1beta/models/{model}:generateContent",
            Route::StreamGenerateContent => "/genai/v1beta/models/{model}:streamGenerateContent",
            Route::EmbedContent => "/genai/v1beta/models/{model}:embedContent",
            Route::BatchEmbedContents => "/genai/v1beta/models/{model}:batchEmbedContents",
        }
    }

    pub(crate) fn wording(self) -> Wording {
        match self.form() {
            Form::Chat | Form::Completions | Form::Responses | Form::Embeddings | Form::Media => Wording::Native,
            Form::Messages => Wording::Anthropic,
            Form::Content | Form::Embed | Form::BatchEmbed => Wording::Gemini,
        }
    }

    /// Whether the model stands in the path, and in the body only if the caller repeats it.
    pub(crate) fn names_model_in_path(self) -> bool {
        self.wording() == Wording::Gemini
    }

    /// Whether an answer is text, which can be a stream and has output to charge for.
    pub(crate) fn is_generation(self) -> bool {
        matches!(
            self.request_type(),
            RequestType::ChatCompletion | RequestType::TextCompletion | RequestType::Responses
        )
    }

    /// How a provider of this kind, which if it is OpenAI's has `text` for text, serves the route.
    pub(crate) fn service(self, api: ApiBase, text: Text, is_stream: bool) -> Option<Service> {
        let (endpoint, form) = match (api, self) {
            (ApiBase::OpenAi, Route::Images) => (Endpoint::Images, Form::Media),
            (ApiBase::OpenAi, Route::Speech) => (Endpoint::Speech, Form::Media),
            (ApiBase::OpenAi, Route::Transcriptions) => (Endpoint::Transcriptions, Form::Media),
            (_, Route::Images | Route::Speech | Route::Transcriptions) => return None,
            (ApiBase::OpenAi, Route::Responses) if text != Text::ChatCompletions => {
                (Endpoint::Responses, Form::Responses)
            }
            (ApiBase::OpenAi, route) if route.is_generation() && text == Text::Responses => return None,
            (ApiBase::OpenAi, Route::Completions) => (Endpoint::Completions, Form::Completions),
            (ApiBase::OpenAi, route) if route.is_generation() => (Endpoint::ChatCompletions, Form::Chat),
            (ApiBase::OpenAi, _) => (Endpoint::Embeddings, Form::Embeddings),
            (ApiBase::Anthropic, route) if route.is_generation() => (Endpoint::Messages, Form::Messages),
            (ApiBase::Anthropic, _) => return None,
            (ApiBase::Gemini, Route::EmbedContent) => (Endpoint::EmbedContent, Form::Embed),
            (ApiBase::Gemini, route) if !route.is_generation() => (Endpoint::BatchEmbedContents, Form::BatchEmbed),
            (ApiBase::Gemini, _) if is_stream => (Endpoint::StreamGenerateContent, Form::Content),
            (ApiBase::Gemini, _) => (Endpoint::GenerateContent, Form::Content),
        };
        Some(Service { endpoint, form })
    }
}

/// How a provider serves a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) endpoint: Endpoint,
    /// The form that the provider speaks; another than the route's is translated.
    pub(crate) form: Form,
}

/// What a request line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) route: Route,
    /// The model, where it stands in the path.
    pub(crate) model: Option<String>,
    /// Whether a stream is a JSON array rather than server-sent events.
    pub(crate) as_array: bool,
    /// Whether only the request's tokens are to be counted.
    pub(crate) is_count: bool,
}

impl From<Route> for Asked {
    fn from(route: Route) -> Asked {
        Asked { route, model: None, as_array: false, is_count: false }
    }
}

impl Asked {
    /// Reads what follows `models/` in one of Gemini's paths, `{model}:{action}`, and the query.
    pub(crate) fn of_gemini(rest: &str, query: Option<&str>) -> Option<Asked> {
        let (model, action) = rest.rsplit_once(':')?;
        let route = match action {
            "generateContent" | "countTokens" => Route::GenerateContent,
            "streamGenerateContent" => Route::StreamGenerateContent,
            "embedContent" => Route::EmbedContent,
            "batchEmbedContents" => Route::BatchEmbedContents,
            _ => return None,
        };
        let is_events = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
        let as_array = route == Route::StreamGenerateContent && !is_events;
        let is_count = action == "countTokens";
        (!model.is_empty()).then(|| Asked { route, model: Some(model.to_owned()), as_array, is_count })
    }

    /// Anthropic's `messages/count_tokens`.
    pub(crate) fn message_tokens() -> Asked {
        Asked { is_count: true, ..Route::Messages.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_openais_two_routes_for_text_one_may_stand_for_both() {
        let form = |route: Route, text| route.service(ApiBase::OpenAi, text, false).map(|service| service.form);
        for (text, responses, chat) in [
            (Text::Both, Some(Form::Responses), Some(Form::Chat)),
            (Text::ChatCompletions, Some(Form::Chat), Some(Form::Chat)),
            (Text::Responses, Some(Form::Responses), None),
        ] {
            assert_eq!(form(Route::Responses, text), responses, "{text:?}");
            assert_eq!((form(Route::ChatCompletions, text), form(Route::Messages, text)), (chat, chat), "{text:?}");
            assert_eq!(form(Route::Embeddings, text), Some(Form::Embeddings), "{text:?}");
        }
    }

    #[test]
    fn gemini_names_model_and_action_in_its_path() {
        let asked = |rest, query| Asked::of_gemini(rest, query);
        let stream = asked("google/gemini:1:streamGenerateContent", None);
        let model = Some("google/gemini:1".to_owned());
        assert_eq!(stream, Some(Asked { route: Route::StreamGenerateContent, model, as_array: true, is_count: false }));
        let events = asked("m:streamGenerateContent", Some("key=1&alt=sse"));
        assert!(events.is_some_and(|asked| !asked.as_array));
        assert!(asked("m:countTokens", None).is_some_and(|asked| asked.is_count));
        for none in ["m", "m:fly", ":generateContent", ""] {
            assert_eq!(asked(none, None), None, "{none}");
        }
    }
}

//! Which API a request speaks to, told from its method and path.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One route of the providers' APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// OpenAI `POST chat/completions`.
    ChatCompletions,
    /// OpenAI `POST completions`.
    Completions,
    /// OpenAI `POST responses`.
    Responses,
    /// OpenAI `POST embeddings`.
    Embeddings,
    /// OpenAI `POST images/generations`.
    Images,
    /// OpenAI `POST audio/speech`.
    Speech,
    /// OpenAI `POST audio/transcriptions`.
    Transcriptions,
    /// `GET models` of any API.
    Models,
    /// Anthropic `POST messages`.
    Messages,
    /// Anthropic `POST messages/count_tokens`, Gemini `POST models/{model}:countTokens`.
    CountTokens,
    /// Gemini `POST models/{model}:generateContent`.
    GenerateContent,
    /// Gemini `POST models/{model}:streamGenerateContent`.
    StreamGenerateContent,
    /// Gemini `POST models/{model}:embedContent` and `:batchEmbedContents`.
    EmbedContent,
    /// A price sheet or the model parameters.
    PriceSheet,
    /// Anything else.
    Other,
}

/// Whose words an answer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    OpenAi,
    Anthropic,
    Gemini,
}

/// What a request line and its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The first segment of the path, known to the script or not.
    pub(crate) provider: Option<String>,
    pub(crate) route: Route,
    pub(crate) api: Api,
    /// The model that the path names, as Gemini and the single entry of a model list do.
    pub(crate) model: Option<String>,
    /// Gemini's `alt=sse`.
    pub(crate) sse: bool,
    /// Gemini's `:batchEmbedContents`.
    pub(crate) batch: bool,
    /// Which sheet is asked for, if the route is one.
    pub(crate) sheet: Option<Sheet>,
}

/// What a gateway fetches at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sheet {
    BifrostPrices,
    LitellmPrices,
    BifrostModelParameters,
}

impl Sheet {
    pub(crate) const ALL: [Sheet; 3] = [Sheet::BifrostPrices, Sheet::LitellmPrices, Sheet::BifrostModelParameters];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Sheet::BifrostPrices => "/_mock/prices/bifrost.json",
            Sheet::LitellmPrices => "/_mock/prices/litellm.json",
            Sheet::BifrostModelParameters => "/_mock/model-parameters.json",
        }
    }
}

impl Route {
    /// Whether a provider does work for it.
    pub(crate) fn is_inference(self) -> bool {
        !matches!(self, Route::Models | Route::PriceSheet | Route::Other)
    }
}

impl Target {
    /// Reads the target of a request. `anthropic` is whether the request has the header
    /// `anthropic-version`, which alone tells whose model list is meant.
    pub(crate) fn read(get: bool, post: bool, path: &str, query: &str, anthropic: bool) -> Target {
        let mut target = Target {
            provider: None,
            route: Route::Other,
            api: Api::OpenAi,
            model: None,
            sse: query_value(query, "alt").is_some_and(|alt| alt == "sse"),
            batch: false,
            sheet: Sheet::ALL.into_iter().find(|sheet| get && sheet.path() == path),
        };
        if target.sheet.is_some() {
            target.route = Route::PriceSheet;
            return target;
        }
        let Some((provider, rest)) = path.trim_start_matches('/').split_once('/') else {
            return target;
        };
        target.provider = Some(percent_decoded(provider));
        let rest = target.read_azure(rest);
        let (version, rest) = match rest.split_once('/') {
            Some((version @ ("v1" | "v1beta"), rest)) => (version, rest),
            _ => ("", rest),
        };
        target.api = match rest {
            _ if version == "v1beta" || rest.starts_with("models/") && post => Api::Gemini,
            "messages" | "messages/count_tokens" => Api::Anthropic,
            _ if anthropic => Api::Anthropic,
            _ => Api::OpenAi,
        };
        if post {
            target.read_post(rest);
        } else if get {
            target.read_get(rest);
        }
        target
    }

    /// Takes Azure's prefix off a path: `openai/`, and the deployment, which is the model.
    fn read_azure<'a>(&mut self, rest: &'a str) -> &'a str {
        let Some(inner) = rest.strip_prefix("openai/") else { return rest };
        match inner.strip_prefix("deployments/").and_then(|named| named.split_once('/')) {
            Some((deployment, inner)) => {
                self.model = Some(percent_decoded(deployment));
                inner
            }
            None => inner,
        }
    }

    fn read_post(&mut self, rest: &str) {
        self.route = match rest {
            "chat/completions" => Route::ChatCompletions,
            "completions" => Route::Completions,
            "responses" => Route::Responses,
            "embeddings" => Route::Embeddings,
            "images/generations" => Route::Images,
            "audio/speech" => Route::Speech,
            "audio/transcriptions" => Route::Transcriptions,
            "messages" => Route::Messages,
            "messages/count_tokens" => Route::CountTokens,
            _ => self.read_gemini(rest),
        };
    }

    fn read_gemini(&mut self, rest: &str) -> Route {
        let named = rest.strip_prefix("models/").and_then(|rest| rest.rsplit_once(':'));
        let Some((model, action)) = named else {
            return Route::Other;
        };
        let route = match action {
            "generateContent" => Route::GenerateContent,
            "streamGenerateContent" => Route::StreamGenerateContent,
            "embedContent" | "batchEmbedContents" => Route::EmbedContent,
            "countTokens" => Route::CountTokens,
            _ => return Route::Other,
        };
        self.batch = action == "batchEmbedContents";
        self.model = Some(percent_decoded(model));
        route
    }

    fn read_get(&mut self, rest: &str) {
        if rest == "models" {
            self.route = Route::Models;
        } else if let Some(model) = rest.strip_prefix("models/") {
            self.route = Route::Models;
            self.model = Some(percent_decoded(model));
        }
    }
}

/// The first value of a query parameter.
pub(crate) fn query_value(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| percent_decoded(value))
}

/// `%41` becomes `A`; what is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str) -> Target {
        Target::read(false, true, path, "", false)
    }

    fn get(path: &str) -> Target {
        Target::read(true, false, path, "", false)
    }

    #[test]
    fn every_openai_route_is_known_with_and_without_its_version() {
        for (path, route) in [
            ("chat/completions", Route::ChatCompletions),
            ("completions", Route::Completions),
            ("responses", Route::Responses),
            ("embeddings", Route::Embeddings),
            ("images/generations", Route::Images),
            ("audio/speech", Route::Speech),
            ("audio/transcriptions", Route::Transcriptions),
        ] {
            for prefix in ["/primary/v1/", "/primary/"] {
                let target = post(&format!("{prefix}{path}"));
                assert_eq!((target.route, target.api), (route, Api::OpenAi));
                assert_eq!(target.provider.as_deref(), Some("primary"));
            }
        }
        assert_eq!(get("/primary/v1/models").route, Route::Models);
        assert_eq!(get("/primary/models").route, Route::Models);
    }

    #[test]
    fn azure_names_its_deployment_in_the_path() {
        let target = post("/p/openai/deployments/my%2Fone/chat/completions");
        assert_eq!((target.route, target.model.as_deref()), (Route::ChatCompletions, Some("my/one")));
        assert_eq!(post("/p/openai/v1/responses").route, Route::Responses);
    }

    #[test]
    fn anthropic_routes_are_told_by_path_and_its_model_list_by_header() {
        assert_eq!(post("/p/v1/messages").route, Route::Messages);
        assert_eq!(post("/p/v1/messages/count_tokens").route, Route::CountTokens);
        let list = Target::read(true, false, "/p/v1/models", "", true);
        assert_eq!((list.route, list.api), (Route::Models, Api::Anthropic));
    }

    #[test]
    fn gemini_names_its_model_in_the_path() {
        let target = Target::read(
            false,
            true,
            "/p/v1beta/models/tuned%2Fone:two:streamGenerateContent",
            "key=k%20y&alt=sse",
            false,
        );
        assert_eq!(target.route, Route::StreamGenerateContent);
        assert_eq!(target.model.as_deref(), Some("tuned/one:two"));
        assert!(target.sse);
        assert!(post("/p/v1beta/models/m:batchEmbedContents").batch);
        assert_eq!(get("/p/v1beta/models").api, Api::Gemini);
    }

    #[test]
    fn what_no_provider_serves_is_other() {
        for target in [
            post("/"),
            post("/primary"),
            get("/primary/v1/chat/completions"),
            post("/primary/v1/models"),
            post("/primary/v1beta/models/m:fly"),
            get("/_mock/prices/unknown.json"),
            post(Sheet::BifrostPrices.path()),
        ] {
            assert_eq!(target.route, Route::Other);
        }
        assert_eq!(get(Sheet::LitellmPrices.path()).route, Route::PriceSheet);
    }

    #[test]
    fn a_query_value_is_decoded_and_a_broken_escape_is_kept() {
        assert_eq!(query_value("a=1&key=s%2Dk", "key").as_deref(), Some("s-k"));
        assert_eq!(query_value("key=%", "key").as_deref(), Some("%"));
        assert_eq!(query_value("key=%zz1", "key").as_deref(), Some("%zz1"));
        assert_eq!(query_value("", "key"), None);
    }
}

//! Where a provider is asked, and with which headers: pure functions of the provider,
//! its key, the route and the model.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;
use indexmap::IndexMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::{RawValue, to_raw_value};

use crate::config::{ApiBase, Paths, Provider, ProviderKey};
use crate::endpoint::Endpoint;

const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
/// The one that Azure calls its latest stable one.
const AZURE_VERSION: &str = "2024-10-21";
/// Azure's responses know no other.
const AZURE_RESPONSES_VERSION: &str = "preview";
/// The caller's trace, which its provider may continue.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];
/// Those of the caller's headers that are a list, which may come in several lines.
const LISTS: [&str; 3] = ["anthropic-beta", "openai-beta", "tracestate"];
/// A whole request of Gemini's whose tokens are to be counted.
const COUNTED: &str = "generateContentRequest";
/// What can stand in one segment of a path as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The URL of a route, for the model as the provider calls it.
pub(crate) fn url(provider: &Provider, key: Option<&ProviderKey>, endpoint: Endpoint, model: &str) -> String {
    let mut url = key.and_then(|key| key.base_url.as_ref()).unwrap_or(&provider.base_url).clone();
    let path = endpoint.path();
    // Writing to a string cannot fail.
    let _ = match (provider.paths, provider.api) {
        (Paths::Azure, _) if endpoint == Endpoint::Responses => {
            write!(url, "/openai/v1/{path}?api-version={AZURE_RESPONSES_VERSION}")
        }
        (Paths::Azure, _) => {
            let version = key.and_then(|key| key.api_version.as_deref()).unwrap_or(AZURE_VERSION);
            write!(url, "/openai/deployments/{}/{path}?api-version={}", escaped(model), escaped(version))
        }
        (Paths::Versioned, ApiBase::Gemini) => {
            write!(url, "/v1beta/models/{}:{path}", escaped(ApiBase::Gemini.model(model)))
        }
        (Paths::Versioned, ApiBase::OpenAi | ApiBase::Anthropic) => write!(url, "/v1/{path}"),
    };
    url
}

fn escaped(segment: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(segment, ESCAPED)
}

/// The headers of a call: the provider's own, its key, and what of the caller's headers
/// means something to it.
pub(crate) fn headers(provider: &Provider, key: Option<&ProviderKey>, callers: &HeaderMap) -> HeaderMap {
    let mut headers = provider.extra_headers.clone();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let passed_on: &[&str] = match provider.api {
        ApiBase::OpenAi => &["openai-beta"],
        ApiBase::Anthropic => &["anthropic-beta", "anthropic-version"],
        ApiBase::Gemini => &[],
    };
    for name in passed_on.iter().chain(&TRACE) {
        let value = if LISTS.contains(name) { joined(callers, name) } else { callers.get(*name).cloned() };
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if provider.api == ApiBase::Anthropic {
        headers.entry("anthropic-version").or_insert(ANTHROPIC_VERSION);
    }
    let Some(key) = key.filter(|key| !key.value.is_empty()) else { return headers };
    let (name, text) = match (provider.paths, provider.api) {
        (Paths::Azure, _) => (HeaderName::from_static("api-key"), key.value.clone()),
        (_, ApiBase::OpenAi) => (header::AUTHORIZATION, format!("Bearer {}", key.value)),
        (_, ApiBase::Anthropic) => (HeaderName::from_static("x-api-key"), key.value.clone()),
        (_, ApiBase::Gemini) => (HeaderName::from_static("x-goog-api-key"), key.value.clone()),
    };
    // The configuration is refused where a key cannot stand in a header.
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}

/// The lines of a list as one.
fn joined(callers: &HeaderMap, name: &str) -> Option<HeaderValue> {
    let lines: Vec<&[u8]> = callers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    // What can stand in each line can stand in one.
    HeaderValue::from_bytes(&lines.join(&b","[..])).ok().filter(|value| !value.is_empty())
}

/// The body with the provider's own name for the model, where it differs from the caller's:
/// at its top, and with Gemini in each request of a batch and in one to be counted. A body that names no model, or is
/// no JSON, stays as it is.
pub(crate) fn with_model(body: &Bytes, api: ApiBase, model: &str) -> Bytes {
    let renamed = match api {
        ApiBase::Gemini => of_gemini(body, model),
        ApiBase::OpenAi | ApiBase::Anthropic => renamed(body, model),
    };
    renamed.map_or_else(|| body.clone(), Bytes::from)
}

type Fields<'a> = IndexMap<String, &'a RawValue>;

fn renamed(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let mut fields: Fields<'_> = serde_json::from_slice(body).ok()?;
    let name = to_raw_value(model).ok()?;
    *fields.get_mut("model")? = &name;
    serde_json::to_vec(&fields).ok()
}

fn of_gemini(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let mut fields: Fields<'_> = serde_json::from_slice(body).ok()?;
    let name = to_raw_value(&format!("models/{}", ApiBase::Gemini.model(model))).ok()?;
    let mut batch: Option<Vec<Fields<'_>>> =
        fields.get("requests").map(|requests| serde_json::from_str(requests.get())).transpose().ok()?;
    let of_batch = batch.iter_mut().flatten().filter_map(|request| request.get_mut("model"));
    of_batch.for_each(|field| *field = &name);
    let batch = batch.as_ref().map(to_raw_value).transpose().ok()?;
    if let Some(batch) = &batch {
        fields.insert("requests".to_owned(), batch);
    }
    let mut counted: Option<Fields<'_>> =
        fields.get(COUNTED).map(|counted| serde_json::from_str(counted.get())).transpose().ok()?;
    if let Some(field) = counted.as_mut().and_then(|counted| counted.get_mut("model")) {
        *field = &name;
    }
    let counted = counted.as_ref().map(to_raw_value).transpose().ok()?;
    if let Some(counted) = &counted {
        fields.insert(COUNTED.to_owned(), counted);
    }
    if let Some(field) = fields.get_mut("model") {
        *field = &name;
    }
    serde_json::to_vec(&fields).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::provider_tests::{key, provider};

    fn at(api: ApiBase, paths: Paths) -> Provider {
        Provider { api, paths, base_url: "http://x".to_owned(), ..provider("p", vec![key("k")]) }
    }

    #[test]
    fn each_protocol_has_its_paths() {
        let cases = [
            (ApiBase::OpenAi, Paths::Versioned, Endpoint::ChatCompletions, "http://x/v1/chat/completions"),
            (ApiBase::Anthropic, Paths::Versioned, Endpoint::Messages, "http://x/v1/messages"),
            (
                ApiBase::Gemini,
                Paths::Versioned,
                Endpoint::StreamGenerateContent,
                "http://x/v1beta/models/m%2F1:streamGenerateContent?alt=sse",
            ),
            (
                ApiBase::OpenAi,
                Paths::Azure,
                Endpoint::Embeddings,
                "http://x/openai/deployments/m%2F1/embeddings?api-version=2024-10-21",
            ),
            (ApiBase::OpenAi, Paths::Azure, Endpoint::Responses, "http://x/openai/v1/responses?api-version=preview"),
        ];
        for (api, paths, endpoint, expected) in cases {
            assert_eq!(url(&at(api, paths), None, endpoint, "m/1"), expected);
        }
    }

    #[test]
    fn a_key_can_have_a_place_and_a_version_of_its_own() {
        let mut own = key("k");
        own.base_url = Some("http://y".to_owned());
        own.api_version = Some("2025-01-01-preview".to_owned());
        let provider = at(ApiBase::OpenAi, Paths::Azure);
        let expected = "http://y/openai/deployments/d/chat/completions?api-version=2025-01-01-preview";
        assert_eq!(url(&provider, Some(&own), Endpoint::ChatCompletions, "d"), expected);
    }

    #[test]
    fn a_key_stands_where_its_protocol_has_it() {
        for (api, paths, name, value) in [
            (ApiBase::OpenAi, Paths::Versioned, "authorization", "Bearer k"),
            (ApiBase::OpenAi, Paths::Azure, "api-key", "k"),
            (ApiBase::Anthropic, Paths::Versioned, "x-api-key", "k"),
            (ApiBase::Gemini, Paths::Versioned, "x-goog-api-key", "k"),
        ] {
            let headers = headers(&at(api, paths), Some(&key("k")), &HeaderMap::new());
            assert_eq!(headers.get(name).unwrap(), value);
        }
        let none = headers(&at(ApiBase::OpenAi, Paths::Versioned), Some(&key("")), &HeaderMap::new());
        assert!(!none.contains_key("authorization"));
    }

    #[test]
    fn of_the_callers_headers_only_the_protocols_own_are_passed_on() {
        let mut callers = HeaderMap::new();
        for name in ["anthropic-beta", "anthropic-version", "openai-beta", "traceparent", "cookie", "authorization"] {
            callers.insert(name, HeaderValue::from_static("theirs"));
        }
        let sent = |api| headers(&at(api, Paths::Versioned), None, &callers);
        let anthropic = sent(ApiBase::Anthropic);
        assert_eq!(anthropic["anthropic-beta"], "theirs");
        assert_eq!(anthropic["anthropic-version"], "theirs");
        assert_eq!(anthropic.len(), 4);
        assert_eq!(sent(ApiBase::OpenAi).len(), 3);
        assert_eq!(sent(ApiBase::Gemini).len(), 2);
        assert_eq!(anthropic["traceparent"], "theirs");
        let bare = headers(&at(ApiBase::Anthropic, Paths::Versioned), None, &HeaderMap::new());
        assert_eq!(bare["anthropic-version"], "2023-06-01");
    }

    #[test]
    fn a_list_that_the_caller_sends_in_several_lines_is_passed_on_whole() {
        let mut callers = HeaderMap::new();
        for name in ["anthropic-beta", "openai-beta", "anthropic-version", "traceparent", "tracestate"] {
            for line in ["one", "two=2,three"] {
                callers.append(name, HeaderValue::from_static(line));
            }
        }
        let sent = |api| headers(&at(api, Paths::Versioned), None, &callers);
        let anthropic = sent(ApiBase::Anthropic);
        assert_eq!(anthropic["anthropic-beta"], "one,two=2,three");
        assert_eq!(anthropic["tracestate"], "one,two=2,three");
        assert_eq!(sent(ApiBase::OpenAi)["openai-beta"], "one,two=2,three");
        assert_eq!(anthropic["anthropic-version"], "one");
        assert_eq!(anthropic["traceparent"], "one");
        assert_eq!(anthropic.len(), 5);
    }

    #[test]
    fn an_alias_stands_in_the_body_and_nothing_else_changes() {
        let aliased = |api, body: &'static str, model| with_model(&Bytes::from_static(body.as_bytes()), api, model);
        for api in [ApiBase::OpenAi, ApiBase::Anthropic] {
            let body = r#"{"temperature":0.10,"model":"fast","requests":1}"#;
            assert_eq!(aliased(api, body, "gpt\"4"), body.replace("fast", "gpt\\\"4"));
            for same in ["{\"messages\":[]}", "no json"] {
                assert_eq!(aliased(api, same, "m"), same);
            }
        }
        for body in [
            r#"{"requests":[{"model":"models/fast","content":{}},{"model":"models/fast"}]}"#,
            r#"{"model":"models/fast","content":{"parts":[]}}"#,
            r#"{"contents":[]}"#,
            "no json",
        ] {
            assert_eq!(aliased(ApiBase::Gemini, body, "gem-1"), body.replace("fast", "gem-1"));
        }
    }
}

//! One call: its request, and all that the caller sees of the answer.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use indexmap::IndexMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use jiff::Timestamp;

use super::{
    answer::{Answer, End, Outgoing},
    sse::{SseEvent, SseReader},
};
use crate::{
    gateway::{load::lay_over, manifest::Method},
    scenario::call::{Call, RouteName},
};

/// What a model reports for each call, so that a request can be as large as it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
}

// A gateway that reserves holds the prompt's bytes as a bound of its tokens. So that the hold is
// the cost, a prompt has as many bytes as the model will report tokens; this bounds its size.
const LONGEST_PROMPT: u64 = 1 << 20;

/// The request's body, with the marker planted in its content.
pub fn body(call: &Call, marker: &str, size: Size) -> Option<Value> {
    let length = usize::try_from(size.input.min(LONGEST_PROMPT)).unwrap_or_default();
    let mut prompt = format!("{marker} ");
    while prompt.len() < length {
        prompt.push(if prompt.len() % 2 == 0 { 'a' } else { ' ' });
    }
    let most = call.max_tokens.unwrap_or(size.output.max(1));
    let mut body = match call.route {
        RouteName::Models => return None,
        RouteName::Embeddings => json!({ "model": call.model, "input": prompt }),
        RouteName::Responses => {
            json!({ "model": call.model, "input": prompt, "max_output_tokens": most, "stream": call.stream })
        }
        RouteName::Genai => json!({
            "contents": [{ "role": "user", "parts": [{ "text": prompt }] }],
            "generationConfig": { "maxOutputTokens": most },
        }),
        RouteName::Chat | RouteName::Messages => json!({
            "model": call.model,
            "messages": [{ "role": "user", "content": prompt }],
            "max_tokens": most,
            "stream": call.stream,
        }),
    };
    if let Some(over) = &call.body {
        lay_over(&mut body, over.clone());
    }
    Some(body)
}

/// Sends a call, and reads its answer to the end or the deadline.
pub async fn send(client: &Client, outgoing: &Outgoing) -> Answer {
    let started = Instant::now();
    let mut answer = Answer {
        sent: outgoing.clone(),
        started: Timestamp::now(),
        status: None,
        headers: IndexMap::new(),
        bytes: Vec::new(),
        events: 0,
        streamed: false,
        end: End::TimedOut,
        took: Duration::ZERO,
    };
    let read = read(request(client, outgoing), outgoing, &mut answer);
    // Whatever was seen before the deadline stays in the answer.
    if let Ok(end) = tokio::time::timeout(outgoing.deadline, read).await {
        answer.end = end;
    }
    answer.took = started.elapsed();
    answer
}

/// A client as programs behind a gateway have it, without retries, redirects or proxies of its own.
///
/// # Errors
/// When the system has no randomness or no certificates for TLS.
pub fn client() -> Result<Client, reqwest::Error> {
    // Already installed by an earlier client of this process: that is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .build()
}

fn request(client: &Client, outgoing: &Outgoing) -> RequestBuilder {
    let mut request = client.request(verb(outgoing.method), &outgoing.url);
    if let Some(body) = &outgoing.body {
        request = request.json(body);
    }
    for (name, value) in &outgoing.headers {
        request = request.header(name, value);
    }
    request
}

/// The method as the client has it.
pub(super) fn verb(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// The method of a call: all but lists of models are asked for with a body.
#[must_use]
pub fn method(route: RouteName) -> Method {
    if route == RouteName::Models { Method::Get } else { Method::Post }
}

async fn read(request: RequestBuilder, outgoing: &Outgoing, answer: &mut Answer) -> End {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return End::NoAnswer(cause(&error)),
    };
    answer.status = Some(response.status().as_u16());
    for (name, value) in response.headers() {
        answer.headers.insert(name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let kind = answer.headers.get("content-type").map_or("", String::as_str);
    answer.streamed = response.status().is_success() && kind.starts_with("text/event-stream");
    let mut events = SseReader::default();
    let mut last = Progress::default();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => return last.error.map_or_else(|| End::Broken(cause(&error)), End::ErrorEvent),
        };
        answer.bytes.extend_from_slice(&chunk);
        if answer.streamed {
            for event in events.push(&chunk) {
                answer.events += 1;
                last.note(outgoing.route, &event);
            }
        }
        if outgoing.hang_up_after.is_some_and(|after| answer.events >= after) {
            return End::HungUp;
        }
    }
    match last {
        _ if !answer.streamed => End::Complete,
        Progress { error: Some(event), .. } => End::ErrorEvent(event),
        Progress { ended: true, .. } => End::Complete,
        Progress { .. } => End::NoEndMarker,
    }
}

/// What the events of a stream have shown so far.
#[derive(Debug, Default)]
struct Progress {
    ended: bool,
    error: Option<String>,
}

impl Progress {
    fn note(&mut self, route: RouteName, event: &SseEvent) {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let is_error = event.name == "error"
            || data["type"] == "response.failed"
            || data.get("error").is_some_and(|error| !error.is_null());
        if is_error && self.error.is_none() {
            self.error = Some(event.data.clone());
        }
        self.ended |= match route {
            RouteName::Messages => event.name == "message_stop" || data["type"] == "message_stop",
            RouteName::Responses => data["type"] == "response.completed" || data["type"] == "response.incomplete",
            // It has no end marker: the last event says why it ended.
            RouteName::Genai => data.pointer("/candidates/0/finishReason").is_some_and(|reason| !reason.is_null()),
            _ => event.data.trim() == "[DONE]",
        };
    }
}

/// The innermost cause: what a person needs to know of a failed request.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_gemini_has_not_ended_while_its_reason_to_finish_is_null() {
        let ended = |data: &str| {
            let mut progress = Progress::default();
            progress.note(RouteName::Genai, &SseEvent { name: String::new(), data: data.to_owned() });
            progress.ended
        };
        assert!(!ended(r#"{"candidates": [{"finishReason": null}]}"#));
        assert!(!ended(r#"{"candidates": [{}]}"#));
        assert!(ended(r#"{"candidates": [{"finishReason": "STOP"}]}"#));
    }
}

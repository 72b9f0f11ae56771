//! What callers do, and what they see of it.

use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::levels::{KEYS, MODELS, PROVIDERS};
use super::sums::{MAX_TOKENS, PROMPT_BYTES};
use super::{Dice, Door, PATIENCE};

/// A provider and a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) provider: &'static str,
    pub(super) model: &'static str,
}

/// With this every prompt begins, and so its first word, the call's marker.
pub(super) const MARKED_BY: &str = "call-";

/// What a caller speaks.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Openai,
    Anthropic,
    Gemini,
}

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// No gateway listened.
    Unsent,
    /// No head of an answer came: the gateway was killed, or the caller left.
    Silent,
    /// The answer began and was not read to its end.
    Begun,
    /// The whole answer came, with this status.
    Whole(u16),
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// The first word of its prompt.
    pub(super) marker: String,
    pub(super) key: Option<&'static str>,
    /// In the order in which they may be tried.
    pub(super) targets: Vec<Target>,
    pub(super) is_stream: bool,
    protocol: Protocol,
    /// The gateway's process that was called.
    pub(super) process: usize,
    pub(super) end: End,
    /// Whether the answer says that a provider was given up since its time was over.
    pub(super) has_timed_out: bool,
    /// Whether it was refused for a limit of tokens.
    pub(super) is_token_limited: bool,
}

/// One caller's calls, one after the other, until there is no gateway any more.
pub(super) async fn calls_of(number: u64, mut dice: Dice, mut door: watch::Receiver<Door>) -> Vec<Call> {
    let client = Client::builder().no_proxy().build().unwrap();
    let mut calls = Vec::new();
    loop {
        let Ok(open) = door.wait_for(Option::is_some).await.map(|open| open.clone()) else { return calls };
        let (process, url) = open.unwrap();
        let mut call = Call {
            marker: format!("{MARKED_BY}{number}-{}", calls.len()),
            key: KEYS.get(dice.place(KEYS.len() + 1)).copied(),
            targets: targets(&mut dice),
            is_stream: dice.below(2) == 0,
            protocol: *dice.pick(&[Protocol::Openai, Protocol::Anthropic, Protocol::Gemini]),
            process,
            end: End::Unsent,
            has_timed_out: false,
            is_token_limited: false,
        };
        call.end = make(&mut call, &client, &url, &mut dice).await;
        calls.push(call);
    }
}

/// One to three providers in any order, all for one model.
fn targets(dice: &mut Dice) -> Vec<Target> {
    let model = *dice.pick(&MODELS);
    let mut providers = PROVIDERS.to_vec();
    providers.rotate_left(dice.place(3));
    providers.truncate(1 + dice.place(3));
    providers.into_iter().map(|provider| Target { provider, model }).collect()
}

/// The path and the body of a call.
fn request(call: &Call) -> (String, Value) {
    let names: Vec<String> =
        call.targets.iter().map(|target| format!("{}/{}", target.provider, target.model)).collect();
    let prompt = format!("{:.<width$}", format!("{} ", call.marker), width = PROMPT_BYTES);
    let path = match (call.protocol, call.is_stream) {
        (Protocol::Openai, _) => "/v1/chat/completions".to_owned(),
        (Protocol::Anthropic, _) => "/anthropic/v1/messages".to_owned(),
        (Protocol::Gemini, true) => format!("/genai/v1beta/models/{}:streamGenerateContent?alt=sse", names[0]),
        (Protocol::Gemini, false) => format!("/genai/v1beta/models/{}:generateContent", names[0]),
    };
    let body = match call.protocol {
        Protocol::Gemini => json!({
            "fallbacks": names[1..],
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "generationConfig": {"maxOutputTokens": MAX_TOKENS},
        }),
        Protocol::Openai | Protocol::Anthropic => json!({
            "model": names[0],
            "fallbacks": names[1..],
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": MAX_TOKENS,
            "stream": call.is_stream,
        }),
    };
    (path, body)
}

/// Makes the call, and says how it ended. One caller in six leaves before the answer, or after
/// some of it.
async fn make(call: &mut Call, client: &Client, url: &str, dice: &mut Dice) -> End {
    let leaves_at_once = dice.below(12) == 0;
    let pieces = (dice.below(12) == 0).then(|| dice.below(5));
    let (path, body) = request(call);
    let mut request = client.post(format!("{url}{path}")).json(&body);
    if let Some(key) = call.key {
        request = request.bearer_auth(key);
    }
    let patience = if leaves_at_once { Duration::from_millis(dice.below(20)) } else { PATIENCE };
    match timeout(patience, request.send()).await {
        Err(_) => {
            assert!(leaves_at_once, "no answer to {call:?}");
            End::Silent
        }
        Ok(Err(error)) if error.is_connect() => End::Unsent,
        Ok(Err(_)) => End::Silent,
        Ok(Ok(response)) => {
            let attempts = response.headers().get("x-gateway-attempts").map(|tried| tried.to_str().unwrap());
            call.has_timed_out = attempts.is_some_and(|tried| tried.contains(":timeout"));
            let (end, text) = timeout(PATIENCE, read(response, pieces)).await.expect("an answer without an end");
            call.is_token_limited = end == End::Whole(429) && text.contains("token_limited");
            end
        }
    }
}

/// Reads the answer to its end, or so many pieces of it: how it ended, and what was read.
async fn read(mut response: Response, mut pieces: Option<u64>) -> (End, String) {
    let status = response.status().as_u16();
    let mut text = String::new();
    loop {
        if pieces == Some(0) {
            return (End::Begun, text);
        }
        pieces = pieces.map(|left| left - 1);
        match response.chunk().await {
            Ok(Some(chunk)) => text.push_str(&String::from_utf8_lossy(&chunk)),
            Ok(None) => return (End::Whole(status), text),
            Err(_) => return (End::Begun, text),
        }
    }
}

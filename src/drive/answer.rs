//! What a caller saw of one call.

use std::{borrow::Cow, time::Duration};

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value;

use crate::{gateway::manifest::Method, scenario::call::RouteName};

/// A call, ready to be sent to a gateway or straight to the upstream.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The text planted in the request, by which the ledger's entry is found.
    pub marker: String,
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its JSON body, if it has one.
    pub body: Option<Value>,
    /// The route, which says how a stream ends.
    pub route: RouteName,
    /// The caller leaves after so many events.
    pub hang_up_after: Option<u32>,
    /// How long the whole answer may take.
    pub deadline: Duration,
}

/// What a caller saw of one call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The call.
    pub sent: Outgoing,
    /// When it was sent.
    pub started: Timestamp,
    /// The status, if an answer began.
    pub status: Option<u16>,
    /// The headers, names in lower case.
    pub headers: IndexMap<String, String>,
    /// The body's bytes, as far as they were read.
    pub bytes: Vec<u8>,
    /// Events of a stream.
    pub events: u32,
    /// Whether the answer is a stream of events.
    pub streamed: bool,
    /// How it ended.
    pub end: End,
    /// From sending the request to the end.
    pub took: Duration,
}

/// How an answer ended for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should: the whole body, and a stream's end marker.
    Complete,
    /// A stream that was closed without its end marker.
    NoEndMarker,
    /// An error event in a stream.
    ErrorEvent(String),
    /// The connection broke in the middle.
    Broken(String),
    /// The deadline passed before the end.
    TimedOut,
    /// The caller left, as the scenario says.
    HungUp,
    /// No answer began.
    NoAnswer(String),
}

impl Answer {
    /// Whether the call was served: 2xx, and a stream that began, or a whole answer that is no error.
    #[must_use]
    pub fn served(&self) -> bool {
        let success = self.status.is_some_and(|status| (200..300).contains(&status));
        success && (self.streamed || self.is_whole_json())
    }

    /// Whether the caller got all that was asked for: a stream's end too, unless the caller left.
    #[must_use]
    pub fn served_whole(&self) -> bool {
        self.served() && matches!(self.end, End::Complete | End::HungUp)
    }

    fn is_whole_json(&self) -> bool {
        let json = self.json();
        self.end == End::Complete && json.is_object() && json.get("error").is_none_or(Value::is_null)
    }

    /// The body as text.
    #[must_use]
    pub fn body(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The answer in a phrase, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let status = self.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let end = match &self.end {
            End::Complete if self.streamed => " (a stream, complete)".to_owned(),
            End::Complete => String::new(),
            End::NoEndMarker => " (a stream, closed without its end marker)".to_owned(),
            End::ErrorEvent(event) => format!(" (a stream, with the error event {})", shortened(event)),
            End::Broken(error) => format!(" (broken: {error})"),
            End::TimedOut => format!(" (not ended after {} s)", self.took.as_secs()),
            End::HungUp => " (left by the caller)".to_owned(),
            End::NoAnswer(error) => format!(": {error}"),
        };
        let body = if self.status.is_some() && !self.served() {
            format!(" {}", shortened(&self.body()))
        } else {
            String::new()
        };
        format!("{status}{end}{body}")
    }
}

/// Text of at most 300 characters, on one line.
#[must_use]
pub fn shortened(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    if text.chars().count() > 300 { format!("{line}…") } else { line }
}

//! How what is said to a caller stands in the body of an answer.

use bytes::Bytes;
use serde_json::json;

use super::watch::Protocol;
use crate::translate::Said;

/// The body of a stream: server-sent events, or Gemini's other form, one JSON array.
#[derive(Debug)]
pub(crate) enum Frame {
    Events,
    Array { is_empty: bool },
}

impl Frame {
    pub(crate) fn new(as_array: bool) -> Frame {
        if as_array { Frame::Array { is_empty: true } } else { Frame::Events }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Frame::Events => "text/event-stream",
            Frame::Array { .. } => "application/json",
        }
    }

    /// What is said, in the body.
    pub(crate) fn all(&mut self, said: &[Said]) -> Bytes {
        let mut out = String::new();
        for said in said {
            self.one(said, &mut out);
        }
        out.into()
    }

    fn one(&mut self, said: &Said, out: &mut String) {
        match self {
            Frame::Events => said.write(out),
            Frame::Array { is_empty } => {
                out.push_str(if *is_empty { "[" } else { ",\r\n" });
                *is_empty = false;
                out.push_str(&said.data);
            }
        }
    }

    /// An event as the provider sent it, whose data is `data`.
    pub(crate) fn as_is(&mut self, raw: Bytes, data: &str) -> Bytes {
        match self {
            Frame::Events => raw,
            // A comment is no item.
            Frame::Array { .. } if data.trim().is_empty() => Bytes::new(),
            Frame::Array { .. } => self.all(&[Said { name: None, data: data.to_owned() }]),
        }
    }

    /// What ends a whole stream.
    pub(crate) fn end(&self) -> &'static str {
        match self {
            Frame::Events => "",
            Frame::Array { is_empty: true } => "[]",
            Frame::Array { is_empty: false } => "]",
        }
    }
}

/// The event that tells a caller of a failure inside the stream.
pub(crate) fn failure(protocol: Protocol, message: &str) -> Said {
    let kind = "upstream_broken";
    match protocol {
        Protocol::Completions => Said::data(&json!({
            "error": { "message": message, "type": kind, "code": kind },
            "is_bifrost_error": true,
        })),
        Protocol::Responses => {
            Said::named("error", &json!({ "type": "error", "code": kind, "message": message, "param": null }))
        }
        Protocol::Messages => Said::named(
            "error",
            &json!({ "type": "error", "error": { "type": "api_error", "code": kind, "message": message } }),
        ),
        Protocol::Content => Said::data(&crate::errors::gemini_error(502, kind, message, &[])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(data: &str) -> Said {
        Said { name: None, data: data.to_owned() }
    }

    #[test]
    fn an_array_opens_with_its_first_piece_and_closes_only_when_whole() {
        let mut frame = Frame::new(true);
        assert_eq!(frame.end(), "[]");
        assert_eq!(frame.all(&[said("1"), said("2")]), "[1,\r\n2");
        assert_eq!(frame.as_is(Bytes::from_static(b": wait\n\n"), ""), "");
        assert_eq!(frame.as_is(Bytes::from_static(b"data: 3\n\n"), "3"), ",\r\n3");
        assert_eq!(frame.end(), "]");
    }

    #[test]
    fn events_go_on_as_they_came() {
        let mut frame = Frame::new(false);
        assert_eq!(frame.as_is(Bytes::from_static(b"data: 3\r\n\r\n"), "3"), "data: 3\r\n\r\n");
        assert_eq!(frame.all(&[said("[DONE]")]), "data: [DONE]\n\n");
        assert_eq!(frame.end(), "");
    }
}

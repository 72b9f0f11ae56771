//! An answer before it is written: a head and the frames of its body.

use std::fmt;
use std::io::Write as _;

use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Serialize;

const JSON: &str = "application/json";
const GEMINI_JSON: &str = "application/json; charset=UTF-8";
const GEMINI_EVENT_STREAM: &str = "text/event-stream";
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    /// In one piece, with a length.
    Whole(Bytes),
    /// A stream.
    Frames(Vec<Frame>),
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) part: Part,
}

/// What a frame is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Before the content.
    Opening,
    /// A piece of the content, and the output tokens that it stands for.
    Delta { tokens: u64 },
    /// After the content: finish reason, usage.
    Closing,
    /// What tells the reader that nothing follows.
    EndMarker,
}

impl Part {
    pub(crate) fn frame(self, bytes: Bytes) -> Frame {
        Frame { bytes, part: self }
    }
}

impl Frame {
    /// How many events it holds: each ends with an empty line, and its JSON has none.
    pub(crate) fn events(&self) -> usize {
        self.bytes.windows(2).filter(|pair| pair == b"\n\n").count()
    }
}

impl Body {
    /// All bytes of the body.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Body::Whole(bytes) => bytes,
            Body::Frames(frames) => {
                let mut bytes = Vec::new();
                for frame in frames {
                    bytes.extend_from_slice(&frame.bytes);
                }
                bytes.into()
            }
        }
    }
}

impl Answer {
    pub(crate) fn json(value: &impl Serialize) -> Answer {
        Answer::whole(written(|to| serde_json::to_writer(to, value)))
    }

    pub(crate) fn whole(bytes: Bytes) -> Answer {
        Answer { status: 200, content_type: JSON, headers: Vec::new(), body: Body::Whole(bytes) }
    }

    pub(crate) fn stream(frames: Vec<Frame>) -> Answer {
        Answer { status: 200, content_type: EVENT_STREAM, headers: Vec::new(), body: Body::Frames(frames) }
    }

    pub(crate) fn gemini_json(bytes: Bytes) -> Answer {
        Answer { content_type: GEMINI_JSON, ..Answer::whole(bytes) }
    }

    pub(crate) fn gemini_events(frames: Vec<Frame>) -> Answer {
        Answer { content_type: GEMINI_EVENT_STREAM, ..Answer::stream(frames) }
    }

    pub(crate) fn gemini_array(frames: Vec<Frame>) -> Answer {
        Answer { content_type: GEMINI_JSON, ..Answer::stream(frames) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl fmt::Display) -> Answer {
        // A value that no header can carry comes from nowhere but a script's own text.
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

/// `data: {…}` and an empty line.
pub(crate) fn data(value: &impl Serialize) -> Bytes {
    data_until(value, b"\n\n")
}

/// The same with CRLF, as Gemini writes it.
pub(crate) fn data_crlf(value: &impl Serialize) -> Bytes {
    data_until(value, b"\r\n\r\n")
}

fn data_until(value: &impl Serialize, end: &[u8]) -> Bytes {
    written(|to| {
        to.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *to, value)?;
        to.extend_from_slice(end);
        Ok(())
    })
}

/// `event: name`, `data: {…}` and an empty line.
pub(crate) fn event(name: &str, value: &impl Serialize) -> Bytes {
    written(|to| {
        write!(to, "event: {name}\ndata: ").map_err(serde_json::Error::io)?;
        serde_json::to_writer(&mut *to, value)?;
        to.extend_from_slice(b"\n\n");
        Ok(())
    })
}

/// Events that belong to one piece of the content: they are sent, and cut off, together.
pub(crate) fn joined(events: impl IntoIterator<Item = Bytes>) -> Bytes {
    let mut events = events.into_iter();
    let first = events.next().unwrap_or_default();
    events.fold(first, |all, event| [all, event].concat().into())
}

/// What stands before the item of this index in a streamed array.
pub(crate) fn array_item(index: usize) -> &'static [u8] {
    if index == 0 { b"[" } else { b",\r\n" }
}

/// JSON over several lines, as Gemini writes it.
pub(crate) fn pretty(value: &impl Serialize) -> Bytes {
    [&pretty_lines(value)[..], b"\n"].concat().into()
}

/// The same without the newline at its end.
pub(crate) fn pretty_lines(value: &impl Serialize) -> Bytes {
    written(|to| serde_json::to_writer_pretty(to, value))
}

/// What `write` puts into a buffer.
pub(crate) fn written(write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    #[expect(clippy::expect_used, reason = "a buffer takes every byte, and all that is written here has string keys")]
    write(&mut bytes).expect("JSON into a buffer");
    bytes.into()
}

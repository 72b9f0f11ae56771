//! Server-sent events out of bytes that arrive in any pieces.

use bytes::{Bytes, BytesMut};

/// An event larger than this is no event of a model's answer.
const LARGEST_EVENT: usize = 16 << 20;

/// One event, with the bytes that carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// As received, with the blank line at its end.
    pub(crate) raw: Bytes,
    /// The value of `event:`, or nothing.
    pub(crate) name: String,
    /// The values of `data:`, joined by line feeds.
    pub(crate) data: String,
}

impl Event {
    /// Whether it has data. A comment, which keeps a connection alive, has none, and is nothing
    /// that a model said.
    pub(crate) fn says_something(&self) -> bool {
        !self.data.trim().is_empty()
    }
}

/// A stream that carries an event without end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an event of the stream is larger than 16 MiB")]
pub(crate) struct TooLarge;

/// Collects bytes until they make up an event.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    buffer: BytesMut,
    /// How much of the buffer has been looked through, always up to a line's start.
    scanned: usize,
    /// How many bytes of the line that begins there are known to have no end of it.
    unended: usize,
}

impl Parser {
    /// Adds bytes as they arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.buffer.len() + bytes.len() > LARGEST_EVENT {
            return Err(TooLarge);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether what has arrived of the next event is more than the beginning of a comment.
    pub(crate) fn has_begun_event(&self) -> bool {
        self.buffer.iter().find(|byte| !matches!(byte, b'\n' | b'\r')).is_some_and(|byte| *byte != b':')
    }

    /// Takes the next whole event out. Without one, more bytes are needed.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        loop {
            let rest = self.buffer.get(self.scanned..)?;
            let Some((length, ending)) = line(rest, self.unended) else {
                // The last byte may be half of an ending.
                self.unended = rest.len().saturating_sub(1);
                return None;
            };
            self.unended = 0;
            self.scanned += length + ending;
            // A blank line ends the event.
            if length == 0 {
                let raw = self.buffer.split_to(self.scanned).freeze();
                self.scanned = 0;
                return Some(event(raw));
            }
        }
    }
}

/// The length of the first line, whose first `unended` bytes have no end of it, and of its ending.
/// A carriage return that ends what has arrived may be half of an ending: more is needed.
fn line(bytes: &[u8], unended: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(unended..)?;
    let length = unended + rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    match (bytes.get(length), bytes.get(length + 1)) {
        (Some(b'\r'), None) => None,
        (Some(b'\r'), Some(b'\n')) => Some((length, 2)),
        _ => Some((length, 1)),
    }
}

fn event(raw: Bytes) -> Event {
    let text = String::from_utf8_lossy(&raw);
    let mut name = String::new();
    let mut data: Option<String> = None;
    for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => match &mut data {
                None => data = Some(value.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
            },
            _ => {}
        }
    }
    let data = data.unwrap_or_default();
    drop(text);
    Event { raw, name, data }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece).unwrap();
            while let Some(event) = parser.next_event() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn every_kind_of_line_ending_separates_events() {
        let text = "event: a\ndata: 1\ndata: 2\n\ndata: 3\r\n\r\n: comment\rdata:4\r\rx";
        let seen = events([text.as_bytes()]);
        let seen: Vec<_> = seen.iter().map(|event| (event.name.as_str(), event.data.as_str())).collect();
        assert_eq!(seen, [("a", "1\n2"), ("", "3"), ("", "4")]);
    }

    #[test]
    fn a_comment_says_nothing_and_begins_nothing() {
        let said = |text: &str| events([text.as_bytes()]).iter().map(Event::says_something).collect::<Vec<_>>();
        assert_eq!(
            said(": wait\n\n\n\nevent: ping\n\ndata: \n\ndata: 1\n\n"),
            [false, false, false, false, false, true]
        );
        let begun = |text: &str| {
            let mut parser = Parser::default();
            parser.push(text.as_bytes()).unwrap();
            while parser.next_event().is_some() {}
            parser.has_begun_event()
        };
        assert!(begun("data: {") && begun(": wait\n\nda"));
        assert!(!begun("") && !begun(": wait\n\n") && !begun("\n\n: wa"));
    }

    #[test]
    fn half_an_event_is_none() {
        assert!(events([b"data: 1\n".as_slice()]).is_empty());
    }

    #[test]
    fn a_line_in_many_pieces_is_looked_through_once() {
        let mut parser = Parser::default();
        let piece = [b'x'; 64];
        let begun = std::time::Instant::now();
        // Looked through anew at each piece, these would be 137 GB.
        for pieces in 1..=(LARGEST_EVENT / 64 / 4) {
            parser.push(&piece).unwrap();
            assert!(parser.next_event().is_none());
            assert_eq!(parser.unended, 64 * pieces - 1);
        }
        parser.push(b"\n\n").unwrap();
        assert_eq!(parser.next_event().unwrap().raw.len(), LARGEST_EVENT / 4 + 2);
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        let outcome = (0..17).try_for_each(|_| parser.push(&piece));
        assert_eq!(outcome, Err(TooLarge));
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_bytes_arrive_do_not_matter(
            texts in prop::collection::vec("[a-zäöü€😀:{}\" ]{0,12}", 0..8),
            endings in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 8),
            cuts in prop::collection::vec(1_usize..9, 1..20),
        ) {
            let mut bytes = Vec::new();
            for (text, ending) in texts.iter().zip(&endings) {
                bytes.extend(format!("data: {text}{ending}{ending}").into_bytes());
            }
            bytes.extend(b"data: [DONE]\n\n");
            let mut pieces = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            let split = events(pieces);
            prop_assert_eq!(&split, &events([bytes.as_slice()]));
            let joined: Vec<u8> = split.iter().flat_map(|event| event.raw.to_vec()).collect();
            prop_assert_eq!(joined, bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            events([bytes.as_slice()]);
        }
    }
}

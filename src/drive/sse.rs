//! Server-sent events, read from bytes that may be cut anywhere
//! (WHATWG HTML, "Server-sent events", parsing an event stream).

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event:` field; empty if there was none.
    pub name: String,
    /// The `data:` lines, joined by newlines.
    pub data: String,
}

/// Reads events from a byte stream, however it is cut.
#[derive(Debug, Default)]
pub struct SseReader {
    line: Vec<u8>,
    after_return: bool,
    event: SseEvent,
    has_data: bool,
}

impl SseReader {
    /// Takes the next bytes, and gives the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        let mut events = Vec::new();
        for &byte in bytes {
            // A line ends with CR, LF, or CR LF.
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str =
        ": hello\r\n\r\nevent: delta\r\ndata: {\"text\":\"東京 🍵\"}\r\n\r\ndata: a\ndata: b\n\ndata: [DONE]\n\n";

    fn read(chunks: &[&[u8]]) -> Vec<SseEvent> {
        let mut reader = SseReader::default();
        chunks.iter().flat_map(|chunk| reader.push(chunk)).collect()
    }

    fn event(name: &str, data: &str) -> SseEvent {
        SseEvent { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn comments_are_no_events_and_data_lines_are_joined() {
        let events = [event("delta", "{\"text\":\"東京 🍵\"}"), event("", "a\nb"), event("", "[DONE]")];
        assert_eq!(read(&[STREAM.as_bytes()]), events);
    }

    #[test]
    fn an_event_without_its_blank_line_is_not_given() {
        assert_eq!(read(&[b"data: a\n"]), []);
    }

    proptest! {
        #[test]
        fn the_events_do_not_depend_on_where_the_bytes_are_cut(cuts in prop::collection::vec(0..STREAM.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&chunks), read(&[STREAM.as_bytes()]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&[&bytes]);
        }
    }
}

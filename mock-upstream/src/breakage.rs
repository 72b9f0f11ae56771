//! What a fault does to an answer, before time and sockets come into it.

use bytes::Bytes;

use crate::answer::{Answer, Body, Frame, Part};
use crate::fault::Fault;

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As HTTP has it.
    Proper,
    /// The connection is reset.
    Reset,
    /// The connection closes in the middle.
    Closed,
    /// Nothing more is sent, and the connection stays open.
    LeftOpen,
}

/// An answer as it will be sent.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) answer: Answer,
    pub(crate) ending: Ending,
    /// Whether the client gets something else than the answer that was made.
    pub(crate) faulted: bool,
}

/// Applies a fault. `error` makes the event that tells a stream's reader of an error, from the
/// frames before it.
pub(crate) fn broken(mut answer: Answer, fault: &Fault, error: impl FnOnce(&[Frame]) -> Frame) -> Broken {
    let mut ending = Ending::Proper;
    let before = answer.body.clone();
    match fault {
        Fault::Cut { after_chunks } => answer.body.cut(*after_chunks),
        Fault::Truncate { after_chunks } => {
            answer.body.cut(*after_chunks);
            ending = Ending::Closed;
        }
        Fault::ResetInBody { after_chunks } => {
            answer.body.cut(*after_chunks);
            ending = Ending::Reset;
        }
        Fault::ErrorEvent { after_chunks } => {
            answer.body.cut(*after_chunks);
            if let Body::Frames(frames) = &mut answer.body {
                frames.push(error(frames));
            }
        }
        Fault::NoEndMarker => answer.body.drop_end_marker(),
        Fault::NoEndMarkerOpen => {
            answer.body.drop_end_marker();
            if matches!(answer.body, Body::Frames(_)) {
                ending = Ending::LeftOpen;
            }
        }
        Fault::MalformedJson => answer.body.malform(),
        // The answer was made without it.
        Fault::MissingUsage
        | Fault::Ok
        | Fault::Status { .. }
        | Fault::Hang
        | Fault::ResetBefore
        | Fault::SlowDrip { .. }
        | Fault::Split { .. } => {}
    }
    let faulted = ending != Ending::Proper || answer.body != before;
    Broken { answer, ending, faulted }
}

impl Body {
    /// Keeps so many content deltas of a stream, or half of a whole body.
    fn cut(&mut self, after_chunks: u32) {
        match self {
            Body::Whole(bytes) => bytes.truncate(bytes.len() / 2),
            Body::Frames(frames) => {
                let mut left = after_chunks;
                frames.retain(|frame| match frame.part {
                    Part::Opening => true,
                    Part::Delta { .. } => {
                        let keep = left > 0;
                        left = left.saturating_sub(1);
                        keep
                    }
                    Part::Closing | Part::EndMarker => false,
                });
            }
        }
    }

    fn drop_end_marker(&mut self) {
        if let Body::Frames(frames) = self {
            frames.retain(|frame| frame.part != Part::EndMarker);
        }
    }

    /// Takes the last brace from the body, or from the first content delta.
    fn malform(&mut self) {
        let bytes = match self {
            Body::Whole(bytes) => Some(bytes),
            Body::Frames(frames) => {
                frames.iter_mut().find(|frame| matches!(frame.part, Part::Delta { .. })).map(|frame| &mut frame.bytes)
            }
        };
        if let Some(bytes) = bytes
            && let Some(at) = bytes.iter().rposition(|byte| *byte == b'}')
        {
            *bytes = Bytes::from([&bytes[..at], &bytes[at + 1..]].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Answer {
        let delta = Part::Delta { tokens: 5 };
        Answer::stream(vec![
            Part::Opening.frame("o".into()),
            delta.frame("{1}\n".into()),
            delta.frame("{2}\n".into()),
            Part::Closing.frame("c".into()),
            Part::EndMarker.frame("e".into()),
        ])
    }

    fn sent(answer: Answer, fault: &Fault) -> (String, Ending) {
        let broken = broken(answer, fault, |_| Part::Closing.frame("x".into()));
        let bytes = broken.answer.body.into_bytes();
        (String::from_utf8_lossy(&bytes).into_owned(), broken.ending)
    }

    #[test]
    fn a_stream_breaks_after_its_deltas() {
        for (fault, text, ending) in [
            (Fault::Ok, "o{1}\n{2}\nce", Ending::Proper),
            (Fault::Cut { after_chunks: 1 }, "o{1}\n", Ending::Proper),
            (Fault::Cut { after_chunks: 9 }, "o{1}\n{2}\n", Ending::Proper),
            (Fault::Truncate { after_chunks: 0 }, "o", Ending::Closed),
            (Fault::ResetInBody { after_chunks: 2 }, "o{1}\n{2}\n", Ending::Reset),
            (Fault::ErrorEvent { after_chunks: 1 }, "o{1}\nx", Ending::Proper),
            (Fault::NoEndMarker, "o{1}\n{2}\nc", Ending::Proper),
            (Fault::NoEndMarkerOpen, "o{1}\n{2}\nc", Ending::LeftOpen),
            (Fault::MalformedJson, "o{1\n{2}\nce", Ending::Proper),
        ] {
            assert_eq!(sent(stream(), &fault), (text.to_owned(), ending), "{fault:?}");
        }
    }

    #[test]
    fn a_fault_that_finds_nothing_to_change_is_none() {
        let faulted = |answer, fault| broken(answer, &fault, |_| Part::Closing.frame("x".into())).faulted;
        let whole = || Answer::whole("{12345}\n".into());
        assert!(!faulted(whole(), Fault::NoEndMarker));
        assert!(!faulted(whole(), Fault::NoEndMarkerOpen));
        assert!(!faulted(Answer::whole("no brace".into()), Fault::MalformedJson));
        assert!(faulted(whole(), Fault::MalformedJson));
        assert!(faulted(stream(), Fault::NoEndMarker));
        assert!(faulted(stream(), Fault::NoEndMarkerOpen));
    }

    #[test]
    fn a_whole_body_breaks_in_its_middle_and_has_no_end_marker() {
        let whole = || Answer::whole("{12345}\n".into());
        for (fault, text, ending) in [
            (Fault::Cut { after_chunks: 1 }, "{123", Ending::Proper),
            (Fault::ResetInBody { after_chunks: 1 }, "{123", Ending::Reset),
            (Fault::NoEndMarkerOpen, "{12345}\n", Ending::Proper),
            (Fault::MalformedJson, "{12345\n", Ending::Proper),
        ] {
            assert_eq!(sent(whole(), &fault), (text.to_owned(), ending), "{fault:?}");
        }
    }
}

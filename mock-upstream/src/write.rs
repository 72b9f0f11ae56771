//! From an answer's body to writes: what is sent at once, and after how long a wait.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::answer::{Body, Frame, Part};
use crate::fault::Fault;

/// Bytes that reach the socket in one go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    /// How long to wait before it.
    pub(crate) wait: Duration,
    pub(crate) bytes: Bytes,
    /// Output tokens whose delta begins in this write.
    pub(crate) tokens: u64,
}

/// The writes of a body. `between` is the wait before each content delta but the first.
pub(crate) fn writes(body: Body, between: Duration, fault: &Fault) -> VecDeque<Write> {
    let writes = match body {
        Body::Whole(bytes) => vec![Write { wait: Duration::ZERO, bytes, tokens: 0 }],
        Body::Frames(frames) => paced(frames, between),
    };
    match fault {
        Fault::Split { sizes } => split(&writes, sizes, Duration::ZERO),
        Fault::SlowDrip { bytes, every } => split(&writes, &[*bytes], every.duration()),
        _ => writes.into(),
    }
}

fn paced(frames: Vec<Frame>, between: Duration) -> Vec<Write> {
    let mut first = true;
    frames
        .into_iter()
        .map(|frame| {
            let (wait, tokens) = match frame.part {
                Part::Delta { tokens } if first => {
                    first = false;
                    (Duration::ZERO, tokens)
                }
                Part::Delta { tokens } => (between, tokens),
                Part::Opening | Part::Closing | Part::EndMarker => (Duration::ZERO, 0),
            };
            Write { wait, bytes: frame.bytes, tokens }
        })
        .collect()
}

/// The same bytes with boundaries where the sizes say, over and over. A write waits as long as
/// those that begin in it, and `every` on top if it is not the first.
fn split(writes: &[Write], sizes: &[usize], every: Duration) -> VecDeque<Write> {
    let mut pieces = VecDeque::new();
    let mut sizes = sizes.iter().copied().cycle();
    let mut piece = BytesMut::new();
    let mut left = 0;
    let (mut wait, mut tokens) = (Duration::ZERO, 0);
    for write in writes {
        wait += write.wait;
        tokens += write.tokens;
        let mut rest = &write.bytes[..];
        while !rest.is_empty() {
            if left == 0 {
                // A script's sizes are checked; without any the rest is one piece.
                left = sizes.next().filter(|size| *size > 0).unwrap_or(usize::MAX);
            }
            let (now, later) = rest.split_at(left.min(rest.len()));
            piece.extend_from_slice(now);
            left -= now.len();
            rest = later;
            if left == 0 {
                pieces.push_back(Write { wait, bytes: piece.split().freeze(), tokens });
                (wait, tokens) = (every, 0);
            }
        }
    }
    if !piece.is_empty() {
        pieces.push_back(Write { wait, bytes: piece.freeze(), tokens });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::millis::Millis;
    use proptest::prelude::*;

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let part = prop_oneof![
            Just(Part::Opening),
            (0u64..50).prop_map(|tokens| Part::Delta { tokens }),
            Just(Part::Closing),
        ];
        let frame = (part, ".{1,9}").prop_map(|(part, text)| part.frame(text.into_bytes().into()));
        prop::collection::vec(frame, 0..9)
    }

    fn sums(writes: &VecDeque<Write>) -> (Vec<u8>, u64, Duration) {
        (
            writes.iter().flat_map(|write| write.bytes.to_vec()).collect(),
            writes.iter().map(|write| write.tokens).sum(),
            writes.iter().map(|write| write.wait).sum(),
        )
    }

    proptest! {
        #[test]
        fn a_split_changes_neither_bytes_nor_tokens_nor_time(
            frames in frames(),
            sizes in prop::collection::vec(1usize..12, 1..5),
        ) {
            let between = Duration::from_millis(7);
            let whole = writes(Body::Frames(frames.clone()), between, &Fault::Ok);
            let fault = Fault::Split { sizes: sizes.clone() };
            let pieces = writes(Body::Frames(frames), between, &fault);
            prop_assert_eq!(sums(&pieces), sums(&whole));
            let but_last = pieces.len().saturating_sub(1);
            for (piece, size) in pieces.iter().take(but_last).zip(sizes.iter().cycle()) {
                prop_assert_eq!(piece.bytes.len(), *size);
            }
        }

        #[test]
        fn a_slow_drip_waits_before_each_piece_but_the_first(text in ".{1,40}", bytes in 1usize..9) {
            let body = Body::Whole(text.clone().into_bytes().into());
            let fault = Fault::SlowDrip { bytes, every: Millis(3) };
            let pieces = writes(body, Duration::ZERO, &fault);
            prop_assert_eq!(sums(&pieces).0, text.as_bytes());
            prop_assert_eq!(pieces.len(), text.len().div_ceil(bytes));
            let waits: Vec<_> = pieces.iter().map(|piece| piece.wait).collect();
            prop_assert_eq!(waits[0], Duration::ZERO);
            prop_assert!(waits[1..].iter().all(|wait| *wait == Duration::from_millis(3)));
        }
    }

    #[test]
    fn a_stream_waits_before_each_delta_but_the_first() {
        let delta = Part::Delta { tokens: 5 };
        let frames = vec![
            Part::Opening.frame("o".into()),
            delta.frame("1".into()),
            delta.frame("2".into()),
            Part::Closing.frame("c".into()),
        ];
        let between = Duration::from_millis(7);
        let waits: Vec<_> = writes(Body::Frames(frames), between, &Fault::Ok)
            .iter()
            .map(|write| (write.wait.as_millis(), write.tokens))
            .collect();
        assert_eq!(waits, [(0, 0), (0, 5), (7, 5), (0, 0)]);
    }
}

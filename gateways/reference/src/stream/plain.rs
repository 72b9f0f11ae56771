//! A plain answer where a stream was asked for: an error, in spite of its status.

use serde_json::Value;

use crate::books::Held;
use crate::config::Provider;
use crate::failure::{error_in, refuses_request};
use crate::pricing::Tariff;
use crate::telemetry::Notes;
use crate::upstream::{Begun, Failure, without_keys};
use crate::usage::{Usage, counts_output};

/// Whether what begins so is no stream of events but an object, or a list.
pub(super) fn begins(first: &[u8]) -> bool {
    matches!(first.trim_ascii_start(), [b'{' | b'[', ..])
}

/// Reads the rest of it, charges it, and tells why it is no stream.
pub(super) async fn failure(
    held: Held,
    tariff: &Tariff,
    provider: &Provider,
    begun: Begun,
    most_bytes: usize,
    notes: &Notes,
) -> Failure {
    let bound = held.bound();
    let body = match begun.whole(most_bytes).await {
        Ok(body) => body,
        Err(failure) => {
            notes.answer_failed(true);
            held.settle_unserved_behind(bound);
            return failure;
        }
    };
    // Gemini's errors can stand in a list.
    let said = match serde_json::from_slice(&body).unwrap_or_default() {
        Value::Array(mut list) if list.len() == 1 => list.pop().unwrap_or_default(),
        said => said,
    };
    let usage = if counts_output(&said) { Usage::of_body(&said) } else { None };
    usage.into_iter().for_each(|usage| notes.used(usage));
    held.settle_unserved_behind(usage.map_or(bound, |usage| tariff.spent(&usage)));
    let error = error_in(&said);
    notes.answer_failed(!error.is_some_and(refuses_request));
    if error.is_none() {
        return Failure::Broken("it is no stream".to_owned());
    }
    Failure::inside(&said, without_keys(provider, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_or_a_list_is_no_stream_of_events() {
        for first in ["{\"error\":", "\n  [{", "{"] {
            assert!(begins(first.as_bytes()), "{first}");
        }
        for first in ["data: {}\n\n", ": wait\n\n", "event: a", "", "\n", "id: {"] {
            assert!(!begins(first.as_bytes()), "{first}");
        }
    }
}

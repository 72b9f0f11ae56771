//! A plain answer where a stream was asked for: an error, in spite of its status.

use serde_json::Value;

use crate::books::Held;
use crate::config::Provider;
use crate::failure::refuses_request;
use crate::pricing::Tariff;
use crate::telemetry::Notes;
use crate::upstream::{Begun, Failure, Progress, gather};
use crate::usage::{Usage, has_output};

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
    let body = gather(begun.first.into(), begun.rest, most_bytes);
    let body = match tokio::time::timeout_at(begun.deadline, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(problem)) => {
            notes.answer_failed(true);
            held.settle_unserved_behind(bound);
            return Failure::Broken(problem);
        }
        Err(_) => {
            notes.answer_failed(true);
            held.settle_unserved_behind(bound);
            return Failure::Timeout(Progress::Began);
        }
    };
    // Gemini's errors can stand in a list.
    let said = match serde_json::from_slice(&body).unwrap_or_default() {
        Value::Array(mut list) if list.len() == 1 => list.pop().unwrap_or_default(),
        said => said,
    };
    let count = said.get("usage").or_else(|| said.get("usageMetadata"));
    let usage = if has_output(count) { Usage::of_body(&said) } else { None };
    usage.into_iter().for_each(|usage| notes.used(usage));
    held.settle_unserved_behind(usage.map_or(bound, |usage| tariff.spent(&usage)));
    let error = said.get("error").filter(|error| !error.is_null());
    notes.answer_failed(!error.is_some_and(refuses_request));
    if error.is_none() {
        return Failure::Broken("it is no stream".to_owned());
    }
    Failure::inside(&said, provider.hide_keys(&String::from_utf8_lossy(&body)).into())
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

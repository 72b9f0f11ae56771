//! What goes wrong, and which call it befalls: a pure decision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::millis::Millis;
use crate::route::Route;

/// One rule of a provider: which calls, and what befalls them. It has either `fault`
/// or `sequence`. The first rule that has a fault for a call decides, and only the rules
/// that were asked count the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FaultRule {
    /// Only calls with this upstream key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only calls of this route; absent: every route of inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Only the first so many matching calls; with `fault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// What befalls each matching call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The matching call number i gets element i; those after the end get none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Vec<Fault>>,
}

/// What can go wrong with an answer. `after_chunks` counts content deltas. An answer that is
/// no stream breaks after half of its body instead; what makes sense only in a stream leaves
/// it whole, but `error_event`, which is then a status 500.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Nothing.
    Ok,
    /// An error answer in the words of the route's API.
    Status {
        /// The HTTP status, 400 to 599.
        code: u16,
        /// Seconds, sent as `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// What the error says; absent: a sentence for the status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Accepts the request and never answers, until the client leaves.
    Hang,
    /// Resets the connection before any byte of an answer.
    ResetBefore,
    /// Resets the connection inside the body.
    ResetInBody {
        /// Content deltas before it.
        after_chunks: u32,
    },
    /// Ends the stream properly as HTTP has it, but without finish, usage and end marker.
    Cut {
        /// Content deltas before it.
        after_chunks: u32,
    },
    /// Closes the connection without the final chunk of the chunked encoding.
    Truncate {
        /// Content deltas before it.
        after_chunks: u32,
    },
    /// Sends an error event in the words of the route's API, and ends the stream.
    ErrorEvent {
        /// Content deltas before it.
        after_chunks: u32,
    },
    /// Sends everything, usage included, but no end marker, and ends the body.
    NoEndMarker,
    /// Sends everything, usage included, but no end marker, and leaves the connection open.
    NoEndMarkerOpen,
    /// Sends JSON that does not parse.
    MalformedJson,
    /// Leaves the usage out, and charges it all the same.
    MissingUsage,
    /// Sends the body in small pieces.
    SlowDrip {
        /// Bytes a piece, at least one.
        bytes: usize,
        /// Time before each piece but the first.
        every: Millis,
    },
    /// Puts the boundaries between writes where the sizes say, over and over.
    Split {
        /// Bytes of the writes, each at least one.
        sizes: Vec<usize>,
    },
}

/// What a rule asks of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) route: Route,
}

/// The fault of a call. `counts` holds for each rule how many calls it was asked about and
/// matched, and is brought up to date.
pub(crate) fn pick(rules: &[FaultRule], counts: &mut [u32], caller: Caller<'_>) -> Fault {
    for (rule, count) in rules.iter().zip(counts) {
        if !rule.matches(caller) {
            continue;
        }
        let index = *count;
        *count = count.saturating_add(1);
        if let Some(fault) = rule.fault_at(index) {
            return fault.clone();
        }
    }
    Fault::Ok
}

impl FaultRule {
    fn matches(&self, caller: Caller<'_>) -> bool {
        let key = self.key.is_none() || self.key.as_deref() == caller.key;
        // A gateway lists models when it pleases: such calls must not use up the faults that
        // were meant for inference.
        key && self.route.map_or(caller.route.is_inference(), |route| route == caller.route)
    }

    fn fault_at(&self, index: u32) -> Option<&Fault> {
        match &self.sequence {
            Some(faults) => faults.get(usize::try_from(index).ok()?),
            None if self.first.is_some_and(|first| index >= first) => None,
            None => self.fault.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn play(rules: &str, callers: &[Caller<'_>]) -> Vec<Fault> {
        let rules: Vec<FaultRule> = serde_json::from_str(rules).unwrap();
        let mut counts = vec![0; rules.len()];
        callers.iter().map(|caller| pick(&rules, &mut counts, *caller)).collect()
    }

    fn chat(key: &str) -> Caller<'_> {
        Caller { key: Some(key), route: Route::ChatCompletions }
    }

    #[test]
    fn the_first_calls_fail_and_the_rest_pass() {
        let faults = play(r#"[{"first": 2, "fault": "hang"}]"#, &[chat("k"); 4]);
        assert_eq!(faults, [Fault::Hang, Fault::Hang, Fault::Ok, Fault::Ok]);
    }

    #[test]
    fn a_sequence_is_played_once() {
        let faults = play(r#"[{"sequence": ["hang", "ok", "reset_before"]}]"#, &[chat("k"); 5]);
        assert_eq!(faults, [Fault::Hang, Fault::Ok, Fault::ResetBefore, Fault::Ok, Fault::Ok]);
    }

    #[test]
    fn a_rule_for_a_key_leaves_the_other_keys_alone() {
        let rules = r#"[{"key": "a", "first": 1, "fault": "hang"}]"#;
        let faults = play(rules, &[chat("b"), chat("a"), chat("a"), chat("b")]);
        assert_eq!(faults, [Fault::Ok, Fault::Hang, Fault::Ok, Fault::Ok]);
    }

    #[test]
    fn a_rule_that_is_used_up_hands_over_to_the_next() {
        let rules = r#"[{"key": "a", "first": 1, "fault": "hang"},
                        {"first": 1, "fault": "reset_before"}]"#;
        let faults = play(rules, &[chat("a"), chat("a"), chat("a")]);
        assert_eq!(faults, [Fault::Hang, Fault::ResetBefore, Fault::Ok]);
    }

    #[test]
    fn a_model_list_uses_up_a_fault_only_if_the_rule_names_it() {
        let list = Caller { key: Some("k"), route: Route::Models };
        let faults = play(r#"[{"first": 1, "fault": "hang"}]"#, &[list, chat("k")]);
        assert_eq!(faults, [Fault::Ok, Fault::Hang]);
        let faults = play(r#"[{"route": "models", "fault": "hang"}]"#, &[list, chat("k")]);
        assert_eq!(faults, [Fault::Hang, Fault::Ok]);
    }
}

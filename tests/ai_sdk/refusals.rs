//! What is refused or breaks off, and what the SDK makes of it.

use serde_json::{Value, json};

use crate::{
    answers::whole_answer,
    program::{Program, Seen},
    support::{
        program::{Caller, REPLY},
        served::{Served, fault},
    },
};

/// So that a call can cost no more than it does.
fn bounded(times: usize) -> Value {
    json!({ "times": times, "settings": { "maxOutputTokens": 100 } })
}

pub(crate) fn spent_budget(program: &Program) {
    third_call_is_refused(program, "budget", "generate");
}

pub(crate) fn spent_budget_of_a_stream(program: &Program) {
    let refused = third_call_is_refused(program, "stream-budget", "stream");
    assert_eq!(refused.text, "");
}

/// Two of these calls spend a budget, so the third is refused for it.
fn third_call_is_refused(program: &Program, name: &str, case: &str) -> Seen {
    let served = program.gateway(name, json!({ "budgets": [{ "limit": "$0.0025", "reset": "1h" }] }));
    let mut seen = program.run_as_agent(&served, case, bounded(3));
    whole_answer(program, &seen[0]);
    whole_answer(program, &seen[1]);
    refused_for_the_budget(&seen[2], "0.0025");
    assert_eq!(served.calls(), 2, "a refused call must not reach the provider");
    seen.remove(2)
}

#[track_caller]
pub(crate) fn refused_for_the_budget(seen: &Seen, limit: &str) {
    let refused = seen.refused(402);
    seen.not_tried_again();
    let which = ["code", "scope", "entity", "limit"].map(|name| refused.field(name));
    assert_eq!(which, ["budget_exceeded", "virtual_key", "agent", limit], "it must say whose cap, and which");
    assert!(refused.message.contains("Budget exceeded"), "{refused:?}");
}

/// Shorter than a minute: what is a minute or longer, the SDK does not wait for.
fn one_in_half_a_minute(program: &Program, name: &str) -> Served {
    program.gateway(name, json!({ "limits": { "requests": { "max": 1, "per": "30s" } } }))
}

pub(crate) fn rate_limit_is_tried_again(program: &Program) {
    let served = one_in_half_a_minute(program, "limit-retries");
    let seen = program.run_as_agent(&served, "generate", json!({ "times": 2 }));
    whole_answer(program, &seen[0]);
    let refused = seen[1].refused(429);
    assert_eq!((refused.tries, refused.retryable, refused.field("code")), (3, Some(true), &json!("request_limited")));
    assert_eq!(seen[1].requests.len(), 3);
    as_long_as_told(&seen[1], 2);
    assert_eq!(served.calls(), 1, "none of the three reached the provider");
}

/// The SDK waited so often, each time for the rest of the window. A wait of its own would be two
/// seconds, then four.
#[track_caller]
fn as_long_as_told(seen: &Seen, times: usize) {
    assert_eq!(seen.waits.len(), times, "{seen:?}");
    assert!(seen.waits.iter().all(|wait| (5_000..=30_000).contains(wait) && wait % 1_000 == 0), "{seen:?}");
}

pub(crate) fn rate_limit_is_waited_out(program: &Program) {
    let served = one_in_half_a_minute(program, "limit-waited-out");
    let caller = Caller { waits: true, ..Caller::agent(&served) };
    let seen = program.run(&caller, "generate", json!({ "times": 2 }));
    whole_answer(program, &seen[0]);
    let statuses: Vec<u16> = seen[1].requests.iter().map(|request| request.status).collect();
    assert_eq!((statuses.as_slice(), seen[1].text.as_str()), ([429, 200].as_slice(), REPLY), "{seen:?}");
    as_long_as_told(&seen[1], 1);
    assert_eq!(served.calls(), 2);
}

pub(crate) fn no_key(program: &Program) {
    let served = program.gateway("no-key", json!({}));
    for (key, code) in [(None, "virtual_key_required"), (Some("sk-bf-unknown"), "virtual_key_not_found")] {
        let caller = Caller { key, ..Caller::agent(&served) };
        let seen = program.run(&caller, "generate", json!({}));
        assert_eq!(seen[0].refused(401).field("code"), code);
        seen[0].not_tried_again();
    }
    assert_eq!(served.calls(), 0);
}

pub(crate) fn cut_stream(program: &Program) {
    let served = program.gateway_with("cut", json!({}), &fault(&json!({ "cut": { "after_chunks": 2 } })));
    let seen = program.run_as_agent(&served, "stream", json!({}));
    let cut = &seen[0];
    assert!(cut.returned.is_none(), "{cut:?}");
    assert!(cut.thrown.is_some(), "{cut:?}");
    assert!(!cut.text.is_empty() && REPLY.starts_with(&cut.text) && cut.text != REPLY, "{cut:?}");
    assert_eq!((cut.requests.len(), served.calls()), (1, 1));
}

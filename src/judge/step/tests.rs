#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    drive::{
        Outgoing,
        answer::{Answer, End},
    },
    gateway::manifest,
    scenario::call::RouteName,
};

/// The only call of a step, as its caller saw it: a status and a body, or no answer at all.
fn answer(status: Option<u16>, body: &Value) -> Answer {
    let sent = Outgoing {
        marker: "pb1.1.1".to_owned(),
        method: manifest::Method::Post,
        url: "http://127.0.0.1:1/".to_owned(),
        headers: Vec::new(),
        body: None,
        route: RouteName::Chat,
        hang_up_after: None,
        deadline: Duration::ZERO,
    };
    Answer {
        sent,
        started: Timestamp::UNIX_EPOCH,
        status,
        headers: IndexMap::new(),
        bytes: body.to_string().into_bytes(),
        events: 0,
        streamed: false,
        end: if status.is_some() { End::Complete } else { End::NoAnswer("connection refused".to_owned()) },
        took: Duration::ZERO,
    }
}

fn judged(step: &Value, seen: &Observation) -> Vec<(String, Verdict, Option<Blame>)> {
    let step: Step = serde_json::from_value(step.clone()).unwrap();
    let dialect = Dialect::compile(&manifest::Dialect::default()).map_err(|(_, error)| error.to_string()).unwrap();
    let judging = Judging { dialect: &dialect, promises: &Promises::default() };
    let judged = step.checks().into_iter().map(|check| {
        let found = judge(judging, &step, &check, seen);
        (check.to_string(), found.verdict, found.blame)
    });
    judged.collect()
}

#[track_caller]
fn assert_all(step: &Value, seen: &Observation, verdict: Verdict, blame: Option<Blame>) {
    for (check, found, whose) in judged(step, seen) {
        assert_eq!((found, whose), (verdict, blame), "{check}");
    }
}

#[test]
fn a_step_that_was_not_done_through_nobodys_fault_shows_nothing_of_the_gateway() {
    let step = json!({
        "restart": { "signal": "kill" },
        "expect": { "upstream": { "calls": 0 }, "ledger": { "calls": 0, "charged": "$0" }, "within": "1s" }
    });
    for blame in [Blame::Environment, Blame::Scenario] {
        let problem = Problem { what: "the daemon does not answer".to_owned(), blame, fatal: true };
        let seen = Observation { problem: Some(problem), ..Observation::default() };
        assert_all(&step, &seen, Verdict::Unknown, Some(blame));
    }
}

#[test]
fn a_step_that_the_gateway_refuses_to_do_fails() {
    let step = json!({ "admin": { "disable_key": "agent" } });
    let problem = Problem { what: "404".to_owned(), blame: Blame::Gateway, fatal: false };
    let seen = Observation { problem: Some(problem), ..Observation::default() };
    assert_all(&step, &seen, Verdict::Fail, Some(Blame::Gateway));
}

#[test]
fn a_figure_that_could_not_be_asked_for_is_unknown_and_the_rest_of_its_step_is_judged() {
    let step = json!({ "call": {}, "expect": { "status": 200, "usage": { "agent": "$1" } } });
    let problem = Problem { what: "its template fails".to_owned(), blame: Blame::Scenario, fatal: false };
    let answers = vec![answer(Some(500), &json!({}))];
    let seen = Observation { answers, unread: Some(problem), ..Observation::default() };
    let found = judged(&step, &seen);
    assert_eq!(found[0], ("status".to_owned(), Verdict::Fail, Some(Blame::Gateway)));
    assert_eq!(found[1], ("usage.agent".to_owned(), Verdict::Unknown, Some(Blame::Scenario)));
}

#[test]
fn a_burst_that_nobody_answers_proves_nothing() {
    let step = json!({ "burst": { "clients": 1 }, "expect": { "answers": { "passed": 0, "refused": { "at_most": 3 }, "keys_hidden": true } } });
    let unanswered = Observation { answers: vec![answer(None, &Value::Null)], ..Observation::default() };
    assert_all(&step, &unanswered, Verdict::Unknown, Some(Blame::Gateway));
    assert_all(&step, &Observation::default(), Verdict::Unknown, Some(Blame::Gateway));
}

#[test]
fn a_bound_that_is_kept_by_serving_nobody_proves_nothing() {
    let refused = Observation { answers: vec![answer(Some(402), &json!({ "error": {} }))], ..Observation::default() };
    let passed = |wanted: Value| json!({ "burst": { "clients": 1 }, "expect": { "answers": { "passed": wanted } } });
    assert_all(&passed(json!({ "at_most": 5 })), &refused, Verdict::Unknown, Some(Blame::Gateway));
    assert_all(&passed(json!(0)), &refused, Verdict::Pass, None);
    assert_all(&passed(json!({ "at_least": 1 })), &refused, Verdict::Fail, Some(Blame::Gateway));
}

#[test]
fn no_number_is_recorded_of_a_cap_that_nobody_came_near() {
    let step = json!({
        "burst": { "clients": 1 },
        "expect": { "overspend": { "cap": "$1", "call": "$1" }, "fact": { "overshoot": "overshoot", "lost": "spend_lost" } }
    });
    let step: Step = serde_json::from_value(step).unwrap();
    assert_eq!(facts(&step, &Observation::default()), []);
}

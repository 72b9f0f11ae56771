//! The five core promises, each as a sentence, against the reference gateway in this machine's runtime.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod support;

use probity::{report::model::ScenarioResult, verdict::Verdict};
use support::{Bench, explain_failure};

#[track_caller]
fn keeps(id: &str, decisive: &[&str]) -> ScenarioResult {
    let scenario = Bench::get().run(id);
    assert_eq!(scenario.verdict, Verdict::Pass, "{}", explain_failure(&scenario));
    for case in &scenario.cases {
        for check in decisive {
            let judged =
                case.checks.iter().any(|judged| judged.check.ends_with(check) && judged.verdict == Verdict::Pass);
            assert!(judged, "{id}[{}] must judge a check {check}", case.case);
        }
    }
    scenario
}

#[test]
fn a_spent_budget_answers_402_and_the_provider_is_not_called() {
    keeps("budgets/virtual-key-trips", &[".status", ".refused", ".upstream.calls", ".ledger.charged", ".usage.agent"]);
}

#[test]
fn a_rate_limit_answers_429_and_says_when_to_come_back() {
    keeps("limits/requests-trip", &[".status", ".refused", ".headers.retry-after", ".upstream.calls"]);
}

#[test]
fn a_missing_key_answers_401_on_every_route() {
    let scenario = keeps("keys/missing", &[".status", ".refused"]);
    for route in ["chat", "embeddings", "models", "messages"] {
        let case = scenario.cases.iter().find(|case| case.case.contains(&format!("route={route}")));
        let case = case.unwrap_or_else(|| panic!("no case asks the route {route}"));
        // A gateway may fetch model lists for itself, so nothing is expected of the upstream there.
        let asked = case.checks.iter().any(|check| check.check.ends_with(".upstream.calls"));
        assert_eq!(asked, route != "models", "{route}");
    }
}

#[test]
fn a_restart_forgets_nothing_whether_it_was_stopped_or_killed() {
    let scenario = keeps("persistence/spend-survives", &[".done", ".answers.passed", ".answers.refused"]);
    for signal in ["term", "kill"] {
        assert!(scenario.cases.iter().any(|case| case.case.contains(&format!("signal={signal}"))), "{signal}");
    }
}

#[test]
fn failover_keeps_the_order_of_the_weights() {
    keeps("routing/order-of-weights", &[".status", ".upstream.order"]);
}

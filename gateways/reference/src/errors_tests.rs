#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use super::*;
use crate::ledger::{Amount, Level, Owner};
use crate::window::Window;

const NOW: Moment = Moment::from_millis(1_795_260_000_000);

fn breach(measure: Measure, limit: i64, used: i64, held: i64, asked: i64) -> Breach {
    Breach {
        measure,
        owner: Owner { level: Level::VirtualKey, entity: "agent".into() },
        limit: Amount::from_raw(limit),
        used: Amount::from_raw(used),
        held: Amount::from_raw(held),
        asked: Amount::from_raw(asked),
        window: Window { start: NOW, length: "90s".parse().expect("a duration") },
    }
}

fn about() -> About {
    About { request_type: "chat_completion", provider: "primary".to_owned(), model: "mock-1".to_owned() }
}

#[test]
fn a_spent_budget_is_told_as_bifrost_tells_it_with_every_figure_as_a_field() {
    let spent = breach(Measure::Usd, 5_000_000_000, 5_000_000_000, 0, 1_250_000_000);
    let problem = Problem::from_refusal(&Refusal::Budget(spent), NOW);
    insta::assert_json_snapshot!("spent_budget_native", problem.native(&about()));
    insta::assert_json_snapshot!("spent_budget_anthropic", problem.anthropic());
}

#[test]
fn a_budget_that_only_holds_stand_in_front_of_says_so() {
    let held = breach(Measure::Usd, 5_000_000_000, 0, 4_000_000_000, 1_250_000_000);
    let message = Problem::from_refusal(&Refusal::Budget(held), NOW).message;
    assert!(message.contains("0.004 held for requests on their way"), "{message}");
}

#[test]
fn a_request_that_can_cost_more_than_the_whole_budget_is_told_so() {
    let large = breach(Measure::Usd, 5_000_000_000, 0, 0, 40_000_000_000);
    let message = Problem::from_refusal(&Refusal::Budget(large), NOW).message;
    assert!(message.contains("this request alone can cost 0.04 dollars"), "{message}");
}

#[test]
fn a_reached_limit_says_when_to_come_back() {
    let requests = breach(Measure::Requests, 3, 3, 0, 1);
    let problem = Problem::from_refusal(&Refusal::Limit(requests), NOW.after(29_001));
    assert_eq!(problem.retry_after, Some(61));
    insta::assert_json_snapshot!("reached_limit_native", problem.native(&about()));
}

#[test]
fn both_limits_are_told_in_one_answer() {
    let refusal = Refusal::Limits {
        requests: breach(Measure::Requests, 3, 3, 0, 1),
        tokens: breach(Measure::Tokens, 1_000, 1_500, 0, 200),
    };
    let problem = Problem::from_refusal(&refusal, NOW);
    assert_eq!(problem.kind, "rate_limited");
    assert_eq!(
        problem.message,
        "Rate limit check failed: rate limit violated for virtual key 'agent': \
         [token limit exceeded (1500/1000, resets every 90s), request limit exceeded (3/3, resets every 90s)]"
    );
}

#[test]
fn each_level_is_told_as_bifrost_tells_it() {
    let told = |level, entity: &str| {
        let owner = Owner { level, entity: entity.into() };
        let budget = Breach { owner: owner.clone(), ..breach(Measure::Usd, 5_000_000_000, 5_000_000_000, 0, 1) };
        let limit = Breach { owner, ..breach(Measure::Requests, 3, 3, 0, 1) };
        let message = |refusal| Problem::from_refusal(&refusal, NOW).message;
        [message(Refusal::Budget(budget)), message(Refusal::Limit(limit))]
    };
    let told = [
        told(Level::Customer, "acme"),
        told(Level::Team, "evals"),
        told(Level::VirtualKey, "agent"),
        told(Level::VirtualKeyProvider, "agent/primary"),
        told(Level::VirtualKeyModel, "agent/primary/mock-1"),
        told(Level::Provider, "primary"),
        told(Level::Model, "primary/*"),
    ];
    insta::assert_snapshot!("each_level", told.concat().join("\n"));
}

#[test]
fn gemini_is_told_its_own_word_and_the_governance_type_beside_it() {
    let fields = [("limit", json!("0.005")), ("n", json!(1))];
    let body = gemini_error(402, "budget_exceeded", "no more", &fields);
    insta::assert_json_snapshot!(body);
    for (status, word) in [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (413, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (529, "INTERNAL"),
    ] {
        assert_eq!(gemini_error(status, "k", "m", &[])["error"]["status"], word, "{status}");
    }
}

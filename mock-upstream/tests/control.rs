//! The mock's own routes, and its life in a process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use mock_upstream::{Latency, Ledger, Millis, Script, StartError, Upstream};
use serde_json::{Value, json};
use support::{Client, DEADLINE, End, Seen, chat, get, model, settled, start, telling, usd};
use tokio::time::timeout;

async fn send(upstream: &Upstream, method: &str, path: &str, body: &str) -> Seen {
    let mut client = Client::to(upstream).await;
    client.send(method, path, &[], body).await;
    client.answer().await
}

fn entries(seen: &Seen) -> Ledger {
    serde_json::from_slice(&seen.bytes()).unwrap()
}

#[tokio::test]
async fn the_ledger_is_read_filtered_and_cleared_over_http() {
    let upstream = start(telling()).await;
    chat(&upstream, false).await;
    get(&upstream, "/_mock/prices/litellm.json", &[]).await;
    settled(&upstream, 1).await;
    let all = entries(&get(&upstream, "/_mock/ledger", &[]).await);
    assert_eq!(all, upstream.ledger());
    assert_eq!(all.entries.len(), 2);
    let inference = entries(&get(&upstream, "/_mock/ledger?kind=inference", &[]).await);
    assert_eq!(inference.entries, all.entries[..1]);
    assert_eq!(get(&upstream, "/_mock/ledger?kind=other", &[]).await.status(), 400);

    assert_eq!(send(&upstream, "DELETE", "/_mock/ledger", "").await.status(), 204);
    assert_eq!(upstream.ledger(), Ledger::default());
}

#[tokio::test]
async fn the_ledger_is_awaited_until_calls_have_come_and_settled() {
    let mut script = telling();
    model(&mut script).latency = Latency { first_byte: Millis(50), ..Latency::default() };
    let upstream = start(script).await;
    let mut waiting = Client::to(&upstream).await;
    waiting.send("GET", "/_mock/ledger/await?calls=2&settled=true&timeout=9s", &[], "").await;
    chat(&upstream, false).await;
    chat(&upstream, true).await;
    let ledger = entries(&waiting.answer().await);
    assert_eq!((ledger.inference().count(), ledger.open()), (2, 0));
    assert_eq!(ledger.charged(), usd("$0.095"));
}

#[tokio::test]
async fn a_wait_for_calls_that_do_not_come_ends_with_what_there_was() {
    let upstream = start(telling()).await;
    chat(&upstream, false).await;
    let seen = get(&upstream, "/_mock/ledger/await?calls=2&timeout=20ms", &[]).await;
    assert_eq!(seen.status(), 408);
    assert_eq!(
        seen.json(),
        json!({"error": {"message":
            "after 20ms there were 1 calls of inference, and 0 requests being answered"}})
    );
    let typo = get(&upstream, "/_mock/ledger/await?call=2", &[]).await;
    assert_eq!(typo.status(), 400);
}

#[tokio::test]
async fn the_script_is_read_and_changed_over_http() {
    let upstream = start(telling()).await;
    let read: Script = serde_json::from_slice(&get(&upstream, "/_mock/script", &[]).await.bytes()).unwrap();
    assert_eq!(read, telling());

    let usual = serde_json::to_string(&Script::usual()).unwrap();
    assert_eq!(send(&upstream, "PUT", "/_mock/script", &usual).await.status(), 204);
    assert_eq!(upstream.script(), Script::usual());

    for (script, reason) in [
        (
            json!({"providers": {"primary": {"faults": [{}]}}}),
            "provider `primary`, fault rule 1: has neither `fault` nor `sequence`",
        ),
        (
            json!({"models": {"m": {"price": {"input": 2.5, "output": "$10"}}}}),
            "`2.5` is a bare number: money is written as \"$0.005\"",
        ),
        (json!({"model": {}}), "unknown field `model`"),
    ] {
        let seen = send(&upstream, "PUT", "/_mock/script", &script.to_string()).await;
        let message = seen.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(seen.status(), 400);
        assert!(message.starts_with(reason), "{message}");
    }
    assert_eq!(upstream.script(), Script::usual());
    // None of this is in the ledger.
    assert_eq!(upstream.ledger(), Ledger::default());
}

#[tokio::test]
async fn the_sheets_are_served_and_their_fetches_are_in_the_ledger() {
    let upstream = start(Script::usual()).await;
    let sheet = |path: &'static str| async { get(&upstream, path, &[]).await.json() };
    let bifrost = sheet("/_mock/prices/bifrost.json").await;
    assert_eq!(bifrost["primary/mock-1"]["input_cost_per_token"], json!(0.0000025));
    assert_eq!(bifrost, mock_upstream::price_sheet_bifrost(&upstream.script()));
    let litellm = sheet("/_mock/prices/litellm.json").await;
    assert_eq!(litellm["mock-1"]["output_cost_per_token"], json!(0.00001));
    let parameters: Value = sheet("/_mock/model-parameters.json").await;
    assert_eq!(parameters, mock_upstream::model_parameters_bifrost(&upstream.script()));
    assert_eq!(upstream.ledger().entries.len(), 3);
    assert_eq!(upstream.ledger().inference().count(), 0);
}

#[tokio::test]
async fn a_stop_closes_every_connection_at_once_and_frees_the_port() {
    let mut script = telling();
    model(&mut script).latency.first_byte = Millis(600_000);
    let upstream = start(script).await;
    let addr = upstream.addr();
    let mut idle = Client::to(&upstream).await;
    let mut waiting = Client::to(&upstream).await;
    waiting.chat(true).await;
    assert!(upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
    timeout(Duration::from_secs(1), upstream.clone().stop()).await.unwrap();
    for client in [&mut idle, &mut waiting] {
        assert_ne!(client.answer().await.end, End::Complete);
    }
    // Whoever still has a handle can read the books.
    assert_eq!(upstream.ledger().open(), 0);
    let again = Upstream::start(addr, Script::usual()).await.unwrap();
    assert_eq!(chat(&again, false).await.status(), 200);
}

#[tokio::test]
async fn an_upstream_without_handles_ends() {
    let upstream = start(telling()).await;
    let mut client = Client::to(&upstream).await;
    client.chat(false).await;
    assert_eq!(client.answer().await.status(), 200);
    drop(upstream);
    assert_eq!(client.answer().await.end, End::Closed);
}

#[tokio::test]
async fn a_port_in_use_and_a_script_without_sense_are_told_before_anything_is_served() {
    let upstream = start(Script::usual()).await;
    let error = Upstream::start(upstream.addr(), Script::usual()).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { addr, .. } if addr == upstream.addr()));

    let mut script = Script::usual();
    model(&mut script).chunks = 0;
    let error = Upstream::start(upstream.addr(), script).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the script of the upstream makes no sense: model `mock-1`: `chunks` is 0, and can be 1 to 100000"
    );
}

#[tokio::test]
async fn a_wait_sees_every_change_and_respects_its_deadline() {
    let upstream = start(telling()).await;
    let mut seen = Vec::new();
    let waiting = upstream.wait_until(
        |ledger| {
            seen.push(ledger.entries.len());
            ledger.inference().count() == 3 && ledger.open() == 0
        },
        DEADLINE,
    );
    let calls = async {
        for _ in 0..3 {
            chat(&upstream, false).await;
        }
    };
    let (come, ()) = tokio::join!(waiting, calls);
    assert!(come);
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&3)));
    assert!(!upstream.wait_until(|_| false, Duration::from_millis(10)).await);
}

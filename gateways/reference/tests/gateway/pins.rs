//! Which of a provider's keys is used: as the virtual key says, and as the caller pins.

use serde_json::{Value, json};

use crate::support::{Answer, KEY, World, body};

const PIN: &str = "x-bf-api-key";
const PIN_ID: &str = "x-bf-api-key-id";

/// `primary` has the keys `a`, `b` and `c`, of which the virtual key may use `a` and `b`;
/// `second` has `d`.
async fn world() -> World {
    World::start(|config| {
        let key = |name: &str| json!({"id": format!("id-{name}"), "name": name, "value": format!("value-{name}")});
        config["providers"]["primary"]["keys"] = json!([key("a"), key("b"), key("c")]);
        config["providers"]["second"]["keys"] = json!([key("d")]);
        let grants = &mut config["governance"]["virtual_keys"][0]["provider_configs"];
        grants[0]["key_ids"] = json!(["a", "id-b"]);
    })
    .await
}

async fn pinned(world: &World, pins: &[(&str, &str)], body: &Value) -> Answer {
    let request = pins.iter().fold(world.chat(KEY, body), |request, (name, value)| request.header(*name, *value));
    world.send(request).await
}

/// The provider keys that were used, in their order.
fn used(world: &World) -> Vec<String> {
    let ledger = world.upstream.ledger();
    ledger.inference().map(|entry| entry.upstream_key.clone().unwrap()).collect()
}

#[tokio::test]
async fn a_virtual_key_uses_no_provider_key_but_its_own() {
    let world = world().await;
    for _ in 0..20 {
        assert_eq!(world.call().await.status, 200);
    }
    let used = used(&world);
    assert!(used.iter().all(|key| key == "value-a" || key == "value-b"), "{used:?}");
    assert!(used.contains(&"value-a".to_owned()) && used.contains(&"value-b".to_owned()), "{used:?}");
}

#[tokio::test]
async fn a_pinned_key_is_the_one_that_is_used() {
    let world = world().await;
    for pins in [vec![(PIN, "b")], vec![(PIN_ID, "id-b")], vec![(PIN, "b"), (PIN_ID, "id-b")]] {
        assert_eq!(pinned(&world, &pins, &body()).await.status, 200, "{pins:?}");
    }
    // A pin says which provider, where the model does not.
    assert_eq!(pinned(&world, &[(PIN, "d")], &body()).await.status, 200);
    assert_eq!(used(&world), ["value-b", "value-b", "value-b", "value-d"]);
    let ledger = world.upstream.ledger();
    for entry in ledger.inference() {
        assert!(!entry.headers.iter().any(|(name, _)| name.starts_with("x-bf")), "a pin is the gateway's");
    }
}

#[tokio::test]
async fn a_pin_outside_the_virtual_keys_own_is_refused_and_nothing_is_called() {
    let world = world().await;
    let mut named = body();
    named["model"] = json!("primary/mock-1");
    for (pins, body) in [
        (vec![(PIN, "c")], &body()),
        (vec![(PIN_ID, "id-c")], &body()),
        (vec![(PIN, "nobody")], &body()),
        (vec![(PIN, "d")], &named),
        (vec![(PIN, "a"), (PIN_ID, "id-b")], &body()),
        (vec![(PIN, "a"), (PIN, "b")], &body()),
    ] {
        let answer = pinned(&world, &pins, body).await;
        assert_eq!(answer.status, 400, "{pins:?}: {}", answer.text);
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn a_pin_does_not_hold_for_fallbacks() {
    let world = world().await;
    world.faults(&json!({"primary": [{"fault": {"status": {"code": 500}}}]}));
    assert_eq!(pinned(&world, &[(PIN, "b")], &body()).await.status, 200);
    assert_eq!(used(&world), ["value-b", "value-d"]);
}

#[tokio::test]
async fn a_pinned_key_that_is_refused_is_not_replaced_by_another() {
    let world = World::start(|config| {
        let key = |name: &str| json!({"name": name, "value": format!("value-{name}")});
        config["providers"]["primary"]["keys"] = json!([key("a"), key("b")]);
        config["providers"]["primary"]["network_config"]["max_retries"] = json!(3);
    })
    .await;
    world.faults(&json!({"primary": [{"fault": {"status": {"code": 401}}}]}));
    let mut named = body();
    named["model"] = json!("primary/mock-1");
    let answer = pinned(&world, &[(PIN, "b")], &named).await;
    assert_ne!(answer.status, 200);
    assert_eq!(used(&world), ["value-b"]);
}

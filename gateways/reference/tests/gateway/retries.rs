//! Tries at one provider: with which of its keys, how often, and what then.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{DEADLINE, KEY, World, body, give_up_after};

/// `primary` alone, with the keys `a`, `b` and `c` and so many retries without pauses.
async fn world(retries: u32, edit: impl FnOnce(&mut Value)) -> World {
    World::start(|config| {
        let key = |name: &str| json!({"name": name, "value": format!("value-{name}")});
        config["providers"]["primary"]["keys"] = json!([key("a"), key("b"), key("c")]);
        let network = &mut config["providers"]["primary"]["network_config"];
        network["max_retries"] = json!(retries);
        network["retry_backoff_initial"] = json!(1);
        network["retry_backoff_max"] = json!("5ms");
        config["governance"]["virtual_keys"][0]["provider_configs"] =
            json!([{"provider": "primary", "weight": 1, "allowed_models": ["*"]}]);
        edit(config);
    })
    .await
}

fn fault(status: u16) -> Value {
    json!({"status": {"code": status}})
}

/// The provider keys that were used, in their order.
fn used(world: &World) -> Vec<String> {
    let ledger = world.upstream.ledger();
    ledger.inference().map(|entry| entry.upstream_key.clone().unwrap()).collect()
}

fn distinct(mut keys: Vec<String>) -> usize {
    keys.sort();
    keys.dedup();
    keys.len()
}

#[tokio::test]
async fn a_provider_that_fails_is_tried_again_with_the_same_key() {
    for fault in [fault(500), fault(502), fault(503), fault(504), json!("reset_before")] {
        let world = world(2, |_| {}).await;
        world.faults(&json!({"primary": [{"sequence": [fault, fault]}]}));
        assert_eq!(world.call().await.status, 200, "{fault}");
        assert_eq!((used(&world).len(), distinct(used(&world))), (3, 1), "{fault}");
    }
}

#[tokio::test]
async fn a_refused_or_busy_key_is_replaced_by_another() {
    for status in [401, 402, 403, 429] {
        let world = world(2, |_| {}).await;
        world.faults(&json!({"primary": [{"sequence": [fault(status), fault(status)]}]}));
        assert_eq!(world.call().await.status, 200, "{status}");
        assert_eq!((used(&world).len(), distinct(used(&world))), (3, 3), "{status}");
    }
}

#[tokio::test]
async fn what_another_try_cannot_help_is_not_tried_again() {
    for fault in [fault(400), fault(404), fault(422), fault(501), json!("hang"), json!("malformed_json")] {
        let patience = if fault == "hang" { 1 } else { 30 };
        let world = world(3, |config| give_up_after(config, patience, "primary")).await;
        world.faults(&json!({"primary": [{"fault": fault}]}));
        assert_ne!(world.call().await.status, 200, "{fault}");
        assert_eq!(used(&world).len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn when_every_key_is_refused_the_answer_says_so_and_nothing_is_charged() {
    let world = world(9, |config| {
        config["governance"]["budgets"] = json!([crate::support::budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    world.faults(&json!({"primary": [{"sequence": [fault(401), fault(402), fault(403), fault(401)]}]}));
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (502, "upstream_credentials_exhausted"));
    assert_eq!(answer.header("x-gateway-attempts"), "primary:credentials_exhausted");
    assert_eq!((used(&world).len(), distinct(used(&world))), (3, 3));
    assert_eq!(world.spent().await, "0");
}

#[tokio::test]
async fn a_busy_key_is_asked_again_when_the_others_are_refused() {
    let world = world(9, |config| {
        config["providers"]["primary"]["keys"].as_array_mut().unwrap().truncate(2);
    })
    .await;
    world.faults(&json!({"primary": [{"sequence": [fault(429), fault(401), fault(429)]}]}));
    assert_eq!(world.call().await.status, 200);
    let used = used(&world);
    assert_eq!((used.len(), &used[0], &used[0]), (4, &used[2], &used[3]));
    assert_ne!(used[0], used[1]);
}

#[tokio::test]
async fn without_a_retry_left_the_providers_own_refusal_is_the_answer() {
    let world = world(0, |_| {}).await;
    world.faults(&json!({"primary": [{"fault": fault(401)}]}));
    let answer = world.call().await;
    assert_eq!(answer.status, 401);
    assert!(answer.text.contains("the provider 'primary' answered with 401: "), "{}", answer.text);
}

#[tokio::test]
async fn a_request_that_was_tried_three_times_is_counted_and_charged_once() {
    let world = world(2, |config| {
        config["governance"]["budgets"] = json!([crate::support::budget("b", "1", "1h", "vk-agent")]);
        config["governance"]["virtual_keys"][0]["rate_limit"] =
            json!({"request_max_limit": 9, "request_reset_duration": "1h"});
    })
    .await;
    world.faults(&json!({"primary": [{"sequence": [fault(500), fault(429)]}]}));
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-ratelimit-remaining-requests")), (200, "8"));
    assert_eq!((world.upstream_calls(), world.spent().await.as_str()), (3, "0.00125"));
}

#[tokio::test]
async fn the_choice_among_keys_follows_their_weights_and_the_seed() {
    let run = async || {
        let world = world(0, |config| {
            let keys = &mut config["providers"]["primary"]["keys"];
            for (index, weight) in [3, 1, 0].into_iter().enumerate() {
                keys[index]["weight"] = json!(weight);
            }
        })
        .await;
        for _ in 0..60 {
            assert_eq!(world.call().await.status, 200);
        }
        used(&world)
    };
    let (one, two) = (run().await, run().await);
    assert_eq!(one, two, "the same seed, the same keys");
    let count = |key: &str| one.iter().filter(|used| *used == key).count();
    assert!((35..=55).contains(&count("value-a")), "{}", count("value-a"));
    assert_eq!((count("value-a") + count("value-b"), count("value-c")), (60, 0));
}

#[tokio::test]
async fn a_key_that_is_disabled_or_blocked_for_a_model_is_never_used() {
    let world = world(0, |config| {
        let keys = &mut config["providers"]["primary"]["keys"];
        keys[0]["enabled"] = json!(false);
        keys[1]["blacklisted_models"] = json!(["MOCK-1"]);
    })
    .await;
    for _ in 0..10 {
        assert_eq!(world.call().await.status, 200);
    }
    assert_eq!(used(&world), vec!["value-c"; 10]);
}

#[tokio::test]
async fn an_answer_larger_than_it_may_be_is_given_up_and_costs_what_was_held() {
    let world = World::start(|config| {
        config["client"]["max_response_body_size_mb"] = json!(1);
        config["governance"]["budgets"] = json!([crate::support::budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    world.model(&json!({"reply": "x".repeat(2 << 20)}));
    let mut named = body();
    named["model"] = json!("primary/mock-1");
    let answer = world.send(world.chat(KEY, &named)).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (502, "upstream_broken"));
    assert!(answer.text.contains("larger than 1 MB"), "{}", answer.text);
    assert_eq!(world.spent().await, "0.00115");
}

#[tokio::test]
async fn a_provider_is_left_alone_for_as_long_as_it_says() {
    for status in [429, 503] {
        let world = world(1, |config| {
            config["providers"]["primary"]["keys"].as_array_mut().unwrap().truncate(1);
            config["providers"]["primary"]["network_config"]["retry_backoff_max"] = json!("2s");
        })
        .await;
        let busy = json!({"status": {"code": status, "retry_after": 1}});
        world.faults(&json!({"primary": [{"sequence": [busy]}]}));
        assert_eq!(world.call().await.status, 200, "{status}");
        let ledger = world.upstream.ledger();
        let arrivals: Vec<u64> = ledger.inference().map(|entry| entry.at_us).collect();
        assert!(arrivals.len() == 2 && arrivals[1] - arrivals[0] >= 1_000_000, "{status}: {arrivals:?}");
    }
}

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_for_longer_is_not_tried_again() {
    let busy = |status: u16| json!({"status": {"code": status, "retry_after": 60}});
    for status in [429, 503] {
        let world = World::start(|config| {
            config["providers"]["primary"]["network_config"]["max_retries"] = json!(3);
        })
        .await;
        world.faults(&json!({"primary": [{"fault": busy(status)}]}));
        let answer = world.call().await;
        assert_eq!((answer.status.as_u16(), answer.header("x-bifrost-provider")), (200, "second"), "{status}");
        assert_eq!(world.called(), ["primary", "second"], "{status}");
    }
    let world = world(3, |_| {}).await;
    world.faults(&json!({"primary": [{"sequence": [busy(503)]}]}));
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), used(&world).len()), (503, 1), "it is not its key that is told to wait");
    let world = self::world(3, |_| {}).await;
    world.faults(&json!({"primary": [{"sequence": [busy(429)]}]}));
    assert_eq!(world.call().await.status, 200, "another key was not told to wait");
    assert_eq!(distinct(used(&world)), 2);
    let world = self::world(3, |_| {}).await;
    world.faults(&json!({"primary": [{"sequence": [busy(429), fault(500)]}]}));
    assert_eq!(world.call().await.status, 200, "nor was it, when it failed by itself");
    let used = used(&world);
    assert_eq!((used.len(), &used[1]), (3, &used[2]));
}

#[tokio::test]
async fn of_keys_that_want_to_be_left_alone_the_one_that_says_for_how_long_soonest_has_its_turn() {
    // The first key is chosen before the second wherever it may be.
    let world = world(2, |config| {
        let primary = &mut config["providers"]["primary"];
        primary["keys"].as_array_mut().unwrap().truncate(2);
        primary["keys"][1]["weight"] = json!(0);
        primary["network_config"]["retry_backoff_max"] = json!("2s");
    })
    .await;
    let busy = |seconds: u64| json!({"status": {"code": 429, "retry_after": seconds}});
    world.faults(&json!({"primary": [{"sequence": [busy(60), busy(1)]}]}));
    assert_eq!(world.call().await.status, 200);
    assert_eq!(used(&world), ["value-a", "value-b", "value-b"]);
    let ledger = world.upstream.ledger();
    let arrivals: Vec<u64> = ledger.inference().map(|entry| entry.at_us).collect();
    assert!(arrivals[2] - arrivals[1] >= 1_000_000, "{arrivals:?}");
}

#[tokio::test]
async fn a_caller_is_told_of_the_key_that_is_free_first_where_every_key_is_busy() {
    let told = async |retries: u32, keys: usize, faults: Value| {
        let world = world(retries, |config| {
            config["providers"]["primary"]["keys"].as_array_mut().unwrap().truncate(keys);
        })
        .await;
        world.faults(&json!({"primary": [{"sequence": faults}]}));
        let answer = world.call().await;
        assert_eq!(used(&world).len(), faults.as_array().unwrap().len(), "{faults}");
        let wait = answer.headers.get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
        (answer.status.as_u16(), wait.unwrap_or_default())
    };
    let busy = |seconds: u64| json!({"status": {"code": 429, "retry_after": seconds}});
    let first = |seconds: &str| (429, seconds.to_owned());
    for retries in [1, 9] {
        assert_eq!(told(retries, 2, json!([busy(7), busy(60)])).await, first("7"));
        assert_eq!(told(retries, 2, json!([busy(60), busy(7)])).await, first("7"));
        assert_eq!(told(retries, 2, json!([busy(7), fault(401)])).await, first("7"), "a refused key helps nobody");
    }
    assert_eq!(told(1, 3, json!([busy(7), busy(60)])).await, first("60"), "nothing is known of the third");
    assert_eq!(told(1, 2, json!([busy(7), fault(429)])).await, first(""), "nor of the second");
}

#[tokio::test]
async fn the_pauses_between_tries_grow_from_the_first_to_the_longest() {
    let world = world(5, |config| {
        let network = &mut config["providers"]["primary"]["network_config"];
        network["retry_backoff_initial"] = json!(100);
        network["retry_backoff_max"] = json!("150ms");
    })
    .await;
    world.faults(&json!({"primary": [{"sequence": vec![fault(500); 5]}]}));
    assert_eq!(world.call().await.status, 200);
    let ledger = world.upstream.ledger();
    let arrivals: Vec<u64> = ledger.inference().map(|entry| entry.at_us / 1_000).collect();
    let pauses: Vec<u64> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A fifth less at most than 100, and than 150.
    assert!(pauses.len() == 5 && pauses[0] >= 80 && pauses[1..].iter().all(|pause| *pause >= 120), "{pauses:?}");
    // Without an end they would be 3.1 seconds.
    assert!(pauses.iter().sum::<u64>() < 2_400, "{pauses:?}");
}

/// A world in which `primary` fails so at first, and the last time in a way that another try follows
/// after two seconds: what an edit of the virtual key in between comes to, and which keys were used.
async fn edited_between_tries(faults: &[Value], method: Method, edit: Option<&Value>) -> (u16, Vec<String>) {
    let world = world(2, |config| {
        // The first is chosen before the second wherever it may be.
        config["providers"]["primary"]["keys"][1]["weight"] = json!(0);
        let network = &mut config["providers"]["primary"]["network_config"];
        network["retry_backoff_initial"] = json!("2s");
        network["retry_backoff_max"] = json!("2s");
        config["governance"]["virtual_keys"][0]["provider_configs"][0]["key_ids"] = json!(["a", "b"]);
    })
    .await;
    world.faults(&json!({"primary": [{"sequence": faults}]}));
    let call = world.call();
    let edited = async {
        assert!(world.upstream.wait_until(|ledger| ledger.inference().count() == faults.len(), DEADLINE).await);
        world.admin(method, "/api/governance/virtual-keys/vk-agent", edit).await
    };
    let (answer, edited) = tokio::join!(call, edited);
    assert_eq!(edited.status, 200, "{}", edited.text);
    (answer.status.as_u16(), used(&world))
}

#[tokio::test]
async fn another_try_goes_by_the_virtual_key_as_it_is_then() {
    let may_use = |key_ids: Value| {
        let config = json!({"provider": "primary", "weight": 1, "allowed_models": ["*"], "key_ids": key_ids});
        json!({ "provider_configs": [config] })
    };
    let values = |used: &[&str]| used.iter().map(|key| format!("value-{key}")).collect::<Vec<_>>();
    for (fault, own_status) in [(fault(503), 503), (json!("reset_before"), 502)] {
        let failed = std::slice::from_ref(&fault);
        let other = edited_between_tries(failed, Method::PUT, Some(&may_use(json!(["b"])))).await;
        assert_eq!(other, (200, values(&["a", "b"])), "{fault}");
        let none = edited_between_tries(failed, Method::PUT, Some(&may_use(json!([])))).await;
        assert_eq!(none, (400, values(&["a"])), "{fault}");
        let deleted = edited_between_tries(failed, Method::DELETE, None).await;
        assert_eq!(deleted, (401, values(&["a"])), "{fault}");
        // The only one that it may use then has been refused.
        let refused = [self::fault(401), fault.clone()];
        let spent = edited_between_tries(&refused, Method::PUT, Some(&may_use(json!(["a"])))).await;
        assert_eq!(spent, (own_status, values(&["a", "b"])), "{fault}");
    }
}

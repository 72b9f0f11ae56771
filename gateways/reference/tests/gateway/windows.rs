//! Windows: what they count in, when they end, and what an edit keeps.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Process, World, budget};

const AGENT: &str = "/api/governance/virtual-keys/vk-agent";

/// A key whose windows follow the calendar, with a budget for one call in each.
async fn aligned(reset: &str) -> World {
    World::start(|config| {
        config["governance"]["virtual_keys"][0]["calendar_aligned"] = json!(true);
        config["governance"]["budgets"] = json!([budget("b", "0.00125", reset, "vk-agent")]);
    })
    .await
}

/// The moment that the gateway's clock shows.
async fn now(world: &World) -> Timestamp {
    let answer = world.admin(Method::POST, "/api/test/clock", Some(&json!({"advance": "1ms"}))).await;
    answer.json()["now"].as_str().unwrap().parse().unwrap()
}

async fn advance_to(world: &World, moment: Timestamp) {
    let millis = moment.as_millisecond() - now(world).await.as_millisecond();
    world.advance(&format!("{millis}ms")).await;
}

fn midnight(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC).unwrap().timestamp()
}

fn date_of(moment: Timestamp) -> Date {
    DateTime::from(moment.to_zoned(TimeZone::UTC)).date()
}

/// When the calendar's window after that of `date` begins.
fn next(reset: &str, date: Date) -> Date {
    let month = |every: i8| {
        let first = date.with().month((date.month() - 1) / every * every + 1).day(1).build().unwrap();
        first + i32::from(every).months()
    };
    match reset {
        "1d" => date.tomorrow().unwrap(),
        "1w" => date.nth_weekday(1, jiff::civil::Weekday::Monday).unwrap(),
        "1M" => month(1),
        "3M" | "1Q" => month(3),
        "1Y" => month(12),
        other => panic!("{other}"),
    }
}

async fn status(world: &World) -> u16 {
    world.call().await.status.as_u16()
}

#[tokio::test]
async fn an_aligned_window_ends_at_the_calendars_boundary_neither_early_nor_late() {
    for reset in ["1d", "1w", "1M", "3M", "1Q", "1Y"] {
        let world = aligned(reset).await;
        for _ in 0..2 {
            assert_eq!(status(&world).await, 200, "{reset}");
            let refused = world.call().await;
            assert_eq!(refused.status, 402, "{reset}");
            let end = midnight(next(reset, date_of(now(&world).await)));
            assert_eq!(refused.json()["error"]["resets_at"], end.to_string(), "{reset}");
            advance_to(&world, end - 30.seconds()).await;
            assert_eq!(status(&world).await, 402, "{reset}");
            advance_to(&world, end).await;
        }
        assert_eq!(world.agent().await["budgets"][0]["current_usage"], "0", "{reset}");
    }
}

#[tokio::test]
async fn the_last_day_of_a_month_and_a_leap_day_are_days_like_any_other() {
    let world = aligned("1M").await;
    let mut day = next("1M", date_of(now(&world).await));
    // Through February of a leap year at least.
    while !(day.in_leap_year() && day.month() == 3) {
        let last = day.last_of_month();
        advance_to(&world, midnight(day)).await;
        assert_eq!(status(&world).await, 200, "{day}");
        advance_to(&world, midnight(last) + 12.hours()).await;
        let refused = world.call().await;
        assert_eq!(refused.status, 402, "{last}");
        day = last.tomorrow().unwrap();
        assert_eq!(refused.json()["error"]["resets_at"], midnight(day).to_string());
    }
    advance_to(&world, midnight(day)).await;
    assert_eq!(status(&world).await, 200);
}

#[tokio::test]
async fn alignment_survives_a_kill_and_covers_the_keys_providers_and_its_limits() {
    let mut world = World::start(|config| {
        let mut own = budget("own", "1", "1M", "");
        own.as_object_mut().unwrap().remove("virtual_key_id");
        own["provider_config_id"] = json!("agent-primary");
        config["governance"]["budgets"] = json!([budget("b", "1", "1w", "vk-agent"), own]);
        let key = &mut config["governance"]["virtual_keys"][0];
        key["calendar_aligned"] = json!(true);
        key["rate_limit"] = json!({
            "request_max_limit": 10, "request_reset_duration": "1d",
            "token_max_limit": 1000, "token_reset_duration": "1m",
        });
    })
    .await;
    world.kill_and_start().await;
    assert_eq!(status(&world).await, 200);
    let agent = world.agent().await;
    assert_eq!(agent["calendar_aligned"], true);
    let midnights = [
        &agent["budgets"][0]["last_reset"],
        &agent["provider_configs"][0]["budgets"][0]["last_reset"],
        &agent["rate_limit"]["request_last_reset"],
    ];
    for start in midnights {
        assert!(start.as_str().unwrap().ends_with("T00:00:00Z"), "{start}");
    }
    // A limit by the minute begins with its first use, as ever.
    let minute = agent["rate_limit"]["token_last_reset"].as_str().unwrap();
    assert!(!minute.ends_with("T00:00:00Z"), "{minute}");
}

#[tokio::test]
async fn a_length_that_has_no_place_in_the_calendar_is_refused_by_name() {
    type Edit = fn(&mut Value);
    let cases: [(Edit, &str); 3] = [
        (|budget| budget["reset_duration"] = json!("12h"), "`12h` cannot follow the calendar"),
        (|budget| budget["reset_duration"] = json!("1.5M"), "`1.5M` cannot follow the calendar"),
        (|budget| budget["reset_duration"] = json!("1 month"), "`1 month` is not a duration"),
    ];
    for (edit, problem) in cases {
        let world = World::prepare(|config| {
            config["governance"]["virtual_keys"][0]["calendar_aligned"] = json!(true);
            let mut budget = budget("b", "1", "1M", "vk-agent");
            edit(&mut budget);
            config["governance"]["budgets"] = json!([budget]);
        })
        .await;
        world.write_config();
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started") };
        assert!(line.contains("governance.budgets[0].reset_duration") && line.contains(problem), "{line}");
    }
    // Its own word wins over that of its key.
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["calendar_aligned"] = json!(true);
        let mut hourly = budget("b", "0.00125", "1h", "vk-agent");
        hourly["calendar_aligned"] = json!(false);
        config["governance"]["budgets"] = json!([hourly]);
    })
    .await;
    assert_eq!(status(&world).await, 200);
    world.advance("1h").await;
    assert_eq!(status(&world).await, 200);
    let hourly = json!({"budgets": [{"max_limit": 1, "reset_duration": "1h"}]});
    let answer = world.admin(Method::PUT, AGENT, Some(&hourly)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("`1h` cannot follow the calendar"), "{}", answer.text);
}

#[tokio::test]
async fn an_edit_of_limit_window_or_alignment_keeps_what_was_used_also_over_a_kill() {
    let mut world = World::start(|config| {
        config["governance"]["budgets"] = json!([budget("b", "0.0025", "1d", "vk-agent")]);
    })
    .await;
    let first = now(&world).await;
    assert_eq!(status(&world).await, 200);
    world.advance("5h").await;
    for edit in [
        json!({"budgets": [{"id": "b", "max_limit": "number:0.00125", "reset_duration": "1d"}]}),
        json!({"budgets": [{"id": "b", "max_limit": "number:0.00125", "reset_duration": "1h"}]}),
        json!({"budgets": [{"id": "b", "max_limit": "number:0.00125", "reset_duration": "1Y"}]}),
        json!({"calendar_aligned": true}),
        json!({"calendar_aligned": false}),
        json!({"budgets": [{"id": "b", "max_limit": "number:0.00125", "reset_duration": "1Y", "calendar_aligned": true}]}),
    ] {
        let answer = world.admin(Method::PUT, AGENT, Some(&edit)).await;
        assert_eq!(answer.status, 200, "{edit}: {}", answer.text);
        assert_eq!(world.spent().await, "0.00125", "{edit}");
        assert_eq!(status(&world).await, 402, "{edit}");
    }
    world.kill_and_start().await;
    // Nobody's clock ran on while the gateway was dead; the window is the year's all the same.
    assert_eq!(world.spent().await, "0.00125");
    let refused = world.call().await;
    let end = midnight(next("1Y", date_of(first)));
    assert_eq!(refused.json()["error"]["resets_at"], end.to_string());
}

#[tokio::test]
async fn a_window_that_is_shortened_keeps_what_was_used_for_one_more_of_its_length() {
    let world = World::start(|config| {
        config["governance"]["budgets"] = json!([budget("b", "0.00125", "1d", "vk-agent")]);
    })
    .await;
    assert_eq!(status(&world).await, 200);
    world.advance("5h").await;
    let hourly = json!({"budgets": [{"max_limit": "number:0.00125", "reset_duration": "1h"}]});
    assert_eq!(world.admin(Method::PUT, AGENT, Some(&hourly)).await.status, 200);
    assert_eq!(status(&world).await, 402);
    world.advance("59m").await;
    assert_eq!(status(&world).await, 402);
    world.advance("1m").await;
    assert_eq!(status(&world).await, 200);
}

#[tokio::test]
async fn customers_teams_and_models_can_follow_the_calendar_too() {
    let monthly = json!([{"max_limit": "number:0.00125", "reset_duration": "1M"}]);
    for (list, level, mut entity) in [
        ("customers", "customer", json!({"id": "o", "name": "acme"})),
        ("teams", "team", json!({"id": "o", "name": "acme"})),
        ("model_configs", "model", json!({"id": "o", "model_name": "*"})),
    ] {
        entity["calendar_aligned"] = json!(true);
        entity["budgets"] = monthly.clone();
        let mut world = World::start(|config| {
            config["governance"][list] = json!([entity]);
            if level != "model" {
                config["governance"]["virtual_keys"][0][format!("{level}_id")] = json!("o");
            }
        })
        .await;
        assert_eq!(status(&world).await, 200, "{level}");
        world.kill_and_start().await;
        let refused = world.call().await;
        let end = midnight(next("1M", date_of(now(&world).await)));
        assert_eq!(refused.json()["error"]["scope"], level);
        assert_eq!(refused.json()["error"]["resets_at"], end.to_string(), "{level}");
        advance_to(&world, end).await;
        assert_eq!(status(&world).await, 200, "{level}");
    }
}

#[tokio::test]
async fn alignment_through_the_api_counts_at_once_and_after_a_kill() {
    let mut world = World::start(|_| {}).await;
    for (path, level, name) in [
        ("/api/governance/customers", "customer", "name"),
        ("/api/governance/teams", "team", "name"),
        ("/api/governance/model-configs", "model_config", "model_name"),
    ] {
        let monthly = json!([{"max_limit": "number:0.00125", "reset_duration": "1M"}]);
        let made = json!({name: "mock-1", "calendar_aligned": true, "budgets": monthly});
        let made = put(&world, Method::POST, path, &made).await[level].clone();
        let (id, first) = (made["id"].as_str().unwrap(), midnight(date_of(now(&world).await).first_of_month()));
        let path = format!("{path}/{id}");
        if level != "model_config" {
            put(&world, Method::PUT, AGENT, &json!({format!("{level}_id"): id})).await;
        }
        assert_eq!(status(&world).await, 200, "{level}");
        world.kill_and_start().await;
        assert_eq!(status(&world).await, 402, "{level}");
        let shown = world.admin(Method::GET, &path, None).await.json()[level].clone();
        assert_eq!(
            (&shown["calendar_aligned"], &shown["budgets"][0]["calendar_aligned"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(shown["budgets"][0]["last_reset"], first.to_string(), "{level}");
        // A window that no longer follows the calendar keeps what was used in it.
        let rolling = put(&world, Method::PUT, &path, &json!({"calendar_aligned": false})).await[level].clone();
        assert_eq!(rolling["budgets"][0]["calendar_aligned"], false, "{level}");
        assert_eq!(status(&world).await, 402, "{level}");
        let hourly = json!({"calendar_aligned": true, "budgets": [{"max_limit": 1, "reset_duration": "1h"}]});
        let answer = world.admin(Method::PUT, &path, Some(&hourly)).await;
        assert_eq!(answer.status, 400, "{level}");
        assert!(answer.text.contains("`1h` cannot follow the calendar"), "{}", answer.text);
        assert_eq!(world.admin(Method::GET, &path, None).await.json()[level]["calendar_aligned"], false);
        assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 200);
    }
}

#[tokio::test]
async fn an_alignment_that_was_edited_holds_until_the_file_changes_the_owner() {
    let mut world = World::start(|config| {
        let monthly = json!([{"max_limit": "number:1", "reset_duration": "1M"}]);
        config["governance"]["teams"] =
            json!([{"id": "t", "name": "evals", "calendar_aligned": true, "budgets": monthly}]);
    })
    .await;
    let team = "/api/governance/teams/t";
    put(&world, Method::PUT, team, &json!({"calendar_aligned": false})).await;
    let aligned = async |world: &World| {
        let shown = world.admin(Method::GET, team, None).await.json()["team"].clone();
        (shown["calendar_aligned"].as_bool().unwrap(), shown["budgets"][0]["calendar_aligned"].as_bool().unwrap())
    };
    world.restart().await;
    assert_eq!(aligned(&world).await, (false, false));
    world.config["governance"]["teams"][0]["name"] = json!("renamed");
    world.restart().await;
    assert_eq!(aligned(&world).await, (true, false), "the file's budget is as it was");
    // A budget that is new follows its owner.
    let daily = json!({"budgets": [{"max_limit": 1, "reset_duration": "1d"}]});
    let team = put(&world, Method::PUT, team, &daily).await["team"].clone();
    assert_eq!(team["budgets"][0]["calendar_aligned"], true);
}

#[tokio::test]
async fn a_limits_own_alignment_wins_over_its_owners() {
    let limit = |id: &str, window: &str, aligned: bool| json!({"id": id, "request_max_limit": 9, "request_reset_duration": window, "calendar_aligned": aligned});
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["rate_limits"] =
            json!([limit("own", "1d", true), limit("rolling", "1w", false)]);
    })
    .await;
    let starts = async |world: &World| -> Vec<(bool, bool)> {
        let limits = world.agent().await["rate_limits"].clone();
        let start = |limit: &Value| limit["request_last_reset"].as_str().unwrap().ends_with("T00:00:00Z");
        let limits = limits.as_array().unwrap().iter();
        limits.map(|limit| (limit["calendar_aligned"].as_bool().unwrap(), start(limit))).collect()
    };
    assert_eq!(starts(&world).await, [(true, true), (false, false)]);
    let edited = json!({"rate_limits": [limit("own", "1d", false), limit("rolling", "1w", true)]});
    put(&world, Method::PUT, AGENT, &edited).await;
    assert_eq!(starts(&world).await.iter().map(|(aligned, _)| *aligned).collect::<Vec<_>>(), [false, true]);
    let minute = json!({"rate_limits": [limit("own", "1m", true)]});
    let answer = world.admin(Method::PUT, AGENT, Some(&minute)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("`1m` cannot follow the calendar"), "{}", answer.text);
}

/// A change that is accepted; what it answers.
async fn put(world: &World, method: Method, path: &str, body: &Value) -> Value {
    let answer = world.admin(method, path, Some(body)).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text);
    answer.json()
}

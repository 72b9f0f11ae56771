//! Who is the administrator: a login, its session, and what ends it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, World};

const KEYS: &str = "/api/governance/virtual-keys";

async fn login(world: &World, password: &str) -> Answer {
    let body = json!({"username": "admin", "password": password});
    world.send(world.request(Method::POST, "/api/session/login").json(&body)).await
}

/// The token of a new session, and what the cookie says beside it.
async fn session(world: &World, password: &str) -> (String, String) {
    let answer = login(world, password).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["message"], "Login successful");
    let cookie = answer.header("set-cookie");
    let (token, rest) = cookie.strip_prefix("token=").unwrap().split_once(';').unwrap();
    (token.to_owned(), rest.to_owned())
}

async fn status(world: &World, token: &str) -> StatusCode {
    world.send(world.request(Method::GET, KEYS).bearer_auth(token)).await.status
}

async fn is_enabled(world: &World, token: &str) -> Value {
    let request = world.request(Method::GET, "/api/session/is-auth-enabled");
    world.send(request.header("cookie", format!("token={token}"))).await.json()
}

#[tokio::test]
async fn a_login_opens_a_session_for_a_cookie_and_a_bearer_and_a_logout_ends_it() {
    let world = World::start(|_| {}).await;
    let (token, cookie) = session(&world, "secret").await;
    assert_eq!(cookie, " Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    assert_eq!(status(&world, &token).await, 200);
    let by_cookie = world.request(Method::GET, KEYS).header("cookie", format!("a=b; token={token}"));
    assert_eq!(world.send(by_cookie).await.status, 200);
    assert_eq!(is_enabled(&world, &token).await, json!({"is_auth_enabled": true, "has_valid_token": true}));
    let logout = world.request(Method::POST, "/api/session/logout").header("cookie", format!("token={token}"));
    assert_eq!(world.send(logout).await.json()["message"], "Logout successful");
    assert_eq!(status(&world, &token).await, 401);
    assert_eq!(is_enabled(&world, &token).await["has_valid_token"], false);
    let behind_tls = world.request(Method::POST, "/api/session/login").header("x-forwarded-proto", "https");
    let answer = world.send(behind_tls.json(&json!({"username": "admin", "password": "secret"}))).await;
    assert!(answer.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn a_session_ends_after_thirty_days_and_with_the_process() {
    let mut world = World::start(|_| {}).await;
    let (token, _) = session(&world, "secret").await;
    world.advance("29d").await;
    assert_eq!(status(&world, &token).await, 200);
    world.advance("1d").await;
    assert_eq!(status(&world, &token).await, 401);
    let (token, _) = session(&world, "secret").await;
    world.restart().await;
    assert_eq!(status(&world, &token).await, 401);
}

#[tokio::test]
async fn without_an_administrator_nobody_can_log_in() {
    let world = World::start(|config| config["governance"]["auth_config"]["is_enabled"] = json!(false)).await;
    let answer = login(&world, "secret").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json()["error"]["message"], "Authentication is not enabled");
    assert_eq!(is_enabled(&world, "").await, json!({"is_auth_enabled": false, "has_valid_token": false}));
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_a_session_does_not() {
    let world = World::start(|_| {}).await;
    let (token, _) = session(&world, "secret").await;
    for _ in 0..5 {
        let answer = login(&world, "guess").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"]["message"], "Invalid username or password");
        let basic = world.request(Method::GET, KEYS).basic_auth("admin", Some("guess"));
        assert_eq!(world.send(basic).await.status, 401);
    }
    // Now even the right one waits: it would be the right guess.
    let answer = login(&world, "secret").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "60");
    assert_eq!(world.admin(Method::GET, KEYS, None).await.status, 429);
    assert_eq!(status(&world, &token).await, 200);
    let advance = world.request(Method::POST, "/api/test/clock").bearer_auth(&token);
    assert_eq!(world.send(advance.json(&json!({"advance": "1m"}))).await.status, 200);
    assert_eq!(login(&world, "secret").await.status, 200);
}

#[tokio::test]
async fn a_changed_password_ends_every_session_and_survives_a_kill_until_the_file_changes() {
    let mut world = World::start(|_| {}).await;
    let (token, _) = session(&world, "secret").await;
    let patch = |auth: Value| json!({ "auth_config": auth });
    for (auth, expected) in [
        (json!({"admin_password": "short"}), "at least 8 characters"),
        (json!({"admin_password": "env.NOT_THERE_AT_ALL"}), "env.NOT_THERE_AT_ALL resolved to an empty value"),
        (json!({"is_enabled": false}), "would close the management API"),
        (json!({"admin_pasword": "x"}), "auth_config.admin_pasword: unknown field; did you mean `admin_password`?"),
    ] {
        let answer = world.admin(Method::PATCH, "/api/config", Some(&patch(auth))).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains(expected), "{}", answer.text);
        assert_eq!(status(&world, &token).await, 200);
    }
    // What is read can be written back: it changes nothing.
    let read = world.admin(Method::GET, "/api/config", None).await.json()["auth_config"].clone();
    assert_eq!(read, json!({"admin_username": "admin", "admin_password": "<redacted>", "is_enabled": true}));
    assert_eq!(world.admin(Method::PATCH, "/api/config", Some(&patch(read))).await.status, 200);
    assert_eq!(status(&world, &token).await, 200);

    let new = patch(json!({"admin_password": "a new password"}));
    assert_eq!(world.admin(Method::PATCH, "/api/config", Some(&new)).await.status, 200);
    assert_eq!(status(&world, &token).await, 401);
    assert_eq!(login(&world, "secret").await.status, 401);
    session(&world, "a new password").await;
    world.kill_and_start().await;
    assert_eq!(login(&world, "secret").await.status, 401);
    session(&world, "a new password").await;
    let database = std::fs::read(world.folder.path().join("config.db")).unwrap();
    assert!(!String::from_utf8_lossy(&database).contains("a new password"));

    world.config["governance"]["auth_config"]["admin_password"] = json!("of the file");
    world.restart().await;
    assert_eq!(login(&world, "a new password").await.status, 401);
    session(&world, "of the file").await;
}

#[tokio::test]
async fn guesses_at_once_are_counted_like_guesses_in_turn() {
    let world = World::start(|_| {}).await;
    let guesses = (0..64).map(|at| {
        let request = world.request(Method::GET, KEYS).basic_auth("admin", Some(format!("guess {at}")));
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    let mut looked_at = 0;
    for answer in guesses.collect::<Vec<_>>() {
        match answer.await.unwrap() {
            401 => looked_at += 1,
            other => assert_eq!(other, 429),
        }
    }
    assert_eq!(looked_at, 10);
}

//! A database that an earlier version of the gateway has written is brought up to date, and what
//! was in it counts.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::migrate::Migrator;

use crate::support::{KEY, World, body, budget, figures_as_texts, virtual_key};

static CONFIG: Migrator = sqlx::migrate!("./migrations");
static LOGS: Migrator = sqlx::migrate!("./migrations-logs");

/// The version of `config.db` that first had such rows, and what a gateway of it wrote. Keys and
/// meters with a hash are the file's, as [`of_file`] has it, with an administrator's edits; those
/// without were made through the API. NOW stands for the time of the start.
const ROWS: &[(i64, &str)] = &[
    (1, include_str!("older_schemas/config-1.sql")),
    (2, include_str!("older_schemas/config-2.sql")),
    (3, include_str!("older_schemas/config-3.sql")),
    (4, include_str!("older_schemas/config-4.sql")),
    (5, include_str!("older_schemas/config-5.sql")),
    (6, include_str!("older_schemas/config-6.sql")),
    // The same rows in another form.
    (7, ""),
    (8, include_str!("older_schemas/config-8.sql")),
];

/// Makes a database as a gateway that knew the migrations up to `version` left it.
async fn old_database(path: &Path, all: &Migrator, version: i64, rows: &[&str]) {
    let known = all.iter().filter(|migration| migration.version <= version).cloned().collect();
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    Migrator::with_migrations(known).run(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let database = rusqlite::Connection::open(path).unwrap();
    for rows in rows {
        database.execute_batch(&rows.replace("NOW", &now.to_string())).unwrap();
    }
    database.close().unwrap();
}

/// What the file says: the same for each version.
fn of_file(config: &mut Value) {
    let key = |name: &str, value: &str| {
        let mut key = virtual_key(name, value);
        key["provider_configs"].as_array_mut().unwrap().truncate(1);
        key
    };
    let mut member = key("member", "sk-member");
    member["team_id"] = json!("t");
    let governance = &mut config["governance"];
    governance["virtual_keys"] = json!([key("agent", KEY), key("gone", "sk-gone"), member, key("turned", "sk-turned")]);
    let one_dollar = |id: &str| json!([{"id": id, "max_limit": 1, "reset_duration": "1h"}]);
    governance["customers"] = json!([{"id": "c", "name": "acme", "budgets": one_dollar("acme")}]);
    governance["teams"] = json!([{"id": "t", "name": "evals", "budgets": one_dollar("evals")}]);
    governance["model_configs"] = json!([{
        "id": "m", "model_name": "mock-1", "provider": "second",
        "rate_limits": [{"id": "model", "request_max_limit": 1, "request_reset_duration": "1h"}],
    }]);
    governance["budgets"] = json!([budget("b", "0.005", "1h", "vk-agent")]);
}

/// Status and type of a call of a model.
async fn asked(world: &World, key: &str, model: &str) -> (u16, String) {
    let mut body = body();
    body["model"] = json!(model);
    let answer = world.send(world.chat(key, &body)).await;
    (answer.status.as_u16(), answer.kind())
}

#[tokio::test]
async fn what_was_spent_and_every_key_survive_the_change_from_each_older_schema() {
    let newest = CONFIG.iter().map(|migration| migration.version).max().unwrap();
    assert_eq!(ROWS.last().unwrap().0, newest, "a new version's tables need rows here");
    for version in 1..=newest {
        let mut world = World::prepare(of_file).await;
        let rows: Vec<&str> = ROWS.iter().filter(|(since, _)| *since <= version).map(|(_, rows)| *rows).collect();
        old_database(&world.folder.path().join("config.db"), &CONFIG, version, &rows).await;
        world.run(&["--test-clock"]).await;
        // What was used, and the hold of a process that was killed.
        assert_eq!(world.spent().await, "0.0024", "version {version}");
        keys_and_their_budgets_hold(&world, version).await;
        if version >= 2 {
            owners_hold(&world, version).await;
        }
        if version >= 4 {
            ends_and_rotations_hold(&world, version).await;
        }
        // A model without a price is refused under a budget, but where an administrator allowed it.
        let unpriced = if version >= 5 { 200 } else { 403 };
        assert_eq!(asked(&world, KEY, "primary/unpriced-1").await.0, unpriced, "version {version}");
        // And all of it once more, from the new schema.
        world.restart().await;
        assert_eq!(world.spent().await, "0.0074", "version {version}");
    }
}

/// What version 1 knew: keys of the file and of the API, a budget, a limit and a deletion.
async fn keys_and_their_budgets_hold(world: &World, version: i64) {
    // The administrator's limit of $0.0075, not the file's of $0.005.
    for expected in [200, 200, 200, 200, 402] {
        assert_eq!(world.call().await.status, expected, "version {version}");
    }
    assert_eq!(asked(world, "sk-gone", "mock-1").await, (401, "virtual_key_not_found".to_owned()));
    assert_eq!(asked(world, "sk-made", "primary/mock-1").await.0, 200);
    assert_eq!(asked(world, "sk-made", "primary/mock-1").await, (429, "request_limited".to_owned()));
    let made = world.admin(Method::GET, "/api/governance/virtual-keys/vk-made", None).await;
    let made = serde_json::from_str::<Value>(&figures_as_texts(&made.text)).unwrap()["virtual_key"].clone();
    assert_eq!((&made["name"], &made["description"]), (&json!("made"), &json!("made through the API")));
    assert_eq!(made["budgets"][0]["current_usage"], "0.75125", "version {version}");
    let aligned: Vec<&Value> =
        made["budgets"].as_array().unwrap().iter().map(|budget| &budget["calendar_aligned"]).collect();
    let expected = if version >= 3 { vec![false, true] } else { vec![false] };
    assert_eq!(json!(aligned), json!(expected), "version {version}");
}

/// What version 2 added: customers, teams and models, whose budgets and limits are spent.
async fn owners_hold(world: &World, version: i64) {
    for (key, model, expected) in [
        ("sk-member", "mock-1", (402, "team", "evals")),
        ("sk-bought", "mock-1", (402, "customer", "acme")),
        ("sk-free", "second/mock-1", (429, "model", "second/mock-1")),
    ] {
        let mut body = body();
        body["model"] = json!(model);
        let answer = world.send(world.chat(key, &body)).await;
        let error = &answer.json()["error"];
        let named = (answer.status.as_u16(), error["scope"].as_str().unwrap(), error["entity"].as_str().unwrap());
        assert_eq!(named, expected, "version {version}: {key}");
    }
    let made = world.admin(Method::GET, "/api/governance/teams/t-made", None).await.json();
    assert_eq!(made["team"]["name"], "made", "version {version}");
    assert_eq!(made["team"]["calendar_aligned"], version >= 6, "version {version}");
}

/// What version 4 added: a key whose time has come, and one whose value was rotated.
async fn ends_and_rotations_hold(world: &World, version: i64) {
    assert_eq!(asked(world, "sk-late", "mock-1").await, (403, "virtual_key_blocked".to_owned()));
    assert_eq!(asked(world, "sk-turned", "mock-1").await.0, 401, "version {version}");
    assert_eq!(asked(world, "sk-new", "mock-1").await.0, 200, "version {version}");
}

/// A mark that were another one would bring back what an administrator has replaced: a password, a provider.
#[tokio::test]
async fn what_an_administrator_changed_is_known_by_the_same_marks_in_every_schema() {
    let rows = "INSERT INTO documents (kind, id, body, file_hash, standing) VALUES
        ('auth', '', '{}', '{\"salt\":\"5a17\",\"hash\":\"a hash that is slow to make, and longer than most\"}', 'live'),
        ('provider', 'primary', '{}', '310c0aa17d50fcde1123d8dee8c7d34f1babe0a8854e93f7f9acdbb19987bbf9', 'deleted')";
    let newest = CONFIG.iter().map(|migration| migration.version).max().unwrap();
    let marks = |path: &Path| {
        let database = rusqlite::Connection::open(path).unwrap();
        let mut marks = database.prepare("SELECT file_hash FROM documents ORDER BY kind").unwrap();
        marks.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap()
    };
    for version in 5..newest {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.db");
        old_database(&path, &CONFIG, version, &[rows]).await;
        let before = marks(&path);
        old_database(&path, &CONFIG, newest, &[]).await;
        assert_eq!((before.len(), marks(&path)), (2, before), "version {version}");
    }
}

#[tokio::test]
async fn the_log_of_an_older_schema_is_read_and_goes_on() {
    let newest = LOGS.iter().map(|migration| migration.version).max().unwrap();
    for version in 1..=newest {
        let mut world = World::prepare(|_| {}).await;
        let row = include_str!("older_schemas/logs-1.sql");
        old_database(&world.folder.path().join("logs.db"), &LOGS, version, &[row]).await;
        world.run(&["--test-clock"]).await;
        let ask = async |path: &str| world.admin(Method::GET, path, None).await;
        let old = ask("/api/logs/log-old").await;
        assert_eq!(old.status, 200, "version {version}: {}", old.text);
        let log = old.json();
        let told = json!([log["request_id"], log["virtual_key_id"], log["model"], log["status_code"], log["latency"]]);
        assert_eq!(told, json!(["mine-1", "vk-agent", "mock-1", 200, 12.5]), "version {version}");
        assert_eq!(log["token_usage"]["prompt_tokens"], 7_000);
        assert_eq!((&log["team_id"], &log["stop_reason"]), (&Value::Null, &Value::Null));
        assert!(old.text.contains(r#""cost":0.0475"#), "{}", old.text);
        assert_eq!(world.call().await.status, 200);
        let stats = ask("/api/logs/stats").await;
        for part in [r#""total_requests":2"#, r#""total_tokens":10200"#, r#""total_cost":0.04875"#] {
            assert!(stats.text.contains(part), "version {version}: {}", stats.text);
        }
    }
}

/// The database knows each migration by its hash: one that is edited, be it a comment, is another
/// one, and no gateway starts any more on a database that had the old one.
#[test]
fn no_migration_has_been_edited() {
    let hash = |bytes: &[u8]| bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
    let all = [("config.db", &CONFIG), ("logs.db", &LOGS)];
    let lines = all.iter().flat_map(|(file, migrations)| {
        migrations.iter().map(move |one| format!("{file} {} {} {}", one.version, one.description, hash(&one.checksum)))
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

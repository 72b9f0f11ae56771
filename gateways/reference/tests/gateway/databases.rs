//! A database that is damaged, of a newer gateway or in use prevents the start, and is left as it is.

use serde_json::json;

use crate::startup::{refusal, refused};
use crate::support::World;

#[tokio::test]
async fn a_damaged_database_is_an_error_and_never_a_fresh_start() {
    for damage in [b"".as_slice(), b"this is no database, whatever its name says it is"] {
        let world = World::prepare(|_| {}).await;
        world.write_config();
        let database = world.folder.path().join("config.db");
        std::fs::write(&database, damage).unwrap();
        let line = refusal(world.folder.path()).await;
        assert!(line.contains("the database DIR/config.db is damaged"), "{line}");
        assert_eq!(std::fs::read(&database).unwrap(), damage);
    }
}

#[tokio::test]
async fn what_is_left_of_a_database_is_an_error_and_never_a_fresh_start() {
    let world = World::prepare(|_| {}).await;
    world.write_config();
    let database = world.folder.path().join("config.db");
    // Where the volume with the database is not mounted.
    std::os::unix::fs::symlink(world.folder.path().join("volume/config.db"), &database).unwrap();
    let line = refusal(world.folder.path()).await;
    assert!(line.contains("config.db is damaged (it is a link to a file that is not there)"), "{line}");
    std::fs::remove_file(&database).unwrap();
    std::fs::write(world.folder.path().join("config.db-wal"), b"commits that are nowhere else").unwrap();
    let line = refusal(world.folder.path()).await;
    assert!(line.contains("config.db is damaged (the file is gone, and its write-ahead log is not)"), "{line}");
    assert!(!database.exists());
}

#[tokio::test]
async fn a_row_that_no_gateway_wrote_is_named_with_its_table_its_id_and_its_column() {
    for (edit, expected) in [
        ("UPDATE meters SET used = -1", "table meters, row 'budget:b', column used"),
        ("UPDATE meters SET reset_duration = 'soon', file_hash = NULL", "row 'budget:b', column reset_duration"),
        ("UPDATE virtual_keys SET standing = 'gone'", "table virtual_keys, row 'vk-agent', column standing"),
        ("UPDATE virtual_keys SET grants = '{'", "table virtual_keys, row 'vk-agent', column grants"),
        ("INSERT INTO holds VALUES (7, -1, 0, '[]')", "table holds, row '7', column cost"),
    ] {
        let budget = crate::support::budget("b", "1", "1h", "vk-agent");
        let mut world = World::start(|config| config["governance"]["budgets"] = json!([budget])).await;
        assert!(world.process.take().unwrap().terminate().await);
        let database = rusqlite::Connection::open(world.folder.path().join("config.db")).unwrap();
        assert_eq!(database.execute(edit, []).unwrap(), 1);
        database.close().unwrap();
        let line = refusal(world.folder.path()).await;
        assert!(line.contains("config.db is damaged (") && line.contains(expected), "{line}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_gateway_is_refused() {
    use sqlx::Connection as _;
    let mut world = World::start(|_| {}).await;
    assert!(world.process.take().unwrap().terminate().await);
    let mut connection = world.database("config.db").await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'newer', 1, x'00', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let line = refusal(world.folder.path()).await;
    assert!(line.contains("schema version 9999, which is newer"), "{line}");
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let world = World::start(|_| {}).await;
    let line = refusal(world.folder.path()).await;
    assert_eq!(line, "probity-reference: another gateway is using the database DIR/config.db");
}

#[tokio::test]
async fn two_folders_cannot_share_a_database() {
    let elsewhere = tempfile::TempDir::new().unwrap();
    let store = json!({"enabled": true, "type": "sqlite", "config": {"path": elsewhere.path().join("shared.db")}});
    let first = World::start(|config| config["config_store"] = store.clone()).await;
    let line = refused(|config| config["config_store"] = store).await;
    assert!(line.starts_with("probity-reference: another gateway is using the database "), "{line}");
    assert!(line.ends_with("shared.db"), "{line}");
    assert_eq!(first.call().await.status, 200);
}

#[tokio::test]
async fn a_database_for_the_loss_of_power_is_made_and_used() {
    let mut world = World::start(|config| {
        config["client"]["durability"] = json!("power_loss");
        config["governance"]["budgets"] = json!([crate::support::budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    world.kill_and_start().await;
    assert_eq!(world.spent().await, "0.00125");
}

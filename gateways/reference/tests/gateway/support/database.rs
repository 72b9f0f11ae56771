//! The gateway's databases, seen from outside.

use sqlx::{Connection as _, SqliteConnection};

use super::World;

impl World {
    /// A connection to a database in the gateway's folder, beside the gateway's own.
    pub(crate) async fn database(&self, file: &str) -> SqliteConnection {
        let url = format!("sqlite://{}", self.folder.path().join(file).display());
        SqliteConnection::connect(&url).await.unwrap()
    }
}

//! `/api/config`: the client settings and the administrator, while the gateway runs.
//!
//! A change is checked as a whole before anything is written, and written before anything
//! is applied: one that is rejected changes nothing, in memory or on disk.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::asked::InBody;
use super::auth::Authorized;
use super::credentials::{self, AuthBody, AuthView, NewAdministrator};
use super::reply::{Reply, change, invalid, not_written, respond, succeeded};
use crate::config::{self, Client, ClientFile, Framework, Invalid};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::objects::read_from_objects;
use crate::store::{Change, DocumentKind, DocumentRow, Standing};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct ConfigBody {
    #[schemars(with = "Option<ClientFile>")]
    client_config: Option<Map<String, Value>>,
    /// May be repeated as it is answered; it cannot be changed here.
    framework_config: Option<Value>,
    auth_config: Option<AuthBody>,
}

read_from_objects!(ConfigBody);

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Config", deny_unknown_fields)]
pub(super) struct ConfigView {
    client_config: ClientFile,
    framework_config: Framework,
    auth_config: Option<AuthView>,
    is_db_connected: bool,
}

/// What a field that the body leaves out means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Omitted {
    /// It stays as it is.
    Stays,
    /// It takes its default, which is refused where it is set now: whoever leaves it out may
    /// not know that it protects something.
    IsDefault,
}

pub(super) async fn read(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    respond(&ConfigView {
        client_config: gateway.client().written.with_defaults(),
        framework_config: gateway.file.framework.clone(),
        auth_config: credentials::shown(&gateway),
        is_db_connected: gateway.books.ping().await.is_ok(),
    })
}

pub(super) async fn replace(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InBody(body): InBody<ConfigBody>,
) -> Reply {
    change(gateway, move |gateway| edit(gateway, body, Omitted::IsDefault)).await
}

pub(super) async fn patch(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InBody(body): InBody<ConfigBody>,
) -> Reply {
    change(gateway, move |gateway| edit(gateway, body, Omitted::Stays)).await
}

async fn edit(gateway: Arc<Gateway>, body: ConfigBody, omitted: Omitted) -> Result<Response, Problem> {
    if body.framework_config.is_some_and(|given| given != json!(gateway.file.framework)) {
        return Err(invalid("framework_config is read from config.json at a start, and cannot be changed here"));
    }
    let client = match (body.client_config, omitted) {
        (Some(fields), _) => Some(client(&gateway.client(), fields, omitted)?),
        (None, Omitted::Stays) => None,
        (None, Omitted::IsDefault) => return Err(invalid("client_config is required; PATCH changes a part")),
    };
    let administrator = match body.auth_config {
        Some(auth) => credentials::changed(&gateway, auth).await?,
        None => None,
    };
    let mut changes = Vec::new();
    if let Some(client) = &client {
        changes.push(Change::PutDocument(document(&gateway, client)));
    }
    let administrator = administrator.map(|NewAdministrator { administrator, change }| {
        changes.push(change);
        administrator
    });
    gateway.books.write(|_| changes).await.map_err(not_written)?;
    if let Some(administrator) = administrator {
        gateway.admin.store(Some(Arc::new(administrator)));
        gateway.sessions.close_all();
    }
    if let Some(client) = client {
        gateway.client.store(Arc::new(client));
    }
    Ok(succeeded("Configuration updated successfully"))
}

/// The settings as they will be.
fn client(now: &Client, fields: Map<String, Value>, omitted: Omitted) -> Result<Client, Problem> {
    let current = now.written.to_fields();
    if omitted == Omitted::IsDefault
        && let Some((name, value)) = current.iter().find(|(name, _)| !fields.contains_key(*name))
    {
        return Err(invalid(format!(
            "client_config.{name} is {value} now and the body leaves it out; write its value, or use PATCH, which keeps what is left out"
        )));
    }
    let mut merged = if omitted == Omitted::Stays { current } else { Map::new() };
    merged.extend(fields);
    let text = Value::Object(merged).to_string();
    if text.contains("\"env.") {
        return Err(invalid("client_config: `env.NAME` is filled in by config.json only"));
    }
    let written: ClientFile = config::read_part("client", &text).map_err(refused)?;
    if written.durability() != now.written.durability() {
        return Err(invalid("client_config.durability is read at a start; write it into config.json"));
    }
    config::check_client(&written, "client").map_err(refused)
}

/// What is wrong, where it stands in a body.
fn refused(error: Invalid) -> Problem {
    let Invalid { at, problem } = error;
    invalid(format!("{}: {problem}", at.replacen("client", "client_config", 1)))
}

fn document(gateway: &Gateway, client: &Client) -> DocumentRow {
    DocumentRow {
        kind: DocumentKind::Client,
        id: String::new(),
        body: Value::Object(client.written.to_fields()).to_string(),
        file_hash: Some(gateway.file.client.clone()),
        standing: Standing::Live,
    }
}

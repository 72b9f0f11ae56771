//! `auth_config` of `/api/config`: the administrator's name and password, while the gateway
//! runs. What a body leaves out stays as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reply::invalid;
use crate::administrator::{self, Administrator, StoredAdmin, StoredPassword};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::objects::read_from_objects;
use crate::slow_hash::{BadSalt, SlowHash};
use crate::store::{Change, DocumentKind, DocumentRow, Standing};

/// What stands where a password is not shown. Written back, it keeps the password.
const REDACTED: &str = "<redacted>";
const SHORTEST_PASSWORD: usize = 8;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct AuthBody {
    is_enabled: Option<bool>,
    admin_username: Option<String>,
    admin_password: Option<String>,
    disable_auth_on_inference: Option<bool>,
}

read_from_objects!(AuthBody);

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Administrator", deny_unknown_fields)]
pub(super) struct AuthView {
    admin_username: String,
    admin_password: &'static str,
    is_enabled: bool,
}

pub(super) fn shown(gateway: &Gateway) -> Option<AuthView> {
    gateway.admin.load().as_ref().map(|admin| AuthView {
        admin_username: admin.username().to_owned(),
        admin_password: REDACTED,
        is_enabled: true,
    })
}

/// The administrator as it will be.
pub(super) struct NewAdministrator {
    pub(super) administrator: Administrator,
    pub(super) change: Change,
}

/// What a body changes; `None` where it says what is so already.
pub(super) async fn changed(gateway: &Gateway, body: AuthBody) -> Result<Option<NewAdministrator>, Problem> {
    if body.is_enabled == Some(false) {
        let problem = "auth_config.is_enabled: false would close the management API; write it into config.json";
        return Err(invalid(problem));
    }
    if body.disable_auth_on_inference == Some(false) {
        let problem =
            "auth_config.disable_auth_on_inference: inference asks for a virtual key and never for the administrator";
        return Err(invalid(problem));
    }
    let Some(now) = gateway.admin.load_full() else {
        return Err(super::auth::closed());
    };
    let username = body.admin_username.filter(|name| name != now.username());
    let password = body.admin_password.filter(|password| !password.is_empty() && password != REDACTED);
    if username.is_none() && password.is_none() {
        return Ok(None);
    }
    if username.as_deref().is_some_and(|name| name.trim().is_empty()) {
        return Err(invalid("auth_config.admin_username: is empty"));
    }
    if password
        .as_deref()
        .is_some_and(|password| !password.starts_with("env.") && password.chars().count() < SHORTEST_PASSWORD)
    {
        return Err(invalid(format!("auth password must include at least {SHORTEST_PASSWORD} characters")));
    }
    let username = username.unwrap_or_else(|| now.username().to_owned());
    let file = gateway.file.admin.clone();
    // Slow hashes must not hold up other requests.
    let hashed = tokio::task::spawn_blocking(move || {
        let mark = SlowHash::of(&administrator::mark(file.as_ref()))?;
        let password = match password {
            None => now.stored_password()?,
            Some(password) => match password.strip_prefix("env.") {
                Some(name) => StoredPassword::Env(name.to_owned()),
                None => StoredPassword::Argon2id(SlowHash::of(&password)?),
            },
        };
        Ok::<_, BadSalt>((mark, password))
    });
    let failed = || invalid("the password could not be hashed");
    let (mark, admin_password) = hashed.await.map_err(|_| failed())?.map_err(|_| failed())?;
    let stored = StoredAdmin { admin_username: username, admin_password };
    let administrator = Administrator::of_stored(&stored, |name| std::env::var(name).ok())
        .map_err(|error| invalid(format!("auth_config: {error}")))?;
    let json = |error: serde_json::Error| invalid(error.to_string());
    let document = DocumentRow {
        kind: DocumentKind::Auth,
        id: String::new(),
        body: serde_json::to_string(&stored).map_err(json)?,
        file_hash: Some(serde_json::to_string(&mark).map_err(json)?),
        standing: Standing::Live,
    };
    Ok(Some(NewAdministrator { administrator, change: Change::PutDocument(document) }))
}

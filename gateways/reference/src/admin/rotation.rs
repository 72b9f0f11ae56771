//! `POST /api/governance/virtual-keys/{id}/rotate` and `/rotate`: new values for virtual keys.
//! The old ones are no longer valid from the next request on, also not after a kill.

use std::sync::Arc;

use axum::extract::State;
use indexmap::IndexSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{InBody, InPath};
use super::auth::Authorized;
use super::reply::{Reply, change, invalid, not_written, respond};
use super::views::{KeyView, key_view};
use super::virtual_keys::{Changed, find, stored};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::identity::{self, KeyHash};
use crate::objects::read_from_objects;
use crate::policy::VirtualKey;
use crate::store::{Change, Standing};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct Several {
    #[schemars(length(min = 1))]
    ids: IndexSet<String>,
}

read_from_objects!(Several);

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Rotated {
    message: &'static str,
    virtual_keys: Vec<KeyView>,
}

pub(super) async fn one(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InPath(id): InPath<String>) -> Reply {
    change(gateway, move |gateway| async move {
        let virtual_key = rotate(&gateway, [id]).await?.pop().ok_or_else(|| invalid("no virtual key was rotated"))?;
        Ok(respond(&Changed { message: "Virtual key rotated successfully", virtual_key }))
    })
    .await
}

pub(super) async fn several(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InBody(Several { ids }): InBody<Several>,
) -> Reply {
    change(gateway, move |gateway| async move {
        if ids.is_empty() {
            return Err(invalid("At least one virtual key ID is required"));
        }
        let virtual_keys = rotate(&gateway, ids).await?;
        Ok(respond(&Rotated { message: "Virtual keys rotated successfully", virtual_keys }))
    })
    .await
}

/// Gives each of the keys a new value, or none if one of them is not there.
async fn rotate(gateway: &Gateway, ids: impl IntoIterator<Item = String>) -> Result<Vec<KeyView>, Problem> {
    let now = gateway.books.now();
    let mut rotated: Vec<(VirtualKey, String)> = Vec::new();
    for id in ids {
        let mut key = VirtualKey::clone(&*find(gateway, &id)?);
        let value = identity::generate();
        let row = Arc::make_mut(&mut key.row);
        let before = std::mem::replace(&mut row.value_hash, KeyHash::of(&value));
        if row.file_hash.is_some() {
            row.retired_hash.get_or_insert(before);
        }
        row.value_hint = identity::hint(&value);
        row.updated_at = now;
        rotated.push((key, value));
    }
    let rows = rotated.iter().map(|(key, _)| Change::PutKey(stored(key, Standing::Live))).collect();
    gateway.books.write(|_| rows).await.map_err(not_written)?;
    let views = rotated.iter().map(|(key, value)| key_view(gateway, key, Some(value.clone()))).collect();
    let mut policy = gateway.policy_mut();
    for (key, _) in rotated {
        policy.keys.put(key);
    }
    Ok(views)
}

//! What a change of a virtual key comes to. Nothing is changed here.

use std::sync::Arc;

use super::bodies::{GrantBody, MetersBody};
use super::meter_edits::{MeterEdits, Place};
use super::reply::invalid;
use crate::config::{AllowList, Providers};
use crate::errors::Problem;
use crate::grant::Grant;
use crate::ledger::{Meter, MeterId};
use crate::policy::{GrantPolicy, VirtualKey};
use crate::store::OwnerKey;

impl MeterEdits {
    /// Removes every meter of a key.
    pub(super) fn remove_key(&mut self, key: &VirtualKey) {
        self.remove_all(&OwnerKey::VirtualKey(key.row.id.clone()), &key.meters);
        for policy in &key.grants {
            self.remove_grant(policy);
        }
    }

    fn remove_grant(&mut self, policy: &GrantPolicy) {
        self.remove_all(&OwnerKey::Grant(policy.grant.id.clone()), &policy.meters);
    }

    /// Sets a key's own budgets and limits, as far as they are given.
    pub(super) fn key_meters(
        &mut self,
        key: &mut VirtualKey,
        body: MetersBody,
        ledger: &impl Fn(&MeterId) -> Option<Meter>,
    ) -> Result<(), Problem> {
        let mut place = Place {
            key: OwnerKey::VirtualKey(key.row.id.clone()),
            owner: key.owner(None),
            calendar_aligned: key.row.calendar_aligned,
            meters: &mut key.meters,
        };
        self.set(&mut place, body, ledger)
    }

    /// Replaces a key's grants. A provider that stays keeps its id, and its budgets
    /// and limits unless the body says otherwise.
    pub(super) fn grants(
        &mut self,
        key: &mut VirtualKey,
        bodies: Vec<GrantBody>,
        providers: &Providers,
        ledger: &impl Fn(&MeterId) -> Option<Meter>,
    ) -> Result<(), Problem> {
        let mut before = std::mem::take(&mut key.grants);
        for mut body in bodies {
            let provider = check_grant(&body, providers)?;
            if key.grants.iter().any(|policy| policy.grant.provider == provider) {
                return Err(invalid(format!("Duplicate provider in provider_configs: {}", body.provider)));
            }
            let same = before.iter().position(|policy| policy.grant.provider == provider);
            let (id, mut meters) = match same {
                Some(at) => {
                    let policy = before.remove(at);
                    (policy.grant.id, policy.meters)
                }
                None => (format!("{}/{provider}", key.row.id).into(), Vec::new()),
            };
            if body.id.as_ref().is_some_and(|given| *given.0 != *id) {
                return Err(invalid(format!("the provider configuration of '{}' has another id", body.provider)));
            }
            let mut place = Place {
                key: OwnerKey::Grant(id.clone()),
                owner: key.owner(Some(&provider)),
                calendar_aligned: key.row.calendar_aligned,
                meters: &mut meters,
            };
            self.set(&mut place, body.take_meters()?, ledger)?;
            let grant = Grant {
                id,
                provider,
                weight: body.weight,
                allowed_models: body.allowed_models.unwrap_or(AllowList::NONE),
                blacklisted_models: body.blacklisted_models,
                key_ids: body.key_ids.unwrap_or(AllowList::All),
            };
            key.grants.push(GrantPolicy { grant, meters });
        }
        for policy in before {
            self.remove_grant(&policy);
        }
        Ok(())
    }

    /// Edits every meter of the key that is not edited otherwise.
    pub(super) fn rest_of_key(
        &mut self,
        key: &mut VirtualKey,
        calendar_aligned: Option<bool>,
        ledger: &impl Fn(&MeterId) -> Option<Meter>,
    ) -> Result<(), Problem> {
        let aligned = key.row.calendar_aligned;
        let owners: Vec<_> = key.grants.iter().map(|policy| key.owner(Some(&policy.grant.provider))).collect();
        let own = (OwnerKey::VirtualKey(key.row.id.clone()), key.owner(None));
        let own_place = Place { key: own.0, owner: own.1, calendar_aligned: aligned, meters: &mut key.meters };
        self.rest(&own_place, calendar_aligned, ledger)?;
        for (policy, owner) in key.grants.iter_mut().zip(owners) {
            let owner_key = OwnerKey::Grant(policy.grant.id.clone());
            let place = Place { key: owner_key, owner, calendar_aligned: aligned, meters: &mut policy.meters };
            self.rest(&place, calendar_aligned, ledger)?;
        }
        Ok(())
    }
}

/// The provider's name, if it is there and has the keys that the body names.
fn check_grant(body: &GrantBody, providers: &Providers) -> Result<Arc<str>, Problem> {
    let provider = providers
        .get(body.provider.as_str())
        .ok_or_else(|| invalid(format!("there is no provider '{}'", body.provider)))?;
    let known = |name: &String| provider.keys.iter().any(|key| key.id == *name || key.name == *name);
    let names = body.key_ids.as_ref().and_then(AllowList::names).unwrap_or_default();
    match names.iter().find(|name| !known(name)) {
        Some(unknown) => Err(invalid(format!("the provider '{}' has no key '{unknown}'", body.provider))),
        None => Ok(Arc::clone(&provider.name)),
    }
}

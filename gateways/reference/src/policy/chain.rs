//! Every budget and limit that a request touches, from the widest.
//!
//! Of several that refuse, the first is named. Therefore they stand in this order: those
//! against which neither another provider nor another model would help, then those of a
//! model, then those of a provider, then those of a model at a provider.

use std::sync::Arc;

use super::keys::VirtualKey;
use super::levels::{CustomerPolicy, Levels, OwnedMeter, TeamPolicy, folded};
use crate::ledger::MeterId;
use crate::store::{Membership, ModelConfig};

impl Levels {
    /// The meters of a request for `model` through `provider`. The work grows with the number
    /// of levels, not with that of keys or entities.
    pub(crate) fn chain(&self, key: Option<&VirtualKey>, provider: &Arc<str>, model: &str) -> Arc<[MeterId]> {
        let model = folded(model);
        // One that is called like all of them has no limits besides theirs.
        let model = Some(model.as_ref()).filter(|model| *model != ModelConfig::ALL);
        let all = Some(ModelConfig::ALL);
        let at = Some(provider);
        let mut chain = Chain { levels: self, key, meters: Vec::new() };
        chain.model(all, None);
        chain.members();
        chain.add(key.map(|key| key.meters.as_slice()).unwrap_or_default());
        chain.key_model(all, None);
        chain.model(model, None);
        chain.key_model(model, None);
        chain.add(self.provider(provider));
        chain.model(all, at);
        let grant = key.and_then(|key| key.grant(provider));
        chain.add(grant.map(|grant| grant.meters.as_slice()).unwrap_or_default());
        chain.key_model(all, at);
        chain.model(model, at);
        chain.key_model(model, at);
        chain.meters.into()
    }
}

/// Who is above a virtual key.
#[derive(Clone, Copy, Default)]
pub(crate) struct Members<'a> {
    pub(crate) team: Option<&'a Arc<TeamPolicy>>,
    pub(crate) customer: Option<&'a Arc<CustomerPolicy>>,
}

impl Levels {
    /// The key's customer, or its team and that one's customer, as far as they are there.
    pub(crate) fn members(&self, key: Option<&VirtualKey>) -> Members<'_> {
        let (team, customer) = match key.map(|key| &key.row.membership) {
            None | Some(Membership::None) => return Members::default(),
            Some(Membership::Customer(id)) => (None, Some(id)),
            Some(Membership::Team(id)) => {
                let team = self.team(id);
                (team, team.and_then(|team| team.row.entity.customer_id.as_ref()))
            }
        };
        Members { team, customer: customer.and_then(|id| self.customer(id)) }
    }
}

struct Chain<'a> {
    levels: &'a Levels,
    key: Option<&'a VirtualKey>,
    meters: Vec<MeterId>,
}

impl Chain<'_> {
    fn add(&mut self, meters: &[OwnedMeter]) {
        self.meters.extend(meters.iter().map(|meter| meter.id.clone()));
    }

    fn members(&mut self) {
        let members = self.levels.members(self.key);
        if let Some(customer) = members.customer {
            self.add(&customer.meters);
        }
        if let Some(team) = members.team {
            self.add(&team.meters);
        }
    }

    fn model(&mut self, model: Option<&str>, provider: Option<&Arc<str>>) {
        if let Some(model) = model
            && !self.levels.has_no_models()
        {
            for policy in self.levels.for_all(model, provider) {
                self.add(&policy.meters);
            }
        }
    }

    fn key_model(&mut self, model: Option<&str>, provider: Option<&Arc<str>>) {
        if let (Some(key), Some(model)) = (self.key, model)
            && !self.levels.has_no_models()
        {
            for policy in self.levels.for_key(&key.row.id, model, provider) {
                self.add(&policy.meters);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::ledger::Measure;
    use crate::policy::OwnedMeter;
    use crate::policy::levels::ModelPolicy;
    use crate::store::{EntityRow, Standing};

    #[test]
    fn a_model_that_is_called_like_all_of_them_counts_once() {
        let entity = ModelConfig { model_name: ModelConfig::ALL.to_owned(), provider: None, virtual_key_id: None };
        let created_at = Moment::from_millis(0);
        let row = EntityRow {
            id: "all".into(),
            entity,
            calendar_aligned: false,
            file_hash: None,
            created_at,
            updated_at: created_at,
            standing: Standing::Live,
        };
        let budget = OwnedMeter { id: MeterId::new(Measure::Usd, "b"), file_hash: None };
        let mut levels = Levels::default();
        levels.put_model(ModelPolicy { row, meters: vec![budget.clone()] });
        for model in ["mock-1", ModelConfig::ALL] {
            let chain = levels.chain(None, &"primary".into(), model);
            assert_eq!(chain.iter().collect::<Vec<_>>(), [&budget.id], "{model}");
        }
    }
}

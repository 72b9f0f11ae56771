//! A reference gateway for clients that are no part of the runner.

use mock_upstream::Script;
use probity::{
    drive::{CaseWorld, Start},
    policy::Policy,
};

use super::{Bench, wait};

/// A reference gateway in front of an upstream. Both are gone when it is dropped.
pub struct Served(Option<CaseWorld>);

impl Bench {
    /// Starts the reference gateway, in the runtime that this machine has, with this policy and
    /// these providers.
    pub fn serve(&self, name: &str, policy: &Policy, script: &Script) -> Served {
        let target = &self.target;
        let start = Start {
            gateway: &target.gateway,
            version: &target.version,
            runtime: &*target.runtime,
            installed: &target.installed,
            probity: &target.probity,
            seed: 1,
            name,
        };
        let world = wait(CaseWorld::start(start, policy, script));
        Served(Some(world.unwrap_or_else(|error| panic!("{}", error.error.with_log()))))
    }
}

impl Served {
    /// Where it is called, its keys, its administrator, and what stands behind it.
    pub fn world(&self) -> &CaseWorld {
        self.0.as_ref().expect("it is taken out when it is dropped")
    }

    /// How many calls reached a provider.
    pub fn calls(&self) -> usize {
        self.world().upstream.ledger().inference().count()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(world) = self.0.take() {
            wait(world.discard());
        }
    }
}

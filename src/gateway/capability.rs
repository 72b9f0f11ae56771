//! Which cases and checks apply to a gateway.

use super::load::Gateway;
use crate::{
    owner::OwnerKind,
    scenario::{Case, CheckKind},
};

impl Gateway {
    /// Whether the gateway says it has a capability: listed, or following from what else its manifest says.
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        let manifest = &self.manifest;
        if let Some(route) = capability.strip_prefix("routes.") {
            return manifest.routes.keys().any(|name| name.word() == route);
        }
        if let Some(via) = capability.strip_prefix("keys.via.") {
            return manifest.keys.via.iter().any(|name| name.word() == via);
        }
        if capability == "dialect.tried" {
            return manifest.dialect.tried.is_some();
        }
        if let Some(operation) = capability.strip_prefix("admin.") {
            let (operation, kind) = operation.split_once('.').unwrap_or((operation, OwnerKind::VirtualKey.word()));
            let collections = &manifest.admin.collections;
            let of_kind = collections.is_empty() || collections.keys().any(|known| known.word() == kind);
            return of_kind && manifest.admin.operation(operation).is_some();
        }
        manifest.capabilities.iter().any(|listed| listed.word() == capability)
    }

    /// Why a case does not apply, if so: the first capability that is missing.
    #[must_use]
    pub fn lacks_for_case(&self, case: &Case) -> Option<String> {
        case.needs().into_iter().find(|need| !self.has(need))
    }

    /// Why a check of an applicable case does not apply, if so.
    #[must_use]
    pub fn lacks_for_check(&self, check: &CheckKind) -> Option<String> {
        check.needs().filter(|need| !self.has(need))
    }
}

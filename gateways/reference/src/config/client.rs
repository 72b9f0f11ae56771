//! `client`: of the file, or of an administrator while the gateway runs.

use super::file::{AdmissionFile, ClientFile, DurabilityFile, UnpricedFile};
use super::settings::Client;
use crate::ledger::BudgetAdmission;
use crate::store::Durability;

const MAX_BODY_MB: usize = 100;

impl ClientFile {
    /// Of the three settings that make a virtual key mandatory, one remains: it is the one
    /// that an administrator can change.
    pub(super) fn one_word_for_mandatory(&mut self, plugins_switch: bool) {
        let older = self.enforce_governance_header.take();
        if plugins_switch || older == Some(true) {
            self.enforce_auth_on_inference = Some(true);
        }
    }
}

/// The section in its checked form.
pub(crate) fn check(file: &ClientFile) -> Client {
    Client {
        key_is_mandatory: file.enforce_auth_on_inference == Some(true) || file.enforce_governance_header == Some(true),
        admission: match file.budget_admission {
            Some(AdmissionFile::PostPaid) => BudgetAdmission::PostPaid,
            Some(AdmissionFile::Reserved) | None => BudgetAdmission::Reserved,
        },
        unpriced_allowed: matches!(file.unpriced_models, Some(UnpricedFile::Allow)),
        max_body_bytes: file.max_request_body_size_mb.unwrap_or(MAX_BODY_MB) << 20,
    }
}

/// How durable a commit is. It is read once, at the start.
pub(super) fn durability(file: &ClientFile) -> Durability {
    match file.durability {
        Some(DurabilityFile::PowerLoss) => Durability::PowerLoss,
        Some(DurabilityFile::Process) | None => Durability::Process,
    }
}

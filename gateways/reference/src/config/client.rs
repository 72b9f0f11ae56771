//! `client`: of the file, or of an administrator while the gateway runs.

use std::num::NonZeroU32;

use axum::http::HeaderName;
use serde_json::{Map, Value};

use super::file::{AdmissionFile, ClientFile, DurabilityFile, UnpricedFile};
use super::load::Invalid;
use super::settings::{Client, Logging};
use crate::ledger::BudgetAdmission;
use crate::store::Durability;

const MAX_BODY_MB: usize = 100;
/// More than any provider takes; also what can be counted in bytes on every machine.
const MOST_BODY_MB: usize = 2_048;
const LOG_RETENTION_DAYS: u32 = 365;
/// The only route that `whitelisted_routes` may name.
const METRICS: &str = "/metrics";

impl ClientFile {
    /// Of the four settings that make a virtual key mandatory, one remains: it is the one
    /// that an administrator can change.
    pub(super) fn one_word_for_mandatory(&mut self, plugins_switch: bool) {
        let older = [self.enforce_governance_header.take(), self.enforce_scim_auth.take()];
        if plugins_switch || older.contains(&Some(true)) {
            self.enforce_auth_on_inference = Some(true);
        }
    }

    /// The fields that are set.
    pub(crate) fn to_fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut fields)) => {
                fields.retain(|_, value| !value.is_null());
                fields
            }
            // Names and plain values: there is nothing that could fail.
            _ => Map::new(),
        }
    }

    /// The section with what holds where nothing is written.
    pub(crate) fn with_defaults(&self) -> ClientFile {
        let mut shown = self.clone();
        shown.enforce_auth_on_inference.get_or_insert(false);
        shown.max_request_body_size_mb.get_or_insert(MAX_BODY_MB);
        shown.max_response_body_size_mb.get_or_insert(MAX_BODY_MB);
        shown.required_headers.get_or_insert_default();
        shown.budget_admission.get_or_insert(AdmissionFile::Reserved);
        shown.unpriced_models.get_or_insert(UnpricedFile::Deny);
        shown.enable_logging.get_or_insert(true);
        shown.disable_content_logging.get_or_insert(true);
        shown.log_retention_days = shown.log_retention_days.or(NonZeroU32::new(LOG_RETENTION_DAYS));
        shown.whitelisted_routes.get_or_insert_default();
        shown.disable_db_pings_in_health.get_or_insert(false);
        shown.durability.get_or_insert(DurabilityFile::Process);
        shown
    }

    /// How durable a commit is. It is read once, at the start.
    pub(crate) fn durability(&self) -> Durability {
        match self.durability {
            Some(DurabilityFile::PowerLoss) => Durability::PowerLoss,
            Some(DurabilityFile::Process) | None => Durability::Process,
        }
    }
}

/// The section in its checked form; `at` is where it stands.
pub(crate) fn check(file: &ClientFile, at: &str) -> Result<Client, Invalid> {
    for (older, value) in
        [("enforce_governance_header", file.enforce_governance_header), ("enforce_scim_auth", file.enforce_scim_auth)]
    {
        if value.is_some() {
            return Err(Invalid::new(format!("{at}.{older}"), "is called enforce_auth_on_inference here"));
        }
    }
    let megabytes = |field: &str, value: Option<usize>| match value.unwrap_or(MAX_BODY_MB) {
        size @ 1..=MOST_BODY_MB => Ok(size << 20),
        _ => Err(Invalid::new(format!("{at}.{field}"), format!("must be between 1 and {MOST_BODY_MB} (MB)"))),
    };
    Ok(Client {
        key_is_mandatory: file.enforce_auth_on_inference == Some(true),
        admission: match file.budget_admission {
            Some(AdmissionFile::PostPaid) => BudgetAdmission::PostPaid,
            Some(AdmissionFile::Reserved) | None => BudgetAdmission::Reserved,
        },
        unpriced_allowed: matches!(file.unpriced_models, Some(UnpricedFile::Allow)),
        max_body_bytes: megabytes("max_request_body_size_mb", file.max_request_body_size_mb)?,
        max_answer_bytes: megabytes("max_response_body_size_mb", file.max_response_body_size_mb)?,
        logging: Logging {
            enabled: file.enable_logging != Some(false),
            // Only who asks for it has what was said kept.
            content: file.disable_content_logging == Some(false),
            retention_days: file.log_retention_days.map_or(LOG_RETENTION_DAYS, NonZeroU32::get),
        },
        required_headers: required_headers(file, at)?,
        metrics_are_open: metrics_are_open(file, at)?,
        pings_disabled: file.disable_db_pings_in_health == Some(true),
        written: file.clone(),
    })
}

/// The names in lower case, as they are told to a caller that left one out.
fn required_headers(file: &ClientFile, at: &str) -> Result<Vec<HeaderName>, Invalid> {
    let names = file.required_headers.iter().flatten().enumerate();
    names
        .map(|(index, name)| {
            let problem = || Invalid::new(format!("{at}.required_headers[{index}]"), format!("`{name}` is no header"));
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| problem())
        })
        .collect()
}

/// Whether `whitelisted_routes` names the metrics. It can open nothing else: whoever reads or
/// edits what the administrator does is the administrator.
fn metrics_are_open(file: &ClientFile, at: &str) -> Result<bool, Invalid> {
    let mut routes = file.whitelisted_routes.iter().flatten().enumerate();
    match routes.find(|(_, route)| *route != METRICS) {
        Some((index, route)) => {
            let problem = format!("`{route}` cannot be open to all; only `{METRICS}` can");
            Err(Invalid::new(format!("{at}.whitelisted_routes[{index}]"), problem))
        }
        None => Ok(file.whitelisted_routes.iter().flatten().next().is_some()),
    }
}

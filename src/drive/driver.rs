//! The driver of a case: its world, and what tells its calls from those of others.

use std::time::Duration;

use mock_upstream::{Entry, Kind, Script};
use reqwest::Client;

use super::{
    complete::completed_script,
    credentials::with_keys,
    observation::Problem,
    send::client,
    shared::{Asked, Before},
    start::Start,
    world::CaseWorld,
};
use crate::verdict::Blame;

/// How long the upstream may take to see the end of what callers saw the end of.
pub(super) const QUIET: Duration = Duration::from_secs(5);

/// What does the steps of a case.
pub struct Driver<'a> {
    /// What its gateway was started with.
    pub(super) start: Start<'a>,
    /// Its world.
    pub world: CaseWorld,
    /// What the gateway was configured with.
    pub(super) asked: Asked,
    /// The caller.
    pub(super) client: Client,
    /// Begins every marker of the case.
    pub(super) case: String,
    /// The ledger's entry with which the case began: those before belong to others.
    pub(super) began: u64,
    /// The gateway's own figures when the case began: what is in them belongs to others.
    pub(super) before: Before,
}

/// Whether a ledger's entry is somebody's call, and none of a gateway's own.
pub(super) fn is_inference(entry: &Entry) -> bool {
    entry.kind == Kind::Inference
}

impl Driver<'_> {
    /// A script of the scenario, with what goes without saying and the keys of this case.
    pub(super) fn script(&self, script: &Script) -> Script {
        with_keys(completed_script(script, &self.world.policy), &self.world.world.upstream_keys)
    }

    /// The text that begins the markers of a step's requests.
    pub(super) fn marker(&self, step: usize) -> String {
        format!("{}.{step}", self.case)
    }

    /// Kept connections do not outlive a restart or a long wait: the next call opens its own.
    pub(super) fn renew_client(&mut self) -> Result<(), Problem> {
        self.client = client().map_err(|error| Problem {
            what: format!("an HTTP client could not be made: {error}"),
            blame: Blame::Environment,
            fatal: true,
        })?;
        Ok(())
    }

    /// Waits until the upstream has seen the end of every call; how many are open after all.
    pub(super) async fn wait_for_quiet(&self) -> usize {
        self.world.upstream.wait_until(|ledger| ledger.open() == 0, QUIET).await;
        self.world.upstream.ledger().open()
    }

    /// How many calls of a step the ledger holds by now.
    #[must_use]
    pub fn reached_by_now(&self, number: usize) -> usize {
        let marker = format!("{}.", self.marker(number));
        self.ledger().iter().filter(|entry| entry.body.contains(&marker)).count()
    }

    /// How the gateway ended, if it is gone.
    pub async fn exited(&mut self) -> Option<String> {
        self.world.instance.exited().await
    }

    /// What the ledger holds of this case: what came since it began, and bears no other case's marker.
    pub(super) fn ledger(&self) -> Vec<Entry> {
        let own = format!("{}.", self.case);
        let foreign = |entry: &Entry| marker_in(&entry.body).is_some_and(|found| !found.starts_with(&own));
        let entries = self.world.upstream.ledger().entries.into_iter();
        entries.filter(|entry| entry.seq > self.began && is_inference(entry) && !foreign(entry)).collect()
    }
}

/// The marker that was planted in a request, such as `pb12.3.4`.
fn marker_in(body: &str) -> Option<&str> {
    body.match_indices("pb").find_map(|(at, _)| {
        let rest = body.get(at..)?;
        let end = rest.get(2..)?.find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |end| end + 2);
        let marker = rest.get(..end)?;
        (marker.matches('.').count() == 2).then_some(marker)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_among_other_text() {
        assert_eq!(marker_in(r#"{"content":"pb12.3.4 a a a","model":"pb"}"#), Some("pb12.3.4"));
        assert_eq!(marker_in("no marker, but pb1 and pb2.3"), None);
    }
}

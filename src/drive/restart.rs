//! Restarts: the gateway is stopped, perhaps in the middle of traffic, and started again on its data.

use std::time::Duration;

use mock_upstream::Outcome;

use super::{
    answer::Answer,
    calls::{at_once, makers},
    driver::{Driver, is_inference},
    observation::Problem,
    start::blame_for_runtime,
};
use crate::{
    gateway::{load::lay_over, render::Renderer},
    policy::Policy,
    runtime::chain,
    scenario::step::{Restart, Signal, When},
    verdict::Blame,
};

/// How long traffic may take to reach the number of calls at which the gateway is stopped.
const TRAFFIC: Duration = Duration::from_secs(30);

/// Signals that a process raises by going wrong: illegal instruction, abort, bus error, floating point,
/// segmentation fault (signal(7)).
const CRASHES: [i32; 5] = [4, 6, 7, 8, 11];

impl Driver<'_> {
    /// Stops the gateway as the step says, and starts it again.
    pub(super) async fn restart(&mut self, restart: &Restart, step: usize) -> Result<Vec<Answer>, Problem> {
        let files = self.edited_files(restart)?;
        if restart.when == When::Settled {
            self.wait_for_quiet().await;
            if let Some(promised) = self.start.gateway.manifest.promises.durable_within {
                // Nothing can be asked of a disk from outside: the gateway's promise is waited for.
                tokio::time::sleep(promised.duration()).await;
            }
        }
        let answers = match &restart.during {
            None => {
                self.stop(restart.signal).await?;
                Vec::new()
            }
            Some(burst) => {
                let makers = makers(self.start.gateway, &self.world, burst, &self.marker(step));
                let after = u64::from(restart.after_calls.unwrap_or(1));
                let already = self.answered();
                let client = self.client.clone();
                let traffic = at_once(&client, makers, burst);
                let stop = async {
                    let upstream = self.world.upstream.clone();
                    let enough = upstream.wait_until(|ledger| answered(&ledger.entries) >= already + after, TRAFFIC);
                    let reached = enough.await;
                    self.stop(restart.signal).await.map(|()| reached)
                };
                let (answers, stopped) = tokio::join!(traffic, stop);
                if !stopped? {
                    let what = format!("fewer than {after} calls were answered within {} s", TRAFFIC.as_secs());
                    return Err(Problem { what, blame: Blame::Gateway, fatal: false });
                }
                answers
            }
        };
        self.world.instance.start_again(files).await.map_err(|error| Problem {
            what: format!("it did not come back: {}{}", chain(&error), tail(error.log_tail())),
            blame: blame_for_runtime(&error),
            fatal: true,
        })?;
        // A clock that was moved shows the time again.
        self.world.advanced = Duration::ZERO;
        self.renew_client()?;
        Ok(answers)
    }

    async fn stop(&mut self, signal: Signal) -> Result<(), Problem> {
        if let Some(how) = self.world.instance.exited().await {
            let what = format!("it was gone before it was stopped ({how})");
            return Err(Problem { what, blame: Blame::Gateway, fatal: true });
        }
        let stopped = self.world.instance.stop(signal).await.map_err(|error| Problem {
            what: format!("it could not be stopped: {}", chain(&error)),
            blame: Blame::Environment,
            fatal: true,
        })?;
        let what = match (stopped.forced, stopped.signal) {
            (true, _) => format!("it did not stop within {} ms of SIGTERM, and was killed", stopped.millis),
            (false, Some(crash)) if signal == Signal::Term && CRASHES.contains(&crash) => {
                format!("it crashed when it was asked to stop: signal {crash}")
            }
            _ => return Ok(()),
        };
        Err(Problem { what, blame: Blame::Gateway, fatal: true })
    }

    fn answered(&self) -> u64 {
        answered(&self.world.upstream.ledger().entries)
    }

    /// The gateway's files under an edited policy; none if the policy stays.
    fn edited_files(&mut self, restart: &Restart) -> Result<Vec<(String, String)>, Problem> {
        let Some(over) = &restart.policy else { return Ok(Vec::new()) };
        let wrong = |what: String| Problem { what, blame: Blame::Scenario, fatal: true };
        let policy = edited(&self.world.policy, over).map_err(|error| wrong(format!("the edited policy: {error}")))?;
        let renderer = Renderer::new(self.start.gateway, &self.world.world);
        let files = renderer.files(&policy).map_err(|error| wrong(error.to_string()))?;
        self.world.policy = policy;
        self.world.files.clone_from(&files);
        Ok(files)
    }
}

fn answered(entries: &[mock_upstream::Entry]) -> u64 {
    entries.iter().filter(|entry| is_inference(entry) && entry.outcome == Outcome::Answered).count() as u64
}

fn tail(log: Option<&str>) -> String {
    log.map_or(String::new(), |log| format!("; its last lines: {log}"))
}

/// A policy with the fields of an edit laid over it.
///
/// # Errors
/// When what results is no policy.
pub fn edited(policy: &Policy, over: &serde_json::Value) -> Result<Policy, serde_json::Error> {
    let mut policy = serde_json::to_value(policy)?;
    lay_over_by_name(&mut policy, over.clone());
    serde_json::from_value(policy)
}

/// Lays an edit over a policy: items of lists are matched by their `name`, so that one field of one
/// key can be edited without repeating the rest.
fn lay_over_by_name(under: &mut serde_json::Value, over: serde_json::Value) {
    match (under, over) {
        (serde_json::Value::Object(under), serde_json::Value::Object(over)) => {
            for (name, value) in over {
                lay_over_by_name(under.entry(name).or_insert(serde_json::Value::Null), value);
            }
        }
        (serde_json::Value::Array(under), serde_json::Value::Array(over))
            // A list of nothing is no edit of an item: it takes them all away.
            if !over.is_empty() && over.iter().all(|item| item.get("name").is_some()) =>
        {
            for item in over {
                match under.iter_mut().find(|known| known.get("name") == item.get("name")) {
                    Some(known) => lay_over_by_name(known, item),
                    None => under.push(item),
                }
            }
        }
        (under, over) => lay_over(under, over),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn an_edit_with_a_list_of_nothing_takes_all_away_and_one_by_name_leaves_the_others() {
        let cap = json!([{ "limit": "$1", "reset": "1h" }]);
        let keys = json!([{ "name": "a", "budgets": cap }, { "name": "b", "budgets": cap }]);
        let policy: Policy = serde_json::from_value(json!({ "virtual_keys": keys })).unwrap();
        let caps = |over: serde_json::Value| {
            let keys = edited(&policy, &over).unwrap().virtual_keys;
            keys.iter().map(|key| (key.name.clone(), key.budgets.len())).collect::<Vec<_>>()
        };
        let named = |pairs: &[(&str, usize)]| pairs.iter().map(|(name, caps)| ((*name).to_owned(), *caps)).collect();
        let one: Vec<_> = named(&[("a", 0), ("b", 1)]);
        assert_eq!(caps(json!({ "virtual_keys": [{ "name": "a", "budgets": [] }] })), one);
        assert_eq!(caps(json!({ "virtual_keys": [] })), []);
    }
}

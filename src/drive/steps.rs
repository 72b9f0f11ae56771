//! Doing the steps of a case, one after another, and noting what the three witnesses saw.

use std::time::{Duration, Instant};

use indexmap::IndexMap;
use jiff::Timestamp;
use mock_upstream::{Entry, Kind, Script};
use reqwest::Client;

use super::{
    admin::AdminClient,
    answer::{Answer, End},
    calls::{Maker, at_once, in_sequence, makers},
    complete::completed_script,
    credentials::with_keys,
    observation::{Observation, Problem, Reading},
    start::Start,
    world::CaseWorld,
};
use crate::{
    owner::Owner,
    period::Period,
    policy::Policy,
    scenario::{Action, CheckKind, Step, advance::Advance, call::RouteName, expect::Book, range::Amount, step::Get},
    verdict::Blame,
};

/// How long the upstream may take to see the end of what callers saw the end of.
const QUIET: Duration = Duration::from_secs(5);

/// How long a gateway that promises nothing may take to show its own figure.
const GRACE: Duration = Duration::from_millis(500);

/// How long after its connections closed the end of a killed gateway may take to be seen.
const SEEN_GONE: Duration = Duration::from_millis(250);

/// Whether a gateway's figure is good enough to stop asking for it.
pub type Patience<'a> = &'a (dyn Fn(Amount, &Reading, &[Entry]) -> bool + Sync);

/// Does the steps of a case.
pub struct Driver<'a> {
    /// What the case was started with.
    pub start: Start<'a>,
    /// Its world.
    pub world: CaseWorld,
    /// The policy that the gateway was configured with, as the scenario has it.
    pub asked: Policy,
    /// The caller.
    pub client: Client,
    /// Begins every marker of the case.
    pub case: String,
    /// The ledger's entry with which the case began: those before belong to others.
    pub began: u64,
}

/// Whether a ledger's entry is somebody's call, and none of a gateway's own.
pub(super) fn is_inference(entry: &Entry) -> bool {
    entry.kind == Kind::Inference
}

impl Driver<'_> {
    /// Does a step, and notes what was seen. `patience` says when a gateway's own figure is good enough.
    pub async fn step(&mut self, number: usize, step: &Step, patience: Patience<'_>) -> Observation {
        let started = Instant::now();
        let before = self.world.upstream.ledger().entries.last().map_or(0, |entry| entry.seq);
        let mut seen = Observation::default();
        match self.act(number, step).await {
            Ok(answers) => seen.answers = answers,
            Err(problem) => seen.problem = Some(problem),
        }
        seen.took = started.elapsed();
        if seen.problem.as_ref().is_none_or(|problem| !problem.fatal) {
            self.note_exit(&mut seen).await;
        }
        seen.open = self.wait_for_quiet().await;
        self.note_ledger(number, before, &mut seen);
        if seen.problem.is_none() {
            match self.usage(&step.expect.usage, patience).await {
                Ok(readings) => seen.usage = readings,
                Err(problem) => seen.problem = Some(problem),
            }
            match self.books(&step.expect.books, patience).await {
                Ok(readings) => seen.books = readings,
                Err(problem) => seen.problem = Some(problem),
            }
        }
        seen
    }

    async fn act(&mut self, number: usize, step: &Step) -> Result<Vec<Answer>, Problem> {
        match &step.action {
            Action::Call(call) => {
                let maker = Maker::new(self.start.gateway, &self.world, call, self.marker(number));
                Ok(in_sequence(&self.client, &maker).await)
            }
            Action::Burst(burst) => {
                let makers = makers(self.start.gateway, &self.world, burst, &self.marker(number));
                Ok(at_once(&self.client, makers, burst).await)
            }
            Action::Admin(operation) => {
                let client = self.client.clone();
                let admin = AdminClient { client: &client, gateway: self.start.gateway };
                admin.operate(&mut self.world, operation).await.map(|()| Vec::new())
            }
            Action::Upstream(script) => self.change_upstream(script).map(|()| Vec::new()),
            Action::Restart(restart) => self.restart(restart, number).await,
            Action::Advance(advance) => self.advance(advance).await.map(|()| Vec::new()),
            Action::Settle => {
                self.wait_for_quiet().await;
                // A figure is asked for until it is there: only what nobody asks for now is waited for.
                if let Some(promised) = self.start.gateway.manifest.promises.usage_within
                    && step.expect.usage.is_empty()
                {
                    tokio::time::sleep(promised.duration()).await;
                }
                Ok(Vec::new())
            }
            Action::Get(get) => Ok(vec![self.get(number, get).await]),
            Action::Trespass(trespass) => {
                let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
                admin.trespass(&self.world, trespass.with.as_deref(), &self.marker(number)).await
            }
        }
    }

    /// The upstream's script for a case that shares the gateway with others: only its faults may differ.
    pub fn use_script(&self, script: &Script) {
        // The script was checked when the first case started with it.
        let _ = self.world.upstream.set_script(self.script(script));
    }

    fn script(&self, script: &Script) -> Script {
        with_keys(completed_script(script, &self.world.policy), &self.world.world.upstream_keys)
    }

    fn change_upstream(&self, script: &Script) -> Result<(), Problem> {
        // Models that the script does not name stay as they are; faults begin anew.
        let mut script = self.script(script);
        for (name, model) in self.world.upstream.script().models {
            script.models.insert(name, model);
        }
        let wrong = |error: mock_upstream::ScriptError| Problem {
            what: error.to_string(),
            blame: Blame::Scenario,
            fatal: true,
        };
        self.world.upstream.set_script(script).map_err(wrong)
    }

    async fn advance(&mut self, advance: &Advance) -> Result<(), Problem> {
        let now = Timestamp::now().saturating_add(self.world.advanced).unwrap_or(Timestamp::MAX);
        let by = advance.period_from(now).map_err(|what| Problem { what, blame: Blame::Scenario, fatal: false })?;
        if self.start.gateway.manifest.admin.advance.is_some() {
            let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
            admin.advance(&self.world, by).await?;
            self.world.advanced += by.duration();
            return Ok(());
        }
        // This gateway's clock cannot be set, so real time passes; a little more, for its own rounding.
        tokio::time::sleep(by.duration() + Duration::from_millis(200)).await;
        self.renew_client()
    }

    async fn get(&self, number: usize, get: &Get) -> Answer {
        let outgoing = super::answer::Outgoing {
            marker: self.marker(number),
            url: format!("{}{}", self.world.instance.base_url(), get.path),
            headers: Vec::new(),
            body: None,
            route: RouteName::Models,
            hang_up_after: None,
            deadline: QUIET,
        };
        super::send::send(&self.client, &outgoing).await
    }

    /// The text that begins the markers of a step's requests.
    pub(super) fn marker(&self, step: usize) -> String {
        format!("{}.{step}", self.case)
    }

    /// Kept connections do not outlive a restart or a long wait: the next call opens its own.
    pub(super) fn renew_client(&mut self) -> Result<(), Problem> {
        self.client = super::send::client().map_err(|error| Problem {
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
    fn ledger(&self) -> Vec<Entry> {
        let own = format!("{}.", self.case);
        let foreign = |entry: &Entry| marker_in(&entry.body).is_some_and(|found| !found.starts_with(&own));
        let entries = self.world.upstream.ledger().entries.into_iter();
        entries.filter(|entry| entry.seq > self.began && is_inference(entry) && !foreign(entry)).collect()
    }

    /// A connection that closes is not an answer: is the gateway still there?
    async fn note_exit(&mut self, seen: &mut Observation) {
        // The connections of a killed process close a moment before its end can be seen.
        let cut = |answer: &Answer| matches!(answer.end, End::NoAnswer(_) | End::Broken(_));
        let deadline = Instant::now() + if seen.answers.iter().any(cut) { SEEN_GONE } else { Duration::ZERO };
        let mut ask = tokio::time::interval(Duration::from_millis(10));
        let exited = loop {
            ask.tick().await;
            let exited = self.world.instance.exited().await;
            if exited.is_some() || Instant::now() >= deadline {
                break exited;
            }
        };
        if let Some(how) = exited {
            let log = self.world.instance.log().await;
            let what = format!("the gateway is gone ({how}); its last lines: {}", crate::runtime::last_lines(&log, 5));
            seen.problem = Some(Problem { what, blame: Blame::Gateway, fatal: true });
        }
    }

    /// The calls of this step in the ledger: by their markers where they have one, else by when they came.
    fn note_ledger(&self, number: usize, before: u64, seen: &mut Observation) {
        seen.ledger = self.ledger();
        let marker = format!("{}.", self.marker(number));
        let of_case = format!("{}.", self.case);
        let of_step = |entry: &&Entry| match entry.body.contains(&of_case) {
            true => entry.body.contains(&marker),
            false => entry.seq > before,
        };
        seen.reached = seen.ledger.iter().filter(of_step).cloned().collect();
        let in_entry = |entry: &Entry| {
            let holds =
                |text: &str| self.world.keys.iter().find(|(_, value)| !value.is_empty() && text.contains(*value));
            let header =
                entry.headers.iter().find_map(|(name, value)| holds(value).map(|(key, _)| (name.clone(), key)));
            header.or_else(|| holds(&entry.body).map(|(key, _)| ("body".to_owned(), key)))
        };
        let leak = seen.reached.iter().find_map(in_entry);
        seen.keys_told = seen.answers.iter().find_map(|answer| self.told(answer));
        seen.keys_leaked = leak.map(|(place, key)| format!("the virtual key {key} stands in {place}"));
    }

    /// A key of a provider, or the administrator's password, that an answer holds.
    fn told(&self, answer: &Answer) -> Option<String> {
        let world = &self.world.world;
        let keys = world.upstream_keys.iter().map(|(name, key)| (format!("the key of {name}"), key));
        let password = [("the administrator's password".to_owned(), &world.admin.password)];
        let (what, _) = keys.chain(password).find(|(_, secret)| {
            answer.body().contains(*secret) || answer.headers.values().any(|value| value.contains(*secret))
        })?;
        Some(format!("an answer of {} holds {what}", answer.status.unwrap_or_default()))
    }

    /// The gateway's own figures, where it has them.
    async fn usage(
        &self,
        expected: &IndexMap<Owner, Amount>,
        patience: Patience<'_>,
    ) -> Result<IndexMap<Owner, Reading>, Problem> {
        let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
        let mut readings = IndexMap::new();
        for (owner, amount) in expected {
            if self.start.gateway.lacks_for_check(&CheckKind::Usage(owner.clone())).is_none() {
                let reading = self.patiently(*amount, patience, || admin.usage(&self.world, owner)).await?;
                readings.insert(owner.clone(), reading);
            }
        }
        Ok(readings)
    }

    /// What its other books say, where it has them.
    async fn books(
        &self,
        expected: &IndexMap<Book, Amount>,
        patience: Patience<'_>,
    ) -> Result<IndexMap<Book, Reading>, Problem> {
        let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
        let mut readings = IndexMap::new();
        for (book, amount) in expected {
            if self.start.gateway.lacks_for_check(&CheckKind::Book(*book)).is_none() {
                let reading = self.patiently(*amount, patience, || admin.book(&self.world, *book)).await?;
                readings.insert(*book, reading);
            }
        }
        Ok(readings)
    }

    /// A figure, asked for until it is as expected or the gateway's promise is over.
    async fn patiently<F: Future<Output = Result<Reading, Problem>>>(
        &self,
        amount: Amount,
        patience: Patience<'_>,
        read: impl Fn() -> F,
    ) -> Result<Reading, Problem> {
        let ledger = self.ledger();
        let promised = self.start.gateway.manifest.promises.usage_within.map_or(GRACE, Period::duration);
        let deadline = Instant::now() + promised;
        let mut fits = 0;
        // The figure appears at some time within the promise; it can only be asked for. One that
        // fits must still fit at the next look: what is booked twice comes late.
        let mut ask = tokio::time::interval(Duration::from_millis(50));
        loop {
            ask.tick().await;
            let reading = read().await?;
            fits = if patience(amount, &reading, &ledger) { fits + 1 } else { 0 };
            if fits == 2 || Instant::now() >= deadline {
                return Ok(reading);
            }
        }
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

//! Doing the steps of a case, one after another, and noting what the three witnesses saw.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use mock_upstream::{Entry, Script};

use super::{
    admin::AdminClient,
    answer::{Answer, End},
    calls::{Maker, at_once, in_sequence, makers},
    complete::with_models_of,
    driver::Driver,
    figures::Patience,
    observation::{Observation, Problem},
};
use crate::{
    period::Period,
    scenario::{Action, Step, advance::Advance},
    verdict::Blame,
};

/// How long after its connections closed the end of a killed gateway may take to be seen.
const SEEN_GONE: Duration = Duration::from_millis(250);

impl Driver<'_> {
    /// Does a step, and notes what was seen. `patience` says when a gateway's own figure is good enough.
    pub async fn step(&mut self, number: usize, step: &Step, patience: Patience<'_>) -> Observation {
        if number > 1 && step.action.call().is_some() {
            // The step before may have called: as between two calls of a step, the gateway has its promise.
            let counted = self.start.gateway.manifest.promises.counted_within;
            tokio::time::sleep(counted.map_or(Duration::ZERO, Period::duration)).await;
        }
        let started = Instant::now();
        let before = self.world.last_entry();
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
            match self.figures(&step.expect, patience).await {
                Ok(figures) => seen.figures = figures,
                Err(problem) => seen.unread = Some(problem),
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
            Action::Trespass(trespass) => {
                let (client, marker) = (self.client.clone(), self.marker(number));
                let admin = AdminClient { client: &client, gateway: self.start.gateway };
                admin.trespass(&mut self.world, trespass.with.as_deref(), &marker).await
            }
        }
    }

    fn change_upstream(&self, script: &Script) -> Result<(), Problem> {
        // Models that the script does not name stay as they are; faults begin anew.
        let script = self.script(&with_models_of(script, self.world.upstream.script()));
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
}

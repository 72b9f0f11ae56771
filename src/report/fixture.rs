//! Run logs made by hand, for the tests of the model and of every renderer.

use jiff::Timestamp;

use super::event::{Declared, DeclaredCase, DeclaredCheck, Event, FORMAT};
use crate::{
    scenario::requirement::Level,
    verdict::{Blame, Fact, Finding, Verdict},
};

/// What a log is made of: the events of one target's turn.
pub(crate) struct Turn {
    target: String,
    declared: Vec<Declared>,
    events: Vec<Event>,
}

/// Whole seconds after the start of every fixture's run.
fn at(second: i64) -> Timestamp {
    Timestamp::constant(1_780_000_000 + second, 0)
}

pub(crate) fn head(targets: &[&str]) -> Event {
    Event::RunStarted {
        format: FORMAT,
        probity: "0.1.0".to_owned(),
        seed: 42,
        started: at(0),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
    }
}

pub(crate) fn foot(interrupted: bool) -> Event {
    Event::RunFinished { finished: at(6), interrupted, peak_memory_kib: Some(41_000) }
}

pub(crate) fn pass() -> Finding {
    finding(Verdict::Pass, "status 402", "")
}

pub(crate) fn finding(verdict: Verdict, expected: &str, found: &str) -> Finding {
    let blame = (verdict != Verdict::Pass).then_some(Blame::Gateway);
    let [expected, found] = [expected, found].map(ToOwned::to_owned);
    Finding { verdict, blame, expected, found, caller: None, upstream: None, gateway: None }
}

/// A call under a spent budget that was served.
pub(crate) fn served() -> Finding {
    Finding {
        caller: Some("200 with a whole answer of 100 tokens, 3 ms after the call".to_owned()),
        upstream: Some("1 call in this step; 5 calls and $0.00625 charged since the scenario began".to_owned()),
        gateway: Some("usage of the key agent: $0.005".to_owned()),
        ..finding(Verdict::Fail, "a refusal for budget_exceeded", "it was served")
    }
}

impl Turn {
    pub(crate) fn of(target: &str) -> Self {
        Self { target: target.to_owned(), declared: Vec::new(), events: Vec::new() }
    }

    /// Declares a scenario with these cases, of these checks each.
    pub(crate) fn scenario(mut self, id: &str, level: Level, title: &str, cases: &[&str], checks: &[&str]) -> Self {
        let check = |case: &str, check: &str| DeclaredCheck { check: check_id(id, case, check), unsupported: None };
        let case = |case: &&str| DeclaredCase {
            case: (*case).to_owned(),
            checks: checks.iter().map(|name| check(case, name)).collect(),
        };
        self.declared.push(Declared {
            scenario: id.to_owned(),
            requirement: format!("{}-1", id[..3].to_uppercase()),
            level,
            title: title.to_owned(),
            cases: cases.iter().map(case).collect(),
        });
        self
    }

    /// The last declared scenario does not apply, for want of this capability.
    pub(crate) fn unsupported(mut self, needs: &str) -> Self {
        let cases = self.declared.iter_mut().next_back().into_iter().flat_map(|declared| &mut declared.cases);
        cases.flat_map(|case| &mut case.checks).for_each(|check| check.unsupported = Some(needs.to_owned()));
        self
    }

    /// Judges one check of the last declared scenario.
    pub(crate) fn judge(mut self, case: &str, check: &str, finding: Finding) -> Self {
        let scenario = self.last();
        let check = check_id(&scenario, case, check);
        let (target, case) = (self.target.clone(), case.to_owned());
        self.events.push(Event::CheckJudged { target, scenario, case, check, finding });
        self
    }

    /// Every check of the last declared scenario is judged alike, and its cases end.
    pub(crate) fn all(mut self, finding: &Finding) -> Self {
        let cases = self.declared.last().map(|declared| declared.cases.clone()).unwrap_or_default();
        for case in cases {
            for check in case.checks {
                let event = self.judged(&case.case, check.check, finding.clone());
                self.events.push(event);
            }
            self = self.end(&case.case, finding.verdict == Verdict::Pass);
        }
        self
    }

    /// A case of the last declared scenario ends.
    pub(crate) fn end(mut self, case: &str, passed: bool) -> Self {
        let scenario = self.last();
        let name = if case.is_empty() { String::new() } else { format!("/{case}") };
        self.events.push(Event::CaseFinished {
            target: self.target.clone(),
            case: case.to_owned(),
            millis: 73,
            evidence: (!passed).then(|| format!("target/probity/{}/{scenario}{name}", self.target)),
            rerun: format!("probity run --target {} --seed 42 '{scenario}{}'", self.target, bracketed(case)),
            scenario,
        });
        self
    }

    pub(crate) fn fact(mut self, scenario: &str, case: &str, name: &str, value: &str) -> Self {
        let [scenario, case, name, value] = [scenario, case, name, value].map(ToOwned::to_owned);
        let fact = Fact { name, value };
        self.events.push(Event::FactMeasured { target: self.target.clone(), scenario, case, fact });
        self
    }

    /// The turn's events, the end among them.
    pub(crate) fn finish(self, problem: Option<&str>) -> Vec<Event> {
        let problem = problem.map(ToOwned::to_owned);
        let end = Event::TargetFinished { target: self.target.clone(), problem, millis: 6240 };
        let mut events = self.cut();
        events.push(end);
        events
    }

    /// The turn's events without an end.
    pub(crate) fn cut(self) -> Vec<Event> {
        let (gateway, version) = self.target.split_once('@').unwrap_or_default();
        let mut events = vec![Event::TargetStarted {
            gateway: gateway.to_owned(),
            version: version.to_owned(),
            target: self.target,
            runtime: "process (no Docker daemon answers)".to_owned(),
            scenarios: self.declared,
        }];
        events.extend(self.events);
        events
    }

    fn judged(&self, case: &str, check: String, finding: Finding) -> Event {
        let (target, scenario, case) = (self.target.clone(), self.last(), case.to_owned());
        Event::CheckJudged { target, scenario, case, check, finding }
    }

    fn last(&self) -> String {
        self.declared.last().map(|declared| declared.scenario.clone()).unwrap_or_default()
    }
}

fn check_id(scenario: &str, case: &str, check: &str) -> String {
    format!("{scenario}{}{check}", bracketed(case))
}

fn bracketed(case: &str) -> String {
    if case.is_empty() { String::new() } else { format!("[{case}]") }
}

/// A whole log of one target.
pub(crate) fn log(target: &str, turn: Vec<Event>, interrupted: bool) -> Vec<Event> {
    [vec![head(&[target])], turn, vec![foot(interrupted)]].concat()
}

const STREAMS: [&str; 2] = ["stream=false", "stream=true"];
const TRIPS: &str = "A virtual key that has spent its budget is refused with 402";
const RESTART: &str = "Spend survives a TERM that is sent at once after the last call";

/// All is well.
pub(crate) fn conforming() -> Vec<Event> {
    let turn = Turn::of("reference@0.1.0")
        .scenario("budgets/virtual-key-trips", Level::Must, TRIPS, &STREAMS, &["#1.status", "#2.refused"])
        .all(&pass())
        .scenario("budgets/burst", Level::Must, "64 clients at once do not overrun a cap", &[""], &["#1.overspend"])
        .all(&pass())
        .fact("budgets/burst", "", "overshoot at 64 clients", "1.0")
        .scenario("persistence/term-at-once", Level::Must, RESTART, &[""], &["#2.done", "#3.usage.agent"])
        .all(&pass())
        .fact("", "", "start-up time", "31 ms");
    log("reference@0.1.0", turn.finish(None), false)
}

/// One of everything.
pub(crate) fn mixed() -> Vec<Event> {
    let headers = ["via=x-bf-vk", "via=bearer", "via=x-api-key", "via=x-goog-api-key"];
    let vague = finding(Verdict::Deviates, "status 402", "status 429");
    let vague = Finding { caller: Some("429, type budget_exceeded".to_owned()), ..vague };
    let turn = Turn::of("litellm@1.106.2")
        .scenario(
            "budgets/burst",
            Level::Must,
            "64 clients at once do not overrun a cap",
            &[""],
            &["#1.overspend", "#2.status", "#2.refused"],
        )
        .judge("", "#1.overspend", served())
        .end("", false)
        .fact("budgets/burst", "", "overshoot at 64 clients", "12.8")
        .scenario("budgets/virtual-key-trips", Level::Must, TRIPS, &STREAMS, &["#1.status", "#2.status"])
        .judge("stream=false", "#1.status", pass())
        .judge("stream=false", "#2.status", vague.clone())
        .end("stream=false", false)
        .judge("stream=true", "#1.status", pass())
        .judge("stream=true", "#2.status", vague)
        .end("stream=true", false)
        .scenario(
            "keys/unknown-key",
            Level::Must,
            "An unknown key is refused with 401 in every header that a gateway accepts",
            &headers,
            &["#1.status"],
        )
        .judge("via=x-bf-vk", "#1.status", pass())
        .end("via=x-bf-vk", true)
        .judge("via=bearer", "#1.status", served())
        .end("via=bearer", false)
        .judge("via=x-api-key", "#1.status", Finding { gateway: None, ..served() })
        .end("via=x-api-key", false)
        .judge("via=x-goog-api-key", "#1.status", pass())
        .end("via=x-goog-api-key", true)
        .scenario(
            "keys/two-keys",
            Level::Should,
            "Two different keys in one request are refused",
            &[""],
            &["#1.status"],
        )
        .all(&Finding {
            blame: Some(Blame::Environment),
            ..finding(Verdict::Unknown, "status 400", "no port was free")
        })
        .scenario("limits/tokens", Level::Must, "A token limit answers 429", &[""], &["#1.status"])
        .unsupported("limits.tokens")
        .scenario("limits/requests", Level::Must, "A request limit answers 429 with Retry-After", &[""], &["#1.status"])
        .all(&pass())
        .scenario("persistence/term-at-once", Level::Must, RESTART, &[""], &["#2.done"])
        .all(&finding(Verdict::Waived, "the gateway comes back", "it does not"));
    log("litellm@1.106.2", turn.finish(None), false)
}

/// Sixty cases, nearly each with its own answer.
pub(crate) fn flood() -> Vec<Event> {
    let cases: Vec<_> = (0..60).map(|number| format!("route={number}")).collect();
    let names: Vec<_> = cases.iter().map(String::as_str).collect();
    let title = "Garbage in a header is refused on every route";
    let mut turn =
        Turn::of("bifrost@1.5.16").scenario("keys/garbage", Level::Must, title, &names, &["#1.status", "#1.refused"]);
    for (number, case) in names.iter().enumerate() {
        let odd = finding(Verdict::Fail, "status 401", &format!("status {}", 500.max(498 + number)));
        turn = turn.judge(case, "#1.status", odd).judge(case, "#1.refused", served()).end(case, false);
    }
    log("bifrost@1.5.16", turn.finish(None), false)
}

/// A gateway that never became ready.
pub(crate) fn not_ready() -> Vec<Event> {
    let turn = Turn::of("bifrost@1.5.16")
        .scenario("budgets/virtual-key-trips", Level::Must, TRIPS, &STREAMS, &["#1.status"])
        .finish(Some("it exited with status 1 before it was ready\nlisten tcp: address already in use"));
    log("bifrost@1.5.16", turn, false)
}

/// Ctrl-C in the first of two targets.
pub(crate) fn interrupted() -> Vec<Event> {
    let turn = Turn::of("reference@0.1.0")
        .scenario("budgets/virtual-key-trips", Level::Must, TRIPS, &STREAMS, &["#1.status"])
        .judge("stream=false", "#1.status", pass())
        .end("stream=false", true)
        .scenario("persistence/term-at-once", Level::Must, RESTART, &[""], &["#2.done", "#3.usage.agent"])
        .cut();
    [vec![head(&["reference@0.1.0", "litellm@1.106.2"])], turn, vec![foot(true)]].concat()
}

/// An answer that tries to write on the reader's terminal, or into the report's markup.
pub(crate) fn hostile() -> Vec<Event> {
    let nasty = "\u{1b}[2J<script>alert(1)</script> ]]> & \u{0}\nsecond line";
    let turn = Turn::of("bifrost@1.5.16")
        .scenario("budgets/virtual-key-trips", Level::Must, TRIPS, &[""], &["#1.status"])
        .all(&Finding { caller: Some(nasty.to_owned()), ..finding(Verdict::Fail, "status 402", nasty) });
    log("bifrost@1.5.16", turn.finish(None), false)
}

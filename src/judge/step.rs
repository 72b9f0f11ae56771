//! Judging a step: each check that it declares against what the witnesses saw.

use super::{
    answers,
    money::{allowed, compare, ledger_charged, multiple},
};
use crate::{
    drive::observation::{Observation, Problem, Reading, Told},
    gateway::{Dialect, manifest::Promises},
    money::Usd,
    scenario::{
        CheckKind, Step,
        expect::{Measure, StreamEnd},
        range::{Amount, Count},
    },
    verdict::{Blame, Fact, Finding, Verdict},
};

/// What a judgement goes by beside the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Judging<'a> {
    /// The gateway's words.
    pub dialect: &'a Dialect,
    /// The gateway's promises.
    pub promises: &'a Promises,
}

/// Judges one check of a step.
#[must_use]
pub fn judge(judging: Judging<'_>, step: &Step, check: &CheckKind, seen: &Observation) -> Finding {
    let mut finding = decide(judging, step, check, seen);
    let of_ledger = matches!(
        check,
        CheckKind::UpstreamCalls
            | CheckKind::LedgerCalls
            | CheckKind::LedgerCharged
            | CheckKind::Usage(_)
            | CheckKind::Book(_)
            | CheckKind::Overspend
    );
    if of_ledger && seen.open > 0 && finding.verdict == Verdict::Pass {
        finding.verdict = Verdict::Unknown;
        finding.blame = Some(Blame::Gateway);
        finding.found = format!("{} calls are still open at the upstream, and their cost is not known", seen.open);
    }
    match &seen.problem {
        Some(problem) if problem.blame != Blame::Gateway => not_done(finding, problem),
        Some(problem) if finding.verdict != Verdict::Pass && *check != CheckKind::Done => {
            Finding { found: format!("{}; {}", finding.found, problem.what), ..finding }
        }
        _ => finding,
    }
}

/// A step that was kept from being done by somebody else says nothing about the gateway: neither that a
/// call failed, nor that none was made.
fn not_done(finding: Finding, problem: &Problem) -> Finding {
    Finding { verdict: Verdict::Unknown, blame: Some(problem.blame), found: problem.what.clone(), ..finding }
}

fn decide(judging: Judging<'_>, step: &Step, check: &CheckKind, seen: &Observation) -> Finding {
    let expect = &step.expect;
    let found = match check {
        CheckKind::Done => Some(done(step, seen)),
        CheckKind::Status => expect.status.as_ref().map(|status| answers::status(judging, expect, status, seen)),
        CheckKind::Refused => expect.refused.as_ref().map(|reasons| answers::refused(judging, &reasons.0, seen)),
        CheckKind::Names => expect.names.as_ref().map(|names| answers::names(judging, names, seen)),
        CheckKind::Body(pointer) => expect.body.get(pointer).map(|value| answers::body(pointer, value, seen)),
        CheckKind::Header(name) => expect.headers.get(name).map(|header| answers::header(name, *header, seen)),
        CheckKind::Stream => expect.stream.map(|end| answers::stream(end, seen)),
        CheckKind::SaysThought => expect.says.as_ref().and_then(|says| answers::thought(says, seen)),
        CheckKind::SaysText => expect.says.as_ref().and_then(|says| answers::text(says, seen)),
        CheckKind::SaysCalls => expect.says.as_ref().and_then(|says| answers::tool_calls(says, seen)),
        CheckKind::Tried => expect.tried.as_ref().map(|providers| answers::tried(judging, providers, seen)),
        CheckKind::AnswersPassed => {
            let wanted = expect.answers.as_ref().and_then(|answers| answers.passed);
            let breaks = matches!(expect.stream, Some(StreamEnd::Failed | StreamEnd::Begun));
            wanted.map(|wanted| answers::passed(wanted, breaks, seen))
        }
        CheckKind::AnswersRefused => {
            let wanted = expect.answers.as_ref().and_then(|answers| answers.refused);
            wanted.map(|wanted| answers::refusals(judging, wanted, seen))
        }
        CheckKind::AnswersKeysHidden => Some(answers_hide_keys(seen)),
        CheckKind::UpstreamCalls => {
            expect.upstream.as_ref().and_then(|upstream| upstream.calls).map(|wanted| reached(wanted, seen))
        }
        CheckKind::UpstreamOrder => {
            let order = expect.upstream.as_ref().and_then(|upstream| upstream.order.as_ref());
            order.map(|order| provider_order(order, seen))
        }
        CheckKind::UpstreamKeysHidden => Some(keys_hidden(seen)),
        CheckKind::LedgerCalls => {
            expect.ledger.as_ref().and_then(|ledger| ledger.calls).map(|wanted| ledger_calls(wanted, seen))
        }
        CheckKind::LedgerCharged => {
            expect.ledger.as_ref().and_then(|ledger| ledger.charged).map(|wanted| charged(wanted, seen))
        }
        CheckKind::Usage(owner) => expect.usage.get(owner).map(|wanted| {
            let expected = format!("the gateway says that {owner} has spent {wanted}");
            said(expected, *wanted, seen.figures.get(&Told::Usage(owner.clone())), seen)
        }),
        CheckKind::Book(book) => expect.books.get(book).map(|wanted| {
            let expected = format!("the gateway's {} say that all calls have cost {wanted}", book.word());
            said(expected, *wanted, seen.figures.get(&Told::Book(*book)), seen)
        }),
        CheckKind::Overspend => expect.overspend.as_ref().map(|_| overspend(judging, step, seen)),
        CheckKind::Within => expect.within.map(|within| {
            let verdict = if seen.took <= within.duration() { Verdict::Pass } else { Verdict::Fail };
            finding(verdict, format!("within {within}"), format!("{} ms", seen.took.as_millis()))
        }),
    };
    found.unwrap_or_else(|| finding(Verdict::Unknown, "an expectation".to_owned(), "none is declared".to_owned()))
}

/// A finding for which the gateway is to blame, if it is no pass.
pub(super) fn finding(verdict: Verdict, expected: String, found: String) -> Finding {
    let passed = verdict == Verdict::Pass;
    Finding {
        verdict,
        blame: (!passed).then_some(Blame::Gateway),
        expected,
        found: if passed { String::new() } else { found },
        caller: None,
        upstream: None,
        gateway: None,
    }
}

pub(super) fn pass_if(passed: bool, expected: String, found: String) -> Finding {
    finding(if passed { Verdict::Pass } else { Verdict::Fail }, expected, found)
}

fn done(step: &Step, seen: &Observation) -> Finding {
    let found = seen.problem.as_ref().map_or(String::new(), |problem| problem.what.clone());
    pass_if(seen.problem.is_none(), format!("the {} is done", step.action.word()), found)
}

fn reached(wanted: Count, seen: &Observation) -> Finding {
    let calls = seen.reached.len() as u64;
    let found = pass_if(
        wanted.admits(calls),
        format!("reached the upstream: {}", answers::calls(wanted)),
        format!("{calls} did"),
    );
    Finding { upstream: Some(answers::entries(&seen.reached)), ..found }
}

fn provider_order(order: &[String], seen: &Observation) -> Finding {
    let called: Vec<_> = seen.reached.iter().map(|entry| entry.provider.as_deref().unwrap_or("?")).collect();
    let found = pass_if(called == order, format!("called in order: {}", list(order)), list(&called));
    Finding { upstream: Some(answers::entries(&seen.reached)), ..found }
}

pub(super) fn list(names: &[impl AsRef<str>]) -> String {
    if names.is_empty() {
        return "nobody".to_owned();
    }
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

fn keys_hidden(seen: &Observation) -> Finding {
    let leak = seen.keys_leaked.clone();
    let expected = "no virtual key reaches the upstream".to_owned();
    if seen.reached.is_empty() {
        return finding(Verdict::Unknown, expected, "no call reached the upstream".to_owned());
    }
    pass_if(leak.is_none(), expected, leak.unwrap_or_default())
}

fn answers_hide_keys(seen: &Observation) -> Finding {
    let expected = "no answer holds a provider's key".to_owned();
    if answers::nobody_answered(seen) {
        return answers::unanswered(expected);
    }
    pass_if(seen.keys_told.is_none(), expected, seen.keys_told.clone().unwrap_or_default())
}

fn ledger_calls(wanted: Count, seen: &Observation) -> Finding {
    let calls = seen.ledger.len() as u64;
    let found = pass_if(wanted.admits(calls), format!("in the ledger: {}", answers::calls(wanted)), format!("{calls}"));
    Finding { upstream: Some(answers::entries(&seen.ledger)), ..found }
}

fn charged(wanted: Amount, seen: &Observation) -> Finding {
    let charged = ledger_charged(&seen.ledger);
    let verdict = compare(wanted, charged, charged);
    let found = finding(verdict, format!("the providers charged {wanted}"), format!("{charged}"));
    Finding { upstream: Some(answers::entries(&seen.ledger)), ..found }
}

/// A figure of the gateway's own, held against what is expected and what was charged.
fn said(expected: String, wanted: Amount, reading: Option<&Reading>, seen: &Observation) -> Finding {
    let charged = ledger_charged(&seen.ledger);
    let (found, says) = match reading {
        Some(Reading::Figure(figure)) => {
            let found = format!("it says {figure}, {charged} was charged");
            (finding(compare(wanted, *figure, charged), expected, found), Some(figure.to_string()))
        }
        Some(Reading::None(why)) => {
            (finding(Verdict::Fail, expected, format!("it does not say: {why}")), Some(why.clone()))
        }
        None => (unread(expected, seen), None),
    };
    Finding { gateway: says, upstream: Some(answers::entries(&seen.ledger)), ..found }
}

/// A figure that was not asked for.
fn unread(expected: String, seen: &Observation) -> Finding {
    let found = finding(Verdict::Unknown, expected, "it was not asked".to_owned());
    seen.unread.iter().fold(found, not_done)
}

fn overspend(judging: Judging<'_>, step: &Step, seen: &Observation) -> Finding {
    let Some(limit) = &step.expect.overspend else {
        return finding(Verdict::Unknown, "a cap".to_owned(), "none is declared".to_owned());
    };
    let charged = ledger_charged(&seen.ledger);
    let most = allowed(limit, judging.promises.budget_admission);
    let expected = if most == limit.cap {
        format!("no more than the cap of {} is spent", limit.cap)
    } else {
        format!("no more than {most} is spent: the cap of {} and what was in flight", limit.cap)
    };
    let sum = format!("{charged}: {} times the cap", multiple(charged, limit.cap));
    if seen.ledger.iter().all(|entry| entry.charged.decimal().is_zero()) {
        return finding(Verdict::Unknown, expected, "nothing was served at all".to_owned());
    }
    let found = pass_if(charged <= most, expected, sum);
    Finding { upstream: Some(answers::entries(&seen.ledger)), ..found }
}

/// The numbers that a step records; none of a step that could not be done, or in which nothing was spent.
#[must_use]
pub fn facts(step: &Step, seen: &Observation) -> Vec<Fact> {
    let charged = ledger_charged(&seen.ledger);
    let cap = step.expect.overspend.as_ref().map_or(Usd::ZERO, |overspend| overspend.cap);
    // A gateway that served nothing kept no cap.
    let spent = charged > Usd::ZERO;
    let value = |measure| match measure {
        _ if seen.problem.is_some() => None,
        Measure::Overshoot => spent.then(|| multiple(charged, cap)),
        Measure::SpendLost => spent.then(|| (if charged > cap { charged - cap } else { Usd::ZERO }).to_string()),
        Measure::ElapsedMs => Some(format!("{} ms", seen.took.as_millis())),
    };
    let fact = |(name, measure): (&String, &Measure)| Some(Fact { name: name.clone(), value: value(*measure)? });
    step.expect.fact.iter().filter_map(fact).collect()
}

#[cfg(test)]
mod tests;

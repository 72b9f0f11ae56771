//! Judging what the caller saw, held against what reached the upstream.

use mock_upstream::Entry;
use serde_json::Value;

use super::{
    said::{Called, Said, said},
    step::{Judging, finding, list, pass_if},
};
use crate::{
    drive::{
        answer::{Answer, End, shortened},
        observation::Observation,
    },
    scenario::{
        expect::{Expect, Header, Names, Status, StreamEnd},
        range::Count,
        reason::Reason,
        says::Says,
    },
    verdict::{Finding, Verdict},
};

/// Why the gateway refused a call, if that is what it did: an answer of 4xx, or one of 5xx that its
/// dialect knows. Any other 5xx is a failure of the gateway, which enforces nothing.
fn refusal(judging: Judging<'_>, answer: &Answer) -> Option<Option<Reason>> {
    let status = answer.status.filter(|status| *status >= 400)?;
    let reason = judging.dialect.reason(status, &answer.json());
    (status < 500 || reason.is_some()).then_some(reason)
}

/// The same where some reasons are expected: that every provider failed is a refusal only if it was.
fn refuses(judging: Judging<'_>, answer: &Answer, wanted: &[Reason]) -> bool {
    match refusal(judging, answer) {
        Some(Some(Reason::UpstreamFailed)) => {
            wanted.contains(&Reason::UpstreamFailed) || answer.status.is_some_and(|status| status < 500)
        }
        refused => refused.is_some(),
    }
}

/// Ledger entries in a phrase: equal ones that follow each other are counted.
pub(super) fn entries(entries: &[Entry]) -> String {
    let charged = super::money::ledger_charged(entries);
    let describe = |entry: &Entry| {
        let provider = entry.provider.as_deref().unwrap_or("?");
        let status = entry.status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        format!("{provider} {status} {}", entry.charged)
    };
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for described in entries.iter().map(describe) {
        match kinds.last_mut() {
            Some((kind, count)) if *kind == described => *count += 1,
            _ => kinds.push((described, 1)),
        }
    }
    let shown = counted(&kinds, 6, ", ");
    match entries.len() {
        0 => "no call".to_owned(),
        1 => format!("1 call ({shown})"),
        calls => format!("{calls} calls, {charged} ({shown})"),
    }
}

/// The first few kinds of something, each with its number.
fn counted(kinds: &[(String, usize)], most: usize, between: &str) -> String {
    let one = |(kind, count): &(String, usize)| if *count == 1 { kind.clone() } else { format!("{count} × {kind}") };
    let mut shown: Vec<_> = kinds.iter().take(most).map(one).collect();
    if kinds.len() > most {
        shown.push("…".to_owned());
    }
    shown.join(between)
}

/// What the caller saw, in a phrase: equal answers are counted.
fn witness(seen: &Observation) -> Option<String> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for answer in &seen.answers {
        let described = answer.describe();
        match kinds.iter_mut().find(|(kind, _)| *kind == described) {
            Some((_, count)) => *count += 1,
            None => kinds.push((described, 1)),
        }
    }
    (!kinds.is_empty()).then(|| counted(&kinds, 4, "; "))
}

fn with_witnesses(found: Finding, seen: &Observation) -> Finding {
    Finding { caller: witness(seen), upstream: Some(entries(&seen.reached)), ..found }
}

/// The worst of what `judge` says of each answer; no answer at all decides nothing.
fn each(seen: &Observation, expected: &str, judge: impl Fn(&Answer) -> Result<(), (Verdict, String)>) -> Finding {
    let worst = seen.answers.iter().filter_map(|answer| judge(answer).err()).max_by_key(|(verdict, _)| *verdict);
    let found = match worst {
        _ if seen.answers.is_empty() => finding(Verdict::Unknown, expected.to_owned(), "no call was made".to_owned()),
        None => finding(Verdict::Pass, expected.to_owned(), String::new()),
        Some((verdict, found)) => finding(verdict, expected.to_owned(), found),
    };
    with_witnesses(found, seen)
}

/// The status of every answer. Where a refusal is expected, another refusing status deviates.
pub(super) fn status(judging: Judging<'_>, expect: &Expect, wanted: &Status, seen: &Observation) -> Finding {
    let wanted = match wanted {
        Status::OneOf(statuses) => statuses.clone(),
        Status::Promised => {
            let reasons = expect.refused.iter().flat_map(|reasons| &reasons.0);
            let mut promised: Vec<u16> =
                reasons.filter_map(|reason| judging.promises.status.get(reason).copied()).collect();
            promised.sort_unstable();
            promised.dedup();
            promised
        }
    };
    let words = match wanted.as_slice() {
        // Without a promise, every status that refuses will do.
        [] => "4xx".to_owned(),
        statuses => statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
    };
    let refusal_wanted = wanted.iter().all(|status| *status >= 400);
    let reasons = expect.refused.as_ref().map_or(&[][..], |reasons| &reasons.0);
    each(seen, &format!("status {words}"), |answer| match answer.status {
        _ if answer.end == End::TimedOut => Err((Verdict::Fail, "the answer did not end".to_owned())),
        None => Err((Verdict::Fail, answer.describe())),
        Some(status) if wanted.contains(&status) => {
            let failed = status < 300 && !answer.served();
            if failed { Err((Verdict::Fail, format!("{status}, with an error as its body"))) } else { Ok(()) }
        }
        Some(_) if wanted.is_empty() && refuses(judging, answer, reasons) => Ok(()),
        Some(status) if refusal_wanted && refuses(judging, answer, reasons) => {
            Err((Verdict::Deviates, format!("status {status}")))
        }
        Some(status) => Err((Verdict::Fail, format!("status {status}"))),
    })
}

/// Every answer is a refusal, for one of these reasons.
pub(super) fn refused(judging: Judging<'_>, wanted: &[Reason], seen: &Observation) -> Finding {
    let words = wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    each(seen, &format!("refused: {words}"), |answer| {
        let reason = refusal(judging, answer).filter(|_| refuses(judging, answer, wanted));
        let Some(reason) = reason else {
            return Err((Verdict::Fail, format!("not refused: {}", answer.describe())));
        };
        match reason {
            Some(reason) if wanted.contains(&reason) => Ok(()),
            Some(reason) => Err((Verdict::Deviates, format!("refused for another reason: {reason}"))),
            None => {
                Err((Verdict::Deviates, format!("refused, but its dialect does not say why: {}", answer.describe())))
            }
        }
    })
}

/// The refusal says whose limit it was, and which.
pub(super) fn names(judging: Judging<'_>, wanted: &Names, seen: &Observation) -> Finding {
    let entity = wanted.entity.as_ref().map_or(String::new(), |entity| format!(" {entity}"));
    let limit = wanted.limit.map_or(String::new(), |limit| format!(", {limit}"));
    each(seen, &format!("the refusal names {}{entity}{limit}", wanted.scope), |answer| {
        if !refuses(judging, answer, &[]) {
            return Err((Verdict::Fail, format!("not refused: {}", answer.describe())));
        }
        let body = answer.json();
        let scope = judging.dialect.scope(&body);
        let entity = judging.dialect.entity(&body);
        let found = judging.dialect.limit(&body);
        let fits = wanted.limit.is_none_or(|limit| found.is_some_and(|found| found.names(limit)));
        let is_its = wanted.entity.is_none() || wanted.entity == entity;
        if scope.as_ref() == Some(&wanted.scope) && is_its && fits {
            return Ok(());
        }
        let scope = scope.unwrap_or_else(|| "nobody".to_owned());
        let entity = entity.filter(|_| wanted.entity.is_some()).map_or(String::new(), |entity| format!(" {entity}"));
        let found = found.map_or_else(|| "no limit".to_owned(), |limit| limit.figure.to_string());
        Err((Verdict::Deviates, format!("it names {scope}{entity} and {found}")))
    })
}

/// A field of every answer's body.
pub(super) fn body(pointer: &str, wanted: &Value, seen: &Observation) -> Finding {
    each(seen, &format!("{pointer} is {wanted}"), |answer| match answer.json().pointer(pointer) {
        Some(value) if value == wanted => Ok(()),
        Some(value) => Err((Verdict::Fail, format!("it is {}", shortened(&value.to_string())))),
        None => Err((Verdict::Fail, "it is not there".to_owned())),
    })
}

/// A header of every answer. A refusal without it still enforces.
pub(super) fn header(name: &str, wanted: Header, seen: &Observation) -> Finding {
    let words = match wanted {
        Header::Present => format!("header {name}"),
        Header::Absent => format!("no header {name}"),
        Header::Seconds => format!("header {name} in whole seconds"),
    };
    each(seen, &words, |answer| {
        let value = answer.headers.get(name);
        let fits = match wanted {
            Header::Present => value.is_some(),
            Header::Absent => value.is_none(),
            Header::Seconds => value.is_some_and(|text| text.parse::<u64>().is_ok_and(|seconds| seconds > 0)),
        };
        let found = value.map_or_else(|| format!("no {name}"), |value| format!("{name}: {value}"));
        let refused = answer.status.is_some_and(|status| (400..500).contains(&status));
        let verdict = if refused { Verdict::Deviates } else { Verdict::Fail };
        if fits { Ok(()) } else { Err((verdict, found)) }
    })
}

/// How every streamed answer ends for the caller.
pub(super) fn stream(wanted: StreamEnd, seen: &Observation) -> Finding {
    let words = match wanted {
        StreamEnd::Complete => "the stream ends with its end marker",
        StreamEnd::Begun => "a stream begins",
        StreamEnd::Failed => "the stream ends as a failure: an error, or no end marker",
    };
    each(seen, words, |answer| {
        let found = Err((Verdict::Fail, answer.describe()));
        match (wanted, &answer.end) {
            (StreamEnd::Complete | StreamEnd::Failed, End::TimedOut | End::NoAnswer(_)) => found,
            (StreamEnd::Complete, End::Complete) if answer.streamed => Ok(()),
            (StreamEnd::Begun, _) if answer.streamed => Ok(()),
            (StreamEnd::Complete | StreamEnd::Begun, _) => found,
            // A failure that is told with a status, before the stream began, is as good.
            (StreamEnd::Failed, _) if answer.status.is_some_and(|status| status >= 400) => Ok(()),
            (StreamEnd::Failed, End::Complete | End::HungUp) => found,
            (StreamEnd::Failed, End::NoEndMarker | End::ErrorEvent(_) | End::Broken(_)) => Ok(()),
        }
    })
}

/// What the model thought, in every answer.
pub(super) fn thought(says: &Says, seen: &Observation) -> Option<Finding> {
    let wanted = says.thought.as_ref()?;
    // Space around a thought means nothing.
    Some(text_of("it thought", wanted, seen, |said| said.thought.trim().to_owned()))
}

/// The model's text, in every answer.
pub(super) fn text(says: &Says, seen: &Observation) -> Option<Finding> {
    let wanted = says.text.as_ref()?;
    Some(text_of("it said", wanted, seen, |said| said.text))
}

fn text_of(what: &str, wanted: &str, seen: &Observation, part: impl Fn(Said) -> String) -> Finding {
    each(seen, &format!("{what} {wanted:?}"), |answer| {
        let found = part(said(answer));
        if found == wanted { Ok(()) } else { Err((Verdict::Fail, format!("{what} {:?}", shortened(&found)))) }
    })
}

/// The tools that the model calls in every answer, in order.
pub(super) fn tool_calls(says: &Says, seen: &Observation) -> Option<Finding> {
    let wanted: Vec<_> = says.calls.as_ref()?.iter().map(|call| Called::new(&call.name, &call.arguments)).collect();
    Some(each(seen, &format!("it calls {}", words(&wanted)), |answer| {
        let found = said(answer).calls;
        if found == wanted { Ok(()) } else { Err((Verdict::Fail, format!("it calls {}", shortened(&words(&found))))) }
    }))
}

fn words(calls: &[Called]) -> String {
    list(&calls.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Every answer says which providers failed before it. One that does not may have tried them all the same.
pub(super) fn tried(judging: Judging<'_>, wanted: &[String], seen: &Observation) -> Finding {
    each(seen, &format!("the answer says that these failed before: {}", list(wanted)), |answer| {
        let told = judging.dialect.tried(&answer.headers);
        if told == wanted { Ok(()) } else { Err((Verdict::Deviates, format!("it says {}", list(&told)))) }
    })
}

/// A number of calls, in words.
pub(super) fn calls(count: Count) -> String {
    let noun = if count.at_most == Some(1) && count.at_least == 1 { "call" } else { "calls" };
    format!("{count} {noun}")
}

/// How many calls were served; a broken stream counts only where streams are expected to break.
pub(super) fn passed(wanted: Count, breaks: bool, seen: &Observation) -> Finding {
    let counts = |answer: &&Answer| if breaks { answer.served() } else { answer.served_whole() };
    let served = seen.answers.iter().filter(counts).count() as u64;
    let expected = format!("passed: {}", calls(wanted));
    let admits = wanted.admits(served);
    let found = match served {
        0 if admits && nobody_answered(seen) => unanswered(expected),
        // A bound is kept with ease by a gateway that serves nobody.
        0 if admits && wanted.at_most != Some(0) => {
            finding(Verdict::Unknown, expected, "none passed, which proves nothing".to_owned())
        }
        _ => pass_if(admits, expected, format!("{served} passed")),
    };
    with_witnesses(found, seen)
}

pub(super) fn nobody_answered(seen: &Observation) -> bool {
    seen.answers.iter().all(|answer| answer.status.is_none())
}

pub(super) fn unanswered(expected: String) -> Finding {
    finding(Verdict::Unknown, expected, "no call was answered".to_owned())
}

/// How many calls were refused, in words that the dialect knows.
pub(super) fn refusals(judging: Judging<'_>, wanted: Count, seen: &Observation) -> Finding {
    let refused: Vec<_> = seen
        .answers
        .iter()
        .filter(|answer| refuses(judging, answer, &[]))
        .filter_map(|answer| refusal(judging, answer))
        .collect();
    let understood = refused.iter().flatten().count();
    let expected = format!("refused: {}", calls(wanted));
    let found = format!("{} were refused, {understood} for a reason that the dialect knows", refused.len());
    let admits = wanted.admits(refused.len() as u64);
    if admits && nobody_answered(seen) {
        return with_witnesses(unanswered(expected), seen);
    }
    let verdict = match admits {
        true if understood == refused.len() => Verdict::Pass,
        true => Verdict::Deviates,
        false => Verdict::Fail,
    };
    with_witnesses(finding(verdict, expected, found), seen)
}

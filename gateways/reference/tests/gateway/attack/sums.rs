//! What each level must have used, by the mock's ledger and what the callers saw.

use std::collections::HashMap;
use std::ops::Add;

use mock_upstream::{Entry, Ledger, Outcome};
use rust_decimal::Decimal;

use super::callers::{Call, End, MARKED_BY, Target};
use super::levels::{NAMES, retries, touched};

pub(super) const PROMPT_BYTES: usize = 120;
pub(super) const MAX_TOKENS: u64 = 150;
/// What every whole answer uses.
const WHOLE_TOKENS: u64 = 200;
/// A token for each byte of the prompt, and for each that was allowed.
pub(super) const BOUND_TOKENS: u64 = 120 + MAX_TOKENS;

/// Dollars, tokens and requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) usd: Decimal,
    pub(super) tokens: Decimal,
    pub(super) requests: Decimal,
}

impl Add for Used {
    type Output = Used;

    fn add(self, other: Used) -> Used {
        Used { usd: self.usd + other.usd, tokens: self.tokens + other.tokens, requests: self.requests + other.requests }
    }
}

impl Used {
    pub(super) fn is_within(&self, most: &Used) -> bool {
        self.usd <= most.usd && self.tokens <= most.tokens && self.requests <= most.requests
    }
}

/// The most that a provider's turn can cost.
fn bound(target: Target) -> Used {
    let usd = match target.model {
        // (120 × 2.50 + 150 × 10.00) and (120 × 0.30 + 150 × 7.00) millionths
        "mock-1" => Decimal::new(1_800, 6),
        _ => Decimal::new(1_086, 6),
    };
    Used { usd, tokens: BOUND_TOKENS.into(), requests: Decimal::ONE }
}

/// What was charged for some requests, and the least and the most that a level has used for them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) charged: Used,
    pub(super) least: Used,
    pub(super) most: Used,
}

impl Add for Sum {
    type Output = Sum;

    fn add(self, other: Sum) -> Sum {
        Sum { charged: self.charged + other.charged, least: self.least + other.least, most: self.most + other.most }
    }
}

/// What each level has used.
pub(super) fn expected(calls: &[Call], ledger: &Ledger, kills: usize) -> HashMap<&'static str, Sum> {
    let mut turns = turns(ledger);
    let mut sums: HashMap<&str, Sum> = NAMES.map(|name| (name, Sum::default())).into();
    for call in calls {
        let was_killed = call.process < kills && call.end == End::Silent;
        let seen = turns.remove(call.marker.as_str()).unwrap_or_default();
        assert!(call.end != End::Unsent || seen.is_empty(), "a call that was not sent arrived: {call:?}");
        for (place, (provider, entries)) in seen.iter().enumerate() {
            let target = *call.targets.iter().find(|target| target.provider == *provider).unwrap();
            let is_last = place + 1 == seen.len();
            let range = turn(call, target, entries, was_killed && is_last);
            for name in touched(call.key, target) {
                let sum = sums.get_mut(name.as_str()).unwrap();
                *sum = *sum + range;
            }
        }
        if was_killed {
            add_unseen(&mut sums, call, &seen);
        }
    }
    assert!(turns.is_empty(), "nobody made these calls: {:?}", turns.keys());
    sums
}

/// The turns of a request, in their order: the provider, and what it was asked.
type Turns<'a> = Vec<(&'a str, Vec<&'a Entry>)>;

/// The turns of each request by its marker.
fn turns(ledger: &Ledger) -> HashMap<String, Turns<'_>> {
    let mut all: HashMap<String, Turns<'_>> = HashMap::new();
    for entry in ledger.inference() {
        // The prompt stands elsewhere in each protocol.
        let marker = entry.body.split(MARKED_BY).nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let turns = all.entry(format!("{MARKED_BY}{marker}")).or_default();
        let provider = entry.provider.as_deref().unwrap();
        match turns.iter_mut().find(|(name, _)| *name == provider) {
            Some((_, entries)) => entries.push(entry),
            None => turns.push((provider, vec![entry])),
        }
    }
    all
}

/// What a provider's turn was charged, at least and at most. It is one figure wherever the
/// gateway had the whole answer and its caller too, and for each try that got none.
fn turn(call: &Call, target: Target, entries: &[&Entry], was_cut_off: bool) -> Sum {
    let (last, earlier) = entries.split_last().unwrap();
    let before = earlier.iter().map(|entry| if is_unanswered(entry) { unanswered(target, entry) } else { free(entry) });
    let before = before.fold(Sum::default(), Sum::add);
    let mut sum = match (is_unanswered(last), was_cut_off) {
        (true, false) => unanswered(target, last),
        (false, false) => before_end(call, target, last),
        (_, true) => cut_off(call, target, last),
    };
    if was_cut_off && is_unanswered(last) && entries.len() <= retries(target) {
        // The next try may have been held, and have never begun.
        sum.most = sum.most + bound(target);
    }
    before + sum
}

/// Whether the gateway waited in vain for an answer, until its time or the connection ended.
pub(super) fn is_unanswered(entry: &Entry) -> bool {
    entry.status.is_none() && matches!(entry.outcome, Outcome::Faulted | Outcome::ClientLeft)
}

/// A try without an answer costs exactly what was held, and counts as no request.
fn unanswered(target: Target, entry: &Entry) -> Sum {
    let held = Used { requests: Decimal::ZERO, ..bound(target) };
    Sum { charged: Used { requests: Decimal::ZERO, ..charged(entry) }, least: held, most: held }
}

/// A try that failed and was made again.
fn free(entry: &Entry) -> Sum {
    let charged = Used { requests: Decimal::ZERO, ..charged(entry) };
    Sum { charged, least: charged, most: charged }
}

/// What the provider says that a try used.
fn charged(entry: &Entry) -> Used {
    Used {
        usd: entry.charged.decimal(),
        tokens: entry.tokens.total().into(),
        requests: u8::from(has_begun(entry)).into(),
    }
}

fn has_begun(entry: &Entry) -> bool {
    entry.status == Some(200) || !entry.charged.decimal().is_zero()
}

/// The last try of a turn, to which an answer began, or that was refused.
fn before_end(call: &Call, target: Target, last: &Entry) -> Sum {
    let is_whole = matches!(call.end, End::Whole(_));
    let is_held = match last.outcome {
        Outcome::Faulted => has_begun(last),
        Outcome::Answered | Outcome::ClientLeft => call.is_stream && !is_whole,
        Outcome::Open => panic!("{last:?} is open"),
    };
    if is_held {
        return cut_off(call, target, last);
    }
    let charged = charged(last);
    Sum { charged, least: charged, most: charged }
}

/// The last try of a turn, of which the gateway may not have learnt everything.
fn cut_off(call: &Call, target: Target, last: &Entry) -> Sum {
    let (mut charged, bound) = (charged(last), bound(target));
    if last.outcome == Outcome::Faulted {
        // It broke off, and is no request unless its caller had something of it.
        charged.requests = Decimal::ZERO;
    }
    // Its usage was never told, so the gateway cannot know better.
    let is_untold =
        if call.is_stream { charged.tokens < WHOLE_TOKENS.into() } else { last.outcome != Outcome::Answered };
    let least = match (has_begun(last), is_unanswered(last)) {
        (true, _) if is_untold => Used { requests: charged.requests, ..bound },
        // Before the kill, or after it as the hold that it left behind.
        (false, true) => Used { requests: Decimal::ZERO, ..bound },
        _ => charged,
    };
    Sum { charged, least, most: bound }
}

/// A provider's turn may have been held when the kill came, and never have begun: one of those
/// that the ledger does not have.
fn add_unseen(sums: &mut HashMap<&'static str, Sum>, call: &Call, seen: &Turns<'_>) {
    let unseen = call.targets.iter().filter(|target| seen.iter().all(|(name, _)| *name != target.provider));
    let mut names: Vec<String> = unseen.flat_map(|target| touched(call.key, *target)).collect();
    names.sort();
    names.dedup();
    for name in names {
        let sum = sums.get_mut(name.as_str()).unwrap();
        sum.most = sum.most + bound(call.targets[0]);
    }
}

//! The ledger under attack: 64 callers of three protocols at once at every level, before
//! providers of three protocols, plain calls and streams,
//! callers that hang up, providers that fail, an administrator who edits limits, and
//! `kill -9` at random points with a restart on the same folder.
//!
//! At the end every level has used what the mock's ledger charged for the requests that
//! touched it, and more by exactly the holds of calls that never got an answer; never less.
//! Only where a caller or the gateway itself was gone before the end it may be anything between
//! what the provider charged and what was held.
//!
//! `ATTACK_KILLS=20` kills as often (3 times unless it is set), and `ATTACK_SEED` repeats the
//! choices of a run, whose seed it prints. Where a choice falls in time is not repeated.

mod callers;
mod levels;
mod sums;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use mock_upstream::{Entry, Ledger, Outcome, Script};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{World, figures_as_texts};
use callers::{Call, End, calls_of};
use levels::{Limits, NAMES, PROVIDERS};
use sums::{Sum, Used, expected, is_unanswered};

const CALLERS: u64 = 64;
const KILLS: usize = 3;
/// For whatever a busy machine may take its time with.
const PATIENCE: Duration = Duration::from_secs(60);

/// Choices that are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(u64::try_from(end).unwrap())).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.place(from.len())]
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// The gateway's processes, one after the other, as the callers know them: which one it is,
/// and where. None while there is none, and after the last.
type Door = Option<(usize, String)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_level_ever_counts_less_than_was_charged_nor_more_than_was_held() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number_of("ATTACK_SEED").unwrap_or(u64::from(now.subsec_nanos()));
    let kills = number_of("ATTACK_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    eprintln!("ATTACK_SEED={seed} ATTACK_KILLS={kills}");
    let mut dice = Dice(seed);
    let mut world = World::prepare(levels::write).await;
    world.upstream.set_script(script(&world.upstream.script(), &mut dice)).unwrap();

    let (door, _) = watch::channel(Door::None);
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| tokio::spawn(calls_of(number, Dice(seed ^ (number << 32)), door.subscribe())))
        .collect();
    let mut limits = Limits::default();
    for process in 0..=kills {
        world.run(&[]).await;
        door.send_replace(Some((process, world.url(""))));
        let arrivals = if process == kills { 800 } else { 20 + dice.below(300) };
        let before = world.upstream.ledger().entries.len();
        edit_limits(&world, &mut limits, &mut dice, arrivals).await;
        if process < kills {
            world.process.take().unwrap().kill();
        } else {
            // Those that came to be told of it are among them.
            let is_tried =
                |ledger: &Ledger| ledger.entries.iter().skip(before).filter(|entry| is_given_up(entry)).count() >= 5;
            assert!(world.upstream.wait_until(is_tried, PATIENCE).await, "no try took too long");
        }
        door.send_replace(None);
    }
    drop(door);
    let mut calls = Vec::new();
    for caller in callers {
        calls.extend(tokio::time::timeout(PATIENCE, caller).await.expect("a caller waits for ever").unwrap());
    }
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 0, PATIENCE).await, "a call to a provider stays open");
    // Whatever is on its way settles, and is on disk.
    assert!(world.process.take().unwrap().terminate().await);
    world.run(&[]).await;
    judge(&used(&world).await, &calls, &world.upstream.ledger(), kills, &limits);
}

/// Whether the gateway gave the try up since its time was over.
fn is_given_up(entry: &Entry) -> bool {
    entry.status.is_none() && entry.outcome == Outcome::ClientLeft
}

/// Edits limits now and then, until so many requests more arrived at the providers.
async fn edit_limits(world: &World, limits: &mut Limits, dice: &mut Dice, arrivals: u64) {
    let before = world.upstream.ledger().entries.len();
    let end = before + usize::try_from(arrivals).unwrap();
    let mut next = before;
    loop {
        next = end.min(next + 40);
        let reached = |ledger: &Ledger| ledger.entries.len() >= next;
        assert!(world.upstream.wait_until(reached, PATIENCE).await, "the callers do not get through");
        if next == end {
            return;
        }
        let (path, body) = limits.edit(dice);
        let answer = world.admin(Method::PUT, &path, Some(&body)).await;
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text);
    }
}

/// The providers fail in many ways, and serve most calls.
fn script(usual: &Script, dice: &mut Dice) -> Script {
    let mut script = serde_json::to_value(usual).unwrap();
    let usage = json!({"input": 100, "output": 100});
    let latency = json!({"first_byte": "3ms", "between_chunks": "2ms"});
    let price = json!({"input": "$2.50", "output": "$10.00"});
    script["models"]["mock-1"] = json!({"usage": usage, "price": price, "latency": latency});
    let price = json!({"input": "$0.30", "output": "$7.00"});
    script["models"]["mock-2"] = json!({"usage": usage, "price": price, "latency": latency, "usage_at": "every_chunk"});
    let faults = [
        json!({"status": {"code": 500}}),
        json!({"status": {"code": 503}}),
        json!({"status": {"code": 400}}),
        json!("reset_before"),
        json!({"reset_in_body": {"after_chunks": 2}}),
        json!({"cut": {"after_chunks": 1}}),
        json!({"truncate": {"after_chunks": 3}}),
        json!({"error_event": {"after_chunks": 2}}),
        json!("no_end_marker"),
        json!("malformed_json"),
        json!("missing_usage"),
    ];
    for provider in PROVIDERS {
        let fault = |_| match dice.below(5) {
            0 if provider == "third" && dice.below(3) == 0 => json!("hang"),
            0 => dice.pick(&faults).clone(),
            _ => json!("ok"),
        };
        let sequence: Vec<Value> = (0..20_000).map(fault).collect();
        script["providers"][provider]["faults"] = json!([{"sequence": sequence}]);
    }
    serde_json::from_value(script).unwrap()
}

/// What each level has used, as the management API says.
async fn used(world: &World) -> HashMap<String, Used> {
    let mut all: HashMap<String, Used> = HashMap::new();
    for (list, path) in [("budgets", "/api/governance/budgets"), ("rate_limits", "/api/governance/rate-limits")] {
        let answer = world.admin(Method::GET, path, None).await;
        let answer: Value = serde_json::from_str(&figures_as_texts(&answer.text)).unwrap();
        for meter in answer[list].as_array().unwrap() {
            let used = all.entry(meter["id"].as_str().unwrap().to_owned()).or_default();
            match list {
                "budgets" => used.usd = meter["current_usage"].as_str().unwrap().parse().unwrap(),
                _ => {
                    used.tokens = meter["token_current_usage"].as_u64().unwrap().into();
                    used.requests = meter["request_current_usage"].as_u64().unwrap().into();
                }
            }
        }
    }
    all
}

fn judge(used: &HashMap<String, Used>, calls: &[Call], ledger: &Ledger, kills: usize, limits: &Limits) {
    let expected = expected(calls, ledger, kills);
    for name in NAMES {
        let (used, Sum { charged, least, most }) = (used[name], expected[name]);
        assert!(charged.is_within(&used), "{name} counts less than was charged: {used:?}, {charged:?}");
        assert!(least.is_within(&used), "{name} counts less than was held: {used:?}, at least {least:?}");
        assert!(used.is_within(&most), "{name} counts more than was held: {used:?}, at most {most:?}");
        let cap = limits.most(name);
        assert!(used.is_within(&cap), "{name} is above its cap: {used:?}, {cap:?}");
    }
    for (whole, parts) in levels::TREE {
        let sum = parts.iter().fold(Used::default(), |sum, part| sum + used[*part]);
        assert_eq!(used[whole], sum, "{whole} and its parts {parts:?}");
    }
    let count = |test: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| test(call)).count();
    let [served, capped, limited] = [200, 402, 429].map(|status| count(&|call| call.end == End::Whole(status)));
    let token_limited = count(&|call| call.is_token_limited);
    let silent = count(&|call| call.end == End::Silent);
    let is_reset = |entry: &&Entry| is_unanswered(entry) && entry.outcome == Outcome::Faulted;
    let resets = ledger.inference().filter(is_reset).count();
    // The ledger has those too that a kill or a caller cut off.
    let timeouts = count(&|call| call.has_timed_out);
    let (Sum { charged, least, most }, used) = (expected["model"], used["model"]);
    eprintln!(
        "{} calls: {served} served, {capped} answered with 402, {limited} with 429, \
         {token_limited} of them for tokens, {silent} without an answer; \
         {resets} tries reset, {timeouts} calls with a try that took too long; \
         ${} charged, ${} used, ${} at least, ${} at most",
        calls.len(),
        charged.usd.normalize(),
        used.usd.normalize(),
        least.usd.normalize(),
        most.usd.normalize(),
    );
    assert_eq!(charged.usd, ledger.charged().decimal(), "the whole ledger is the callers'");
    assert!(
        [served, capped, limited, token_limited, silent, resets, timeouts].iter().all(|count| *count > 0),
        "something was not tried"
    );
    assert!(charged.usd > Decimal::ZERO);
}

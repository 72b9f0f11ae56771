//! What the reference gateway adds to a call: `cargo bench --bench gateway`. README.md in this
//! folder's parent has the figures and how they are read. Nothing here passes or fails.
//!
//! `PROBITY_BIFROST_BIN=/path/to/bifrost` measures a real Bifrost in the same run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a program that prints tables"
)]

mod client;
mod many_keys;
mod subject;
mod table;

use std::time::Duration;

use client::{Sample, load};
use subject::{Subject, processes, start};
use table::{millis, percentile};

/// Rounds, so that a slow moment of the machine does not fall on one subject alone.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// Calls before any that counts.
const WARM_UP: Duration = Duration::from_millis(500);
const MANY: usize = 16;

#[tokio::main]
async fn main() {
    // `cargo test --benches` asks only whether this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = processes().await;
    let reference = start(&*runtime, "reference", "reference, `durability: process`", &[]).await;
    let durable = [("durability", "power_loss")];
    let mut subjects = vec![reference.direct(), reference];
    subjects.push(start(&*runtime, "reference", "reference, `durability: power_loss`", &durable).await);
    if let Ok(bin) = std::env::var("PROBITY_BIFROST_BIN") {
        subjects.push(start(&*runtime, "bifrost", "Bifrost", &[("bin", &bin)]).await);
    }
    compare(&subjects).await;
    drop(subjects);
    many_keys::measure().await;
}

/// What each subject was seen to do.
#[derive(Default)]
struct Seen {
    alone: Sample,
    together: Sample,
    streams: Sample,
}

async fn compare(subjects: &[Subject]) {
    let mut seen: Vec<Seen> = subjects.iter().map(|_| Seen::default()).collect();
    for subject in subjects {
        load(&subject.call, MANY, WARM_UP).await;
        load(&subject.stream, 1, WARM_UP).await;
    }
    for _ in 0..ROUNDS {
        for (subject, seen) in subjects.iter().zip(&mut seen) {
            seen.alone.add(load(&subject.call, 1, ROUND).await);
            seen.streams.add(load(&subject.stream, 1, ROUND).await);
            seen.together.add(load(&subject.call, MANY, ROUND).await);
            subject.forget();
        }
    }
    let direct = &seen[0];
    let added = |values: &[u64], base: &[u64], percent| {
        let (value, base) = (percentile(values, percent), percentile(base, percent));
        format!("{} (+{})", millis(value), millis(value.saturating_sub(base)))
    };
    let mut rows = Vec::new();
    for (subject, seen) in subjects.iter().zip(&seen) {
        let per_second = seen.together.whole.len() as u128 * 1_000_000 / seen.together.time.as_micros();
        rows.push(vec![
            subject.name.clone(),
            added(&seen.alone.whole, &direct.alone.whole, 50),
            added(&seen.alone.whole, &direct.alone.whole, 99),
            added(&seen.streams.first, &direct.streams.first, 50),
            added(&seen.streams.first, &direct.streams.first, 99),
            per_second.to_string(),
            millis(percentile(&seen.together.whole, 99)),
            subject.peak_memory_mb().await.map_or_else(|| "-".to_owned(), |mb| format!("{mb} MB")),
        ]);
    }
    let head = [
        "subject",
        "1 caller, median",
        "1 caller, p99",
        "first chunk, median",
        "first chunk, p99",
        "16 callers, calls/s",
        "16 callers, p99",
        "peak memory",
    ];
    table::print("Added to a call (in brackets: to the mock alone)", &head, rows);
}

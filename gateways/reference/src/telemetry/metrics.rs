//! What is counted of requests, while they end: a few atomic additions in one series.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus_client::metrics::histogram::Histogram;

use super::family::Family;
use super::histogram::Observed;
use super::labels::{Labels, LabelsRef};
use super::provider_keys::ProviderKeys;
use super::record::{Attempt, CallRecord, Named, Outcome};

/// How many series there may be. Beyond, requests are counted by what the
/// configuration bounds.
const MOST_SERIES: usize = 10_000;

/// All series.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Callers choose models: their names may be meant to collide.
    series: Family<Labels, Series, RandomState>,
    pub(super) keys: ProviderKeys,
}

/// What is counted under one set of labels.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) upstream: AtomicU64,
    pub(super) success: AtomicU64,
    /// By status code.
    errors: Mutex<BTreeMap<u16, u64>>,
    pub(super) input_tokens: AtomicU64,
    pub(super) output_tokens: AtomicU64,
    pub(super) cache_read: AtomicU64,
    pub(super) cache_write: AtomicU64,
    /// The part of `cache_write` that is kept for an hour.
    pub(super) cache_write_hour: AtomicU64,
    /// Pico-dollars.
    pub(super) cost: AtomicI64,
    /// Of calls that succeeded, and of those that did not.
    latency: [Observed; 2],
    /// How long streams took to begin.
    pub(super) first_token: Observed,
    /// How long after the one before each other event of a stream came.
    pub(super) inter_token: Observed,
    /// How often a provider was called again.
    pub(super) retries: Observed,
}

/// Tells the time between the events of a stream.
#[derive(Debug)]
pub(crate) struct Pace {
    series: Arc<Series>,
    last: Option<Instant>,
}

impl Pace {
    /// An event is passed on.
    pub(crate) fn event(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.series.inter_token.pace(now.saturating_duration_since(last));
        }
    }
}

impl Series {
    pub(super) fn errors(&self) -> MutexGuard<'_, BTreeMap<u16, u64>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long calls took that succeeded (`true`), and those that did not.
    pub(super) fn latencies(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        ["true", "false"].into_iter().zip(&self.latency).filter_map(|(word, times)| Some((word, times.get()?)))
    }

    fn failed(&self, status: u16) {
        *self.errors().entry(status).or_default() += 1;
    }
}

impl Metrics {
    /// Counts a finished request: each provider's turn under that provider's labels.
    pub(super) fn count(&self, record: &CallRecord) {
        if record.attempts.is_empty() {
            // Refused before any provider's turn. What it asked for is a stranger's word.
            self.series(labels(record, None)).failed(record.outcome.status());
        }
        let last = record.attempts.len().saturating_sub(1);
        let is_refused = record.outcome != Outcome::Served;
        for (index, attempt) in record.attempts.iter().enumerate() {
            let series = self.series(labels(record, Some(attempt)));
            let failed = match (&attempt.failure, &record.outcome) {
                (Some(failure), _) => Some(failure.status),
                (None, Outcome::Served) => None,
                (None, Outcome::Failed { status, .. }) => Some(*status),
            };
            match failed {
                None => add(&series.success, 1),
                // Refusals count once for a request, not for each fallback that is refused too.
                Some(status) if attempt.latency.is_some() || is_refused && index == 0 => series.failed(status),
                Some(_) => {}
            }
            if let Some(latency) = attempt.latency {
                add(&series.upstream, 1);
                let [succeeded, failed_ones] = &series.latency;
                let times = if failed.is_none() { succeeded } else { failed_ones };
                times.request(latency);
                series.retries.retries(attempt.retries);
            }
            if let Some(first) = record.first_chunk.filter(|_| index == last) {
                series.first_token.request(first);
            }
            let usage = attempt.usage.unwrap_or_default();
            add(&series.input_tokens, usage.input);
            add(&series.output_tokens, usage.output);
            add(&series.cache_read, usage.cached);
            add(&series.cache_write, usage.cache_write);
            add(&series.cache_write_hour, usage.cache_write_hour);
            self.keys.count(attempt, failed.is_none());
            series.cost.fetch_add(attempt.cost.pico(), Ordering::Relaxed);
        }
    }

    /// The pace of a stream that has begun with this attempt.
    pub(super) fn pace(&self, record: &CallRecord, attempt: &Attempt) -> Pace {
        Pace { series: self.series(labels(record, Some(attempt))), last: None }
    }

    /// Every series as it is now.
    pub(super) fn all(&self) -> Vec<(Labels, Arc<Series>)> {
        self.series.all()
    }

    fn series(&self, labels: LabelsRef<'_>) -> Arc<Series> {
        let labels = match self.series.find(&labels) {
            Ok(series) => return series,
            Err(count) if count >= MOST_SERIES => labels.bounded(),
            Err(_) => labels,
        };
        self.series.begin(labels.to_owned(), Series::default())
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn labels<'a>(record: &'a CallRecord, attempt: Option<&'a Attempt>) -> LabelsRef<'a> {
    let id = |named: Option<Named<'a>>| named.map_or("", |(id, _)| id);
    let name = |named: Option<Named<'a>>| named.map_or("", |(_, name)| name);
    let selected = attempt.and_then(|attempt| attempt.key.as_ref());
    LabelsRef {
        provider: attempt.map_or("", |attempt| &*attempt.provider),
        model: attempt.map_or("", |attempt| attempt.model.as_str()),
        virtual_key_id: id(record.key()),
        virtual_key_name: name(record.key()),
        team_id: id(record.team()),
        team_name: name(record.team()),
        customer_id: id(record.customer()),
        customer_name: name(record.customer()),
        selected_key_id: selected.map_or("", |key| key.id.as_str()),
        selected_key_name: selected.map_or("", |key| key.name.as_str()),
        method: record.kind.word(),
        fallback_index: attempt.map_or(0, |attempt| attempt.index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_names_than_there_is_room_for_share_a_series_and_nothing_is_lost() {
        let metrics = Metrics::default();
        let count = MOST_SERIES + 50;
        (0..count).for_each(|number| metrics.count(&CallRecord::sample(&format!("model-{number}"))));
        let all = metrics.all();
        assert_eq!(all.len(), MOST_SERIES + 1);
        let sum = |value: fn(&Series) -> u64| all.iter().map(|(_, series)| value(series)).sum::<u64>();
        assert_eq!(sum(|series| series.success.load(Ordering::Relaxed)), count as u64);
        let rest = all.iter().find(|(labels, _)| labels.pairs().contains(&("model", "other".to_owned())));
        assert_eq!(rest.map(|(_, series)| series.cost.load(Ordering::Relaxed)), Some(50));
    }
}

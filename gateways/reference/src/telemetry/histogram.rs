//! Histograms that are made when there is something in them.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// Seconds of a request: models take their time.
const REQUEST: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0];
/// Seconds between two events of a stream.
const PACE: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Tries beyond the first.
const RETRIES: [f64; 6] = [0.0, 1.0, 2.0, 3.0, 5.0, 10.0];
/// Bytes, up to a gigabyte.
const BYTES: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// A histogram, once there is something in it. All have Bifrost's bounds.
#[derive(Debug, Default)]
pub(super) struct Observed(OnceLock<Histogram>);

impl Observed {
    /// How long a request took.
    pub(super) fn request(&self, duration: Duration) {
        self.add(duration.as_secs_f64(), &REQUEST);
    }

    /// How long after the one before an event of a stream came.
    pub(super) fn pace(&self, duration: Duration) {
        self.add(duration.as_secs_f64(), &PACE);
    }

    /// How often a call was tried again.
    pub(super) fn retries(&self, count: u32) {
        self.add(f64::from(count), &RETRIES);
    }

    /// How large a body was.
    pub(super) fn bytes(&self, count: u64) {
        // No body comes near the four gigabytes up to which this is exact.
        self.add(f64::from(u32::try_from(count).unwrap_or(u32::MAX)), &BYTES);
    }

    /// What was observed, if anything was.
    pub(super) fn get(&self) -> Option<&Histogram> {
        self.0.get()
    }

    fn add(&self, value: f64, bounds: &[f64]) {
        self.0.get_or_init(|| Histogram::new(bounds.iter().copied())).observe(value);
    }
}

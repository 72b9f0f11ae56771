//! The metrics as text, in the OpenMetrics form and under Bifrost's names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::histogram::Observed;
use super::http::{HttpLabels, HttpSeries};
use super::labels::Labels;
use super::metrics::Series;
use super::provider_keys::{KeyLabels, RotationLabels};
use crate::money::Usd;

/// The content type of what [`render`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of everything that is counted.
pub(super) fn render(scrape: Scrape) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

/// Everything that is counted, as it is now.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) series: Vec<(Labels, Arc<Series>)>,
    /// Which of the providers' keys work.
    pub(super) keys: Vec<(KeyLabels, bool)>,
    pub(super) rotations: BTreeMap<RotationLabels, u64>,
    pub(super) http: Vec<(HttpLabels, Arc<HttpSeries>)>,
    /// How many requests of each kind are on their way.
    pub(super) active: Vec<(&'static str, u64)>,
    /// How many records each sink lost.
    pub(super) dropped: Vec<(&'static str, u64)>,
}

type Encoded = Result<(), fmt::Error>;
type Whole = (&'static str, &'static str, fn(&Series) -> u64);
type Spread<T> = (&'static str, &'static str, fn(&T) -> &Observed);

/// Without `_total`, which the form adds.
const WHOLE: [Whole; 8] = [
    ("bifrost_upstream_requests", "Calls to providers", |series| series.upstream.load(Ordering::Relaxed)),
    ("bifrost_success_requests", "Calls to providers that served a request", |series| {
        series.success.load(Ordering::Relaxed)
    }),
    ("bifrost_input_tokens", "Tokens of input that providers counted", |series| {
        series.input_tokens.load(Ordering::Relaxed)
    }),
    ("bifrost_output_tokens", "Tokens of output that providers counted", |series| {
        series.output_tokens.load(Ordering::Relaxed)
    }),
    ("bifrost_cache_read_input_tokens", "Tokens of input that a provider's cache held", |series| {
        series.cache_read.load(Ordering::Relaxed)
    }),
    ("bifrost_cache_write_input_tokens", "Tokens of input that a provider's cache took up", |series| {
        series.cache_write.load(Ordering::Relaxed)
    }),
    ("bifrost_cache_write_input_tokens_5m", "Those of them that are not kept for an hour", |series| {
        let hour = series.cache_write_hour.load(Ordering::Relaxed);
        series.cache_write.load(Ordering::Relaxed).saturating_sub(hour)
    }),
    ("bifrost_cache_write_input_tokens_1h", "Those of them that are kept for an hour", |series| {
        series.cache_write_hour.load(Ordering::Relaxed)
    }),
];

const SPREAD: [Spread<Series>; 3] = [
    (
        "bifrost_stream_first_token_latency_seconds",
        "From a request's arrival to the first event of its stream",
        |series| &series.first_token,
    ),
    ("bifrost_stream_inter_token_latency_seconds", "Between two events of a stream", |series| &series.inter_token),
    ("bifrost_request_retries", "How often a provider was called again for a request", |series| &series.retries),
];

const HTTP: [Spread<HttpSeries>; 3] = [
    ("http_request_duration_seconds", "From a request's head to its answer's", |series| &series.duration),
    ("http_request_size_bytes", "Bodies of requests that say their length", |series| &series.request_bytes),
    ("http_response_size_bytes", "Bodies of answers that are no streams", |series| &series.response_bytes),
];

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        for (name, help, value) in WHOLE {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, series) in &self.series {
                ConstCounter::new(value(series)).encode(family.encode_family(&labels.pairs())?)?;
            }
        }
        self.errors(&mut encoder)?;
        self.cost(&mut encoder)?;
        self.latencies(&mut encoder)?;
        self.provider_keys(&mut encoder)?;
        self.requests(&mut encoder)?;
        let help = "Finished requests that a sink could not take";
        let mut family = encoder.encode_descriptor("probity_dropped_records", help, None, MetricType::Counter)?;
        for (sink, count) in &self.dropped {
            ConstCounter::new(*count).encode(family.encode_family(&[("sink", *sink)])?)?;
        }
        Ok(())
    }
}

impl Scrape {
    fn errors(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Refusals, and calls to providers that served no request";
        let mut family = encoder.encode_descriptor("bifrost_error_requests", help, None, MetricType::Counter)?;
        for (labels, series) in &self.series {
            for (status, count) in series.errors().iter() {
                let labels = labels.with("status_code", status.to_string());
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn cost(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Dollars that requests were charged, failed calls among them";
        let mut family = encoder.encode_descriptor("bifrost_cost", help, None, MetricType::Counter)?;
        for (labels, series) in &self.series {
            let cost = Usd::from_pico(series.cost.load(Ordering::Relaxed)).to_float();
            ConstCounter::new(cost).encode(family.encode_family(&labels.pairs())?)?;
        }
        Ok(())
    }

    fn latencies(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let (name, help) = ("bifrost_upstream_latency_seconds", "From a call to its outcome");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, series) in &self.series {
            for (is_success, histogram) in series.latencies() {
                histogram.encode(family.encode_family(&labels.with("is_success", is_success.to_owned()))?)?;
            }
        }
        spread(encoder, SPREAD, &self.series, Labels::pairs)
    }

    fn provider_keys(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let (name, help) =
            ("bifrost_provider_key_up", "Whether a provider's key worked, by the last request with it to end");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (key, is_up) in &self.keys {
            ConstGauge::new(i64::from(*is_up)).encode(family.encode_family(&key.pairs())?)?;
        }
        let (name, help) = ("bifrost_key_rotation_events", "How often another of a provider's keys took over");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (rotation, count) in &self.rotations {
            ConstCounter::new(*count).encode(family.encode_family(&rotation.pairs())?)?;
        }
        Ok(())
    }

    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let (name, help) = ("bifrost_active_requests", "Requests of inference on their way");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (method, count) in &self.active {
            ConstGauge::new(*count).encode(family.encode_family(&[("method", *method)])?)?;
        }
        let (name, help) = ("http_requests", "Requests that were answered, whatever they asked for");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, series) in &self.http {
            let count = series.requests.load(Ordering::Relaxed);
            ConstCounter::new(count).encode(family.encode_family(&labels.pairs())?)?;
        }
        spread(encoder, HTTP, &self.http, HttpLabels::pairs)
    }
}

/// A table of histograms, each of the series that have something in it.
fn spread<L, T>(
    encoder: &mut DescriptorEncoder<'_>,
    table: [Spread<T>; 3],
    all: &[(L, Arc<T>)],
    pairs: fn(&L) -> Vec<(&str, String)>,
) -> Encoded {
    for (name, help, observed) in table {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, series) in all {
            if let Some(histogram) = observed(series).get() {
                histogram.encode(family.encode_family(&pairs(labels))?)?;
            }
        }
    }
    Ok(())
}

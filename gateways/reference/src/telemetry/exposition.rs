//! The metrics as text, in the OpenMetrics form and under Bifrost's names.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use super::labels::Labels;
use super::metrics::{Metrics, Series};
use crate::money::Usd;

/// The content type of what [`render`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted; `dropped` says how many records each sink lost.
pub(super) fn render(metrics: &Metrics, dropped: Vec<(&'static str, u64)>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { series: metrics.all(), dropped }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

#[derive(Debug)]
struct Scrape {
    series: Vec<(Labels, Arc<Series>)>,
    dropped: Vec<(&'static str, u64)>,
}

type Whole = (&'static str, &'static str, fn(&Series) -> u64);

/// Without `_total`, which the form adds.
const WHOLE: [Whole; 6] = [
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
];

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in WHOLE {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, series) in &self.series {
                ConstCounter::new(value(series)).encode(family.encode_family(&labels.pairs())?)?;
            }
        }
        self.errors(&mut encoder)?;
        self.cost(&mut encoder)?;
        self.latencies(&mut encoder)?;
        let help = "Finished requests that a sink could not take";
        let mut family = encoder.encode_descriptor("probity_dropped_records", help, None, MetricType::Counter)?;
        for (sink, count) in &self.dropped {
            ConstCounter::new(*count).encode(family.encode_family(&[("sink", *sink)])?)?;
        }
        Ok(())
    }
}

impl Scrape {
    fn errors(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
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

    fn cost(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Dollars that requests were charged, failed calls among them";
        let mut family = encoder.encode_descriptor("bifrost_cost", help, None, MetricType::Counter)?;
        for (labels, series) in &self.series {
            let cost = Usd::from_pico(series.cost.load(Ordering::Relaxed)).to_float();
            ConstCounter::new(cost).encode(family.encode_family(&labels.pairs())?)?;
        }
        Ok(())
    }

    fn latencies(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, help) = ("bifrost_upstream_latency_seconds", "From a call to its outcome");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, series) in &self.series {
            for (is_success, histogram) in series.latencies() {
                histogram.encode(family.encode_family(&labels.with("is_success", is_success.to_owned()))?)?;
            }
        }
        let name = "bifrost_stream_first_token_latency_seconds";
        let help = "From a request's arrival to the first event of its stream";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, series) in &self.series {
            if let Some(histogram) = series.first_token() {
                histogram.encode(family.encode_family(&labels.pairs())?)?;
            }
        }
        Ok(())
    }
}

//! Finished requests as spans, sent to an OpenTelemetry collector over HTTP. Names are
//! those of OpenTelemetry's conventions for generative AI; what those lack has Bifrost's.
//! Never what was asked or answered, and no credential.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use reqwest::Certificate;

use super::queue::Receiver;
use super::record::{Attempt, CallRecord};
use super::trace::Trace;
use crate::config::RequestType;

/// Why spans could not be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpansError {
    /// The environment asks for what this gateway does not do.
    #[error("{name}: `{value}` is not supported by the reference gateway")]
    Unsupported {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// The collector's certificate cannot be read.
    #[error("{name}: cannot read certificates in `{path}`: {problem}")]
    Certificate {
        /// The variable.
        name: &'static str,
        /// What it says.
        path: String,
        /// Why not.
        problem: String,
    },
    /// Connections to the collector cannot be prepared.
    #[error("cannot prepare connections to the collector of traces: {0}")]
    Client(#[from] reqwest::Error),
    /// The environment does not make sense.
    #[error("the collector of traces cannot be used: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Sends spans to a collector.
pub(crate) struct Spans {
    exporter: SpanExporter,
    scope: InstrumentationScope,
}

/// Variables with one value that this gateway honours.
const ONLY: [(&str, &str); 5] = [
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
    ("OTEL_TRACES_EXPORTER", "otlp"),
    ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
    ("OTEL_PROPAGATORS", "tracecontext"),
];
/// Where the collector is.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The file with the certificates by which it is known.
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
/// What no collector is shown.
const UNSUPPORTED: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];

impl Spans {
    /// A sender as OpenTelemetry's environment variables say; none where they name no
    /// collector.
    pub(crate) fn from_env() -> Result<Option<Spans>, SpansError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(endpoint) = ENDPOINTS.into_iter().find_map(set) else {
            return Ok(None);
        };
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        for (name, honoured) in ONLY {
            if let Some(value) = set(name).filter(|value| value != honoured) {
                return Err(SpansError::Unsupported { name, value });
            }
        }
        for name in UNSUPPORTED {
            if let Some(value) = set(name) {
                return Err(SpansError::Unsupported { name, value });
            }
        }
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = if crate::connect::leads_here(&endpoint) { client.no_proxy() } else { client };
        let client = match certificates(set)? {
            _ if !endpoint.starts_with("https:") => client.tls_certs_only([]),
            Some(certificates) => client.tls_certs_only(certificates),
            None => client,
        };
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let mut exporter = exporter.with_http_client(client.timeout(timeout(set)).build()?).build()?;
        // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
        let named = set("OTEL_SERVICE_NAME").is_some()
            || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|list| list.contains("service.name="));
        let resource = Resource::builder();
        let resource = if named { resource } else { resource.with_service_name(env!("CARGO_PKG_NAME")) };
        exporter.set_resource(&resource.build());
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION"));
        Ok(Some(Spans { exporter, scope: scope.build() }))
    }

    /// Sends spans until the last request has ended.
    pub(crate) async fn write_all(self, mut records: Receiver) {
        while let Some(batch) = records.next_batch().await {
            let spans: Vec<SpanData> = batch.iter().filter_map(|record| self.span(record)).collect();
            let count = spans.len();
            if count > 0
                && let Err(error) = self.exporter.export(spans).await
            {
                tracing::warn!(%error, "traces were not sent");
                records.lost(count);
            }
        }
    }

    /// The span of a request, unless its caller asks not to sample it.
    fn span(&self, record: &CallRecord) -> Option<SpanData> {
        let Trace { span, parent } = record.trace.as_ref().filter(|trace| trace.span.is_sampled())?;
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(record.started_at.millis().unsigned_abs());
        let operation = operation(record.kind);
        let mut events = SpanEvents::default();
        events.events = record.attempts.iter().filter_map(|attempt| failed_attempt(attempt, start)).collect();
        let error = record.outcome.error();
        Some(SpanData {
            span_context: span.clone(),
            parent_span_id: *parent,
            parent_span_is_remote: true,
            span_kind: SpanKind::Client,
            name: format!("{operation} {}", record.model_asked).trim_end().to_owned().into(),
            start_time: start,
            end_time: start + record.latency,
            attributes: attributes(record, operation),
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: error.map_or(Status::Unset, |kind| Status::error(kind.to_owned())),
            instrumentation_scope: self.scope.clone(),
        })
    }
}

fn timeout(set: impl Fn(&str) -> Option<String>) -> Duration {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    let millis = names.into_iter().find_map(|name| set(name)?.parse().ok());
    millis.map_or(opentelemetry_otlp::OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, Duration::from_millis)
}

fn operation(kind: RequestType) -> &'static str {
    match kind {
        RequestType::ChatCompletion | RequestType::Responses => "chat",
        RequestType::TextCompletion => "text_completion",
        RequestType::Embedding => "embeddings",
        // The conventions have no word for these.
        RequestType::ImageGeneration | RequestType::Speech | RequestType::Transcription => kind.word(),
    }
}

fn attributes(record: &CallRecord, operation: &'static str) -> Vec<KeyValue> {
    let attempt = record.deciding_attempt();
    let tokens = record.tokens();
    let mut all = vec![
        KeyValue::new("gen_ai.operation.name", operation),
        KeyValue::new("gen_ai.request.stream", record.is_stream),
        KeyValue::new("gen_ai.usage.input_tokens", count(tokens.input)),
        KeyValue::new("gen_ai.usage.output_tokens", count(tokens.output)),
        KeyValue::new("gen_ai.usage.cache_read.input_tokens", count(tokens.cached)),
        KeyValue::new("gen_ai.usage.cache_creation.input_tokens", count(tokens.cache_write)),
        KeyValue::new("gen_ai.usage.reasoning.output_tokens", count(tokens.reasoning)),
        KeyValue::new("gen_ai.usage.cost", record.cost().to_float()),
        KeyValue::new("http.route", record.route),
        KeyValue::new("http.response.status_code", i64::from(record.outcome.status())),
        KeyValue::new("bifrost.request.id", record.id.to_string()),
    ];
    let mut add = |name: &'static str, value: Option<String>| {
        all.extend(value.filter(|value| !value.is_empty()).map(|value| KeyValue::new(name, value)));
    };
    let selected = attempt.and_then(|attempt| attempt.key.as_ref());
    add("gen_ai.provider.name", attempt.map(|attempt| attempt.provider.to_string()));
    add("gen_ai.request.model", Some(record.model_asked.clone()));
    add("gen_ai.response.model", attempt.map(|attempt| attempt.model.clone()));
    add("error.type", record.outcome.error().map(str::to_owned));
    for (id, name, named) in [
        ("bifrost.virtual_key.id", "bifrost.virtual_key.name", record.key()),
        ("bifrost.team.id", "bifrost.team.name", record.team()),
        ("bifrost.customer.id", "bifrost.customer.name", record.customer()),
    ] {
        add(id, named.map(|(id, _)| id.to_owned()));
        add(name, named.map(|(_, name)| name.to_owned()));
    }
    add("bifrost.selected_key.id", selected.map(|key| key.id.clone()));
    add("bifrost.selected_key.name", selected.map(|key| key.name.clone()));
    if let Some(attempt) = attempt {
        all.push(KeyValue::new("bifrost.fallback_index", count(attempt.index)));
    }
    if let Some(first) = record.first_chunk {
        all.push(KeyValue::new("gen_ai.response.time_to_first_chunk", first.as_secs_f64()));
    }
    if !record.finish_reasons.is_empty() {
        let reasons = record.finish_reasons.iter().map(|reason| StringValue::from(reason.clone())).collect();
        all.push(KeyValue::new("gen_ai.response.finish_reasons", Value::Array(Array::String(reasons))));
    }
    all
}

/// The only certificates by which the collector is known, if the environment names some.
fn certificates(set: impl Fn(&str) -> Option<String>) -> Result<Option<Vec<Certificate>>, SpansError> {
    let Some((name, path)) = CERTIFICATES.into_iter().find_map(|name| Some((name, set(name)?))) else {
        return Ok(None);
    };
    let failed = |problem: String| SpansError::Certificate { name, path: path.clone(), problem };
    let pem = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("there is none".to_owned()));
    }
    Ok(Some(certificates))
}

/// A provider that did not serve, as an event of the request's span.
fn failed_attempt(attempt: &Attempt, start: SystemTime) -> Option<Event> {
    let failure = attempt.failure.as_ref()?;
    let attributes = vec![
        KeyValue::new("gen_ai.provider.name", attempt.provider.to_string()),
        KeyValue::new("gen_ai.request.model", attempt.model.clone()),
        KeyValue::new("bifrost.fallback_index", count(attempt.index)),
        KeyValue::new("error.type", failure.word.clone()),
        KeyValue::new("gen_ai.usage.cost", attempt.cost.to_float()),
    ];
    Some(Event::new("failed_attempt", start, attributes, 0))
}

fn count<N: TryInto<i64>>(number: N) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

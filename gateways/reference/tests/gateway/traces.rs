//! Spans at a collector: one for each request, in the caller's trace, with the figures of
//! the budgets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::serve::Listener;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::{KEY, Process, World, body, streamed, until};

/// A collector that keeps what it is sent.
pub(crate) struct Collector {
    url: String,
    got: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    /// The value of `authorization` that each came with.
    credentials: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    pub(crate) async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Collector::serve(listener, url)
    }

    /// The same over TLS; and the certificate by which it can be known.
    async fn start_secure() -> (Collector, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let listener = Secure { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        (Collector::serve(listener, url), made.cert.pem())
    }

    fn serve(listener: impl Listener<Addr = SocketAddr>, url: String) -> Collector {
        let (got, credentials) = (Arc::default(), Arc::default());
        let (keep, keep_credentials) = (Arc::clone(&got), Arc::clone(&credentials));
        let take = post(move |headers: HeaderMap, body: Bytes| async move {
            let credential = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let (keep, keep_credentials): (Arc<Mutex<Vec<_>>>, Arc<Mutex<Vec<_>>>) = (keep, keep_credentials);
            keep_credentials.lock().unwrap().extend(credential);
            keep.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
        });
        tokio::spawn(async { axum::serve(listener, Router::new().route("/v1/traces", take)).await });
        Collector { url, got, credentials }
    }

    /// The last credential that it was sent.
    pub(crate) fn credential(&self) -> Option<String> {
        self.credentials.lock().unwrap().last().cloned()
    }

    /// What a gateway needs to know.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", self.url.clone())]
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let scopes = got.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Waits until so many spans are there.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Span> {
        until(async || {
            tokio::task::yield_now().await;
            self.spans().len() >= count
        })
        .await;
        self.spans()
    }

    /// Everything it was sent, to look for what should not be there.
    pub(crate) fn everything(&self) -> String {
        format!("{:?}", self.got.lock().unwrap())
    }

    fn resource(&self) -> Value {
        let got = self.got.lock().unwrap();
        as_json(&got[0].resource_spans[0].resource.as_ref().unwrap().attributes)
    }
}

/// Connections over TLS.
struct Secure {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // One that does not know the certificate goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Attributes as an object.
pub(crate) fn as_json(attributes: &[KeyValue]) -> Value {
    let plain = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.clone()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number.to_string()),
        Some(Any::BoolValue(value)) => json!(value),
        Some(Any::ArrayValue(list)) => json!(format!("{:?}", list.values)),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), plain(&pair.value))).collect()
}

async fn world(collector: &Collector) -> World {
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([crate::support::budget("b", "0.004", "1h", "vk-agent")]);
    })
    .await;
    world.env = collector.env();
    world.run(&["--seed", "7"]).await;
    world
}

#[tokio::test]
async fn a_request_is_a_span_with_the_attributes_of_generative_ai() {
    let collector = Collector::start().await;
    let world = world(&collector).await;
    world.call().await;
    let spans = collector.wait_for(1).await;
    let attributes = as_json(&spans[0].attributes);
    assert_eq!(spans[0].name, "chat mock-1");
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("primary")),
        ("gen_ai.request.model", json!("mock-1")),
        ("gen_ai.response.model", json!("mock-1")),
        ("gen_ai.usage.input_tokens", json!(100)),
        ("gen_ai.usage.output_tokens", json!(100)),
        ("gen_ai.usage.cost", json!("0.00125")),
        ("http.response.status_code", json!(200)),
        ("bifrost.virtual_key.name", json!("agent")),
        ("bifrost.selected_key.name", json!("primary-key")),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert!(attributes["gen_ai.response.finish_reasons"].as_str().unwrap().contains("stop"), "{attributes}");
    assert!(spans[0].end_time_unix_nano > spans[0].start_time_unix_nano);
    assert_eq!(collector.resource()["service.name"], "probity-reference");
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn streams_fallbacks_and_refusals_are_spans_too() {
    let collector = Collector::start().await;
    let world = world(&collector).await;
    world.faults(&json!({"primary": [{"fault": "malformed_json", "first": 1}]}));
    world.call().await;
    world.stream("/v1/chat/completions", &streamed()).await;
    world.send(world.chat("sk-wrong", &body())).await;
    let spans = collector.wait_for(3).await;
    let find = |status: i64, stream: bool| {
        let mut all = spans.iter().map(|span| (span, as_json(&span.attributes)));
        all.find(|(_, of)| of["http.response.status_code"] == status && of["gen_ai.request.stream"] == stream).unwrap()
    };
    let (span, attributes) = find(200, false);
    assert_eq!(attributes["bifrost.fallback_index"], 1);
    assert_eq!(attributes["gen_ai.usage.cost"], "0.0024");
    assert_eq!(as_json(&span.events[0].attributes)["gen_ai.usage.cost"], "0.00115");
    let (_, attributes) = find(200, true);
    assert_eq!(attributes["gen_ai.usage.cost"], "0.00125");
    assert!(attributes.get("gen_ai.response.time_to_first_chunk").is_some());
    assert!(attributes["gen_ai.response.finish_reasons"].as_str().unwrap().contains("stop"), "{attributes}");
    let (_, attributes) = find(401, false);
    assert_eq!(attributes["error.type"], "virtual_key_not_found");
}

#[tokio::test]
async fn the_callers_trace_is_continued_and_passed_to_the_provider() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let collector = Collector::start().await;
    let world = world(&collector).await;
    let traced = |flags: &str| {
        let parent = format!("00-{TRACE}-b7ad6b7169203331-{flags}");
        world.chat(KEY, &body()).header("traceparent", parent).header("tracestate", "vendor=1")
    };
    assert_eq!(world.send(traced("01")).await.status, 200);
    let spans = collector.wait_for(1).await;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&spans[0].trace_id), TRACE);
    assert_eq!(hex(&spans[0].parent_span_id), "b7ad6b7169203331");
    let sent = |name: &str| {
        let ledger = world.upstream.ledger();
        let headers = ledger.inference().last().unwrap().headers.clone();
        headers.into_iter().find(|(header, _)| header == name).map(|(_, value)| value)
    };
    assert_eq!(sent("traceparent").unwrap(), format!("00-{TRACE}-{}-01", hex(&spans[0].span_id)));
    assert_eq!(sent("tracestate").unwrap(), "vendor=1");
    // A caller who does not sample is not sampled here either.
    assert_eq!(world.send(traced("00")).await.status, 200);
    assert!(sent("traceparent").unwrap().ends_with("-00"));
    world.call().await;
    let spans = collector.wait_for(2).await;
    assert!(hex(&spans[1].trace_id) != TRACE && spans[1].parent_span_id.is_empty());
}

#[tokio::test]
async fn without_a_collector_the_callers_trace_reaches_the_provider_as_it_is() {
    let world = World::with_budget("1").await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    world.send(world.chat(KEY, &body()).header("traceparent", parent)).await;
    let ledger = world.upstream.ledger();
    let headers = &ledger.inference().last().unwrap().headers;
    assert!(headers.contains(&("traceparent".to_owned(), parent.to_owned())), "{headers:?}");
}

#[tokio::test]
async fn a_collector_over_tls_is_known_by_the_certificate_that_the_environment_names() {
    let mut world = World::prepare(|_| {}).await;
    let (collector, certificate) = Collector::start_secure().await;
    let file = world.folder.path().join("collector.pem");
    std::fs::write(&file, certificate).unwrap();
    world.env = collector.env();
    world.env.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", file.to_str().unwrap().to_owned()));
    world.run(&[]).await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(collector.wait_for(1).await[0].name, "chat mock-1");
}

#[tokio::test]
async fn a_collector_that_no_certificate_vouches_for_is_sent_nothing() {
    let mut world = World::prepare(|_| {}).await;
    let (collector, _) = Collector::start_secure().await;
    world.env = collector.env();
    world.run(&[]).await;
    assert_eq!(world.call().await.status, 200);
    dropped(&world).await;
    assert!(collector.spans().is_empty());
}

/// Waits until one span is counted as lost.
async fn dropped(world: &World) {
    until(async || {
        let metrics = world.admin(reqwest::Method::GET, "/metrics", None).await.text;
        metrics.contains("probity_dropped_records_total{sink=\"spans\"} 1")
    })
    .await;
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_no_request_and_is_counted() {
    let collector = Collector::start().await;
    let mut world = World::prepare(|_| {}).await;
    world.env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/nowhere", collector.url))];
    world.run(&[]).await;
    assert_eq!(world.call().await.status, 200);
    dropped(&world).await;
}

#[tokio::test]
async fn what_the_environment_asks_for_in_vain_is_named() {
    let world = World::prepare(|_| {}).await;
    world.write_config();
    let nowhere = world.folder.path().join("nowhere.pem").to_str().unwrap().to_owned();
    for (name, value, problem) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned(), ": `grpc` is not supported"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", nowhere.clone(), "is not supported"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", nowhere, ": cannot read certificates in `"),
    ] {
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1".to_owned()), (name, value)];
        let line = Process::start_with(world.folder.path(), &[], &env).await.err().unwrap();
        assert!(line.contains(name) && line.contains(problem), "{line}");
    }
}

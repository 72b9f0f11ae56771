//! Callers that keep their connection and do nothing else: what they cost is the same for every
//! subject, and small beside any of them.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A call, and where it goes.
#[derive(Clone)]
pub struct Call {
    pub address: SocketAddr,
    pub path: String,
    /// The header that says who calls.
    pub credential: (&'static str, String),
    pub body: Bytes,
}

/// What some callers saw.
#[derive(Default)]
pub struct Sample {
    /// From a request's first byte to the first byte of its answer's body, in microseconds.
    pub first: Vec<u64>,
    /// From a request's first byte to its answer's last, in microseconds.
    pub whole: Vec<u64>,
    /// How long the callers went on, added up over all rounds.
    pub time: Duration,
}

impl Sample {
    /// Adds what was seen in another round.
    pub fn add(&mut self, other: Self) {
        self.first.extend(other.first);
        self.whole.extend(other.whole);
        self.time += other.time;
    }
}

/// Calls again and again, from so many callers at once, for so long.
pub async fn load(call: &Call, callers: usize, time: Duration) -> Sample {
    let call = Arc::new(call.clone());
    let began = Instant::now();
    let until = began + time;
    let callers: Vec<_> = (0..callers).map(|_| tokio::spawn(caller(Arc::clone(&call), until))).collect();
    let mut sample = Sample::default();
    for caller in callers {
        sample.add(caller.await.unwrap());
    }
    sample.time = began.elapsed();
    sample
}

async fn caller(call: Arc<Call>, until: Instant) -> Sample {
    let mut connection = connect(call.address).await;
    let mut sample = Sample::default();
    while Instant::now() < until {
        let (first, whole) = one(&mut connection, &call).await;
        sample.first.push(first);
        sample.whole.push(whole);
    }
    sample
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One call, which must be served.
async fn one(connection: &mut SendRequest<Full<Bytes>>, call: &Call) -> (u64, u64) {
    let (name, credential) = &call.credential;
    let request = Request::post(&call.path)
        .header(header::HOST, call.address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header(*name, credential)
        .body(Full::new(call.body.clone()))
        .unwrap();
    let began = Instant::now();
    connection.ready().await.unwrap();
    let answer = connection.send_request(request).await.unwrap();
    assert!(answer.status().is_success(), "{} {:?}", answer.status(), answer.into_body().collect().await);
    let mut body = answer.into_body();
    let mut first = None;
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        first.get_or_insert_with(|| began.elapsed());
    }
    let whole = began.elapsed();
    (micros(first.unwrap_or(whole)), micros(whole))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

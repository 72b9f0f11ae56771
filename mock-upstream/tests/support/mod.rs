//! A client that sees bytes: what arrives in which piece, and how a connection ends.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test file uses a part of it, and a test fails by panicking"
)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mock_upstream::{Fault, FaultRule, Ledger, Model, Price, Script, Upstream, Usage, Usd};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No wait of a test is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) const CHAT: &str = "/primary/v1/chat/completions";

pub(crate) async fn start(script: Script) -> Upstream {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Upstream::start(any_port, script).await.unwrap()
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// The usual world with figures that show a wrong unit: 7000 in, 3000 out, six deltas of 500.
pub(crate) fn telling() -> Script {
    let mut script = Script::usual();
    *model(&mut script) = Model {
        usage: Usage { input: 7000, output: 3000, ..Usage::default() },
        price: Some(Price { input: usd("$2.50"), output: usd("$10"), ..Price::default() }),
        chunks: 6,
        ..Model::default()
    };
    script
}

pub(crate) fn model(script: &mut Script) -> &mut Model {
    &mut script.models["mock-1"]
}

pub(crate) fn with_fault(mut script: Script, fault: Fault) -> Script {
    let rule = FaultRule { fault: Some(fault), ..FaultRule::default() };
    script.providers["primary"].faults = vec![rule];
    script
}

/// Waits until nothing is being answered and `calls` have arrived.
pub(crate) async fn settled(upstream: &Upstream, calls: usize) -> Ledger {
    let done = |ledger: &Ledger| ledger.inference().count() == calls && ledger.open() == 0;
    assert!(upstream.wait_until(done, DEADLINE).await, "{:#?}", upstream.ledger());
    upstream.ledger()
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The final chunk arrived, or as many bytes as the head promised.
    Complete,
    /// The connection was closed before.
    Closed,
    /// The connection was reset before.
    Reset,
}

/// An answer as it arrived.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    /// The chunks of the chunked encoding, or one piece with a length.
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) end: End,
}

impl Seen {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes()).unwrap()
    }

    /// Content deltas of a stream of chat completions.
    pub(crate) fn deltas(&self) -> usize {
        self.text().matches(r#""delta":{"content":"#).count()
    }
}

/// A connection to an upstream.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    end: Option<End>,
}

impl Client {
    pub(crate) async fn to(upstream: &Upstream) -> Client {
        let stream = TcpStream::connect(upstream.addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, buffer: Vec::new(), end: None }
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[&str], body: &str) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: mock\r\n");
        for header in headers {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// The head of a call with the key `k` that promises so many bytes, and some of them.
    pub(crate) async fn begin_post(&mut self, path: &str, length: usize, body: &str) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: mock\r\nauthorization: Bearer k\r\ncontent-length: {length}\r\n\r\n"
        );
        self.stream.write_all(head.as_bytes()).await.unwrap();
        self.stream.write_all(body.as_bytes()).await.unwrap();
    }

    /// A call with the key `k`.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) {
        let headers = ["authorization: Bearer k", "content-type: application/json"];
        self.send("POST", path, &headers, &body.to_string()).await;
    }

    pub(crate) async fn chat(&mut self, stream: bool) {
        self.post(CHAT, &json!({"model": "mock-1", "stream": stream})).await;
    }

    /// More bytes into the buffer; false at the end of the connection.
    async fn more(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let mut bytes = [0; 4096];
        let read = timeout(DEADLINE, self.stream.read(&mut bytes)).await;
        match read.expect("the upstream neither answers nor closes") {
            Ok(0) => self.end = Some(End::Closed),
            Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.end = Some(End::Reset),
            Err(error) => panic!("{error}"),
        }
        self.end.is_none()
    }

    /// Reads until the text has arrived.
    pub(crate) async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.buffer).contains(text) {
            assert!(self.more().await, "the answer ended without {text}");
        }
    }

    /// What has arrived so far and was not taken.
    pub(crate) fn buffered(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// Takes so many bytes, or fewer if the connection ends before.
    async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count && self.more().await {}
        let rest = self.buffer.split_off(count.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn take_through(&mut self, text: &str) -> Option<String> {
        loop {
            let at = self.buffer.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = at {
                return Some(String::from_utf8(self.take(at + text.len()).await).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads one answer to its end.
    pub(crate) async fn answer(&mut self) -> Seen {
        let ended = |client: &Client| client.end.unwrap_or(End::Complete);
        let Some(head) = self.take_through("\r\n\r\n").await else {
            return Seen { head: String::new(), chunks: Vec::new(), end: ended(self) };
        };
        let mut seen = Seen { head, chunks: Vec::new(), end: End::Complete };
        if seen.status() == 204 {
            return seen;
        }
        if let Some(length) = seen.header("content-length") {
            let length = length.parse().unwrap();
            let body = self.take(length).await;
            if body.len() < length {
                seen.end = ended(self);
            }
            seen.chunks.push(body);
            return seen;
        }
        while let Some(line) = self.take_through("\r\n").await {
            let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let mut chunk = self.take(length + 2).await;
            assert_eq!(chunk.split_off(length), b"\r\n");
            if length == 0 {
                return seen;
            }
            seen.chunks.push(chunk);
        }
        seen.end = ended(self);
        seen
    }

    /// Whether the connection stays open and silent for a while.
    pub(crate) async fn stays_open(&mut self) -> bool {
        let mut byte = [0];
        let silence = Duration::from_millis(100);
        timeout(silence, self.stream.read(&mut byte)).await.is_err()
    }
}

/// One chat call on a connection of its own.
pub(crate) async fn chat(upstream: &Upstream, stream: bool) -> Seen {
    let mut client = Client::to(upstream).await;
    client.chat(stream).await;
    client.answer().await
}

/// One call on a connection of its own.
pub(crate) async fn post(upstream: &Upstream, path: &str, body: &Value) -> Seen {
    let mut client = Client::to(upstream).await;
    client.post(path, body).await;
    client.answer().await
}

pub(crate) async fn get(upstream: &Upstream, path: &str, headers: &[&str]) -> Seen {
    let mut client = Client::to(upstream).await;
    client.send("GET", path, headers, "").await;
    client.answer().await
}

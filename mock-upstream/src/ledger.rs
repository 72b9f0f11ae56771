//! The ledger: every request that arrived, in order, and what was charged for it.

use serde::{Deserialize, Serialize};

use crate::route::Route;
use crate::script::Usage;
use crate::usd::Usd;

/// Whether a request is somebody's call, or a gateway's own doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A call that a provider would do work for.
    Inference,
    /// Model lists, price sheets, and whatever no provider knows.
    Housekeeping,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is still being answered.
    Open,
    /// The whole answer was handed to the connection.
    Answered,
    /// The client went away before the answer was complete.
    ClientLeft,
    /// The answer carried what a scripted fault did to it; delays and split writes alone do not count.
    Faulted,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, in order of arrival. Clearing the ledger does not begin anew.
    pub seq: u64,
    /// Microseconds since the upstream started, on a clock that never goes back.
    pub at_us: u64,
    /// When it arrived.
    pub arrived: jiff::Timestamp,
    /// Inference or housekeeping.
    pub kind: Kind,
    /// The provider that the path names, if the script has it.
    pub provider: Option<String>,
    /// The key that the caller sent to the provider.
    pub upstream_key: Option<String>,
    /// The route.
    pub route: Route,
    /// The HTTP method.
    pub method: String,
    /// Path and query as received.
    pub path: String,
    /// The model that the request names.
    pub model: Option<String>,
    /// Header names in lower case, and values, as received.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are no UTF-8 are replaced.
    pub body: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status of the answer; none before it begins, or if it never did.
    pub status: Option<u16>,
    /// What was charged for.
    pub tokens: Usage,
    /// What was charged.
    pub charged: Usd,
}

/// Every request since the start, or since the ledger was cleared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// In order of arrival.
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// The requests that are no housekeeping.
    pub fn inference(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.kind == Kind::Inference)
    }

    /// The sum of all charges.
    pub fn charged(&self) -> Usd {
        self.entries.iter().map(|entry| entry.charged).sum()
    }

    /// How many requests are still being answered.
    pub fn open(&self) -> usize {
        self.entries.iter().filter(|entry| entry.outcome == Outcome::Open).count()
    }
}

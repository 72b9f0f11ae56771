//! What is counted of HTTP requests, whatever they ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::Method;
use indexmap::Equivalent;

use super::family::Family;
use super::histogram::Observed;
use super::labels::OTHER;

/// All requests. Their series are as many as the routes, methods and statuses that there are.
#[derive(Debug, Default)]
pub(super) struct HttpMetrics {
    series: Family<HttpLabels, HttpSeries>,
}

/// An answered request.
pub(crate) struct Answered<'a> {
    /// The route; `None` for a path that no route has.
    pub(crate) route: Option<&'a str>,
    pub(crate) method: &'a Method,
    pub(crate) status: u16,
    /// Until the answer's head was there.
    pub(crate) duration: Duration,
    /// As the request says.
    pub(crate) request_bytes: Option<u64>,
    /// Nothing for a stream.
    pub(crate) response_bytes: Option<u64>,
}

/// What requests are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HttpLabels {
    path: String,
    method: &'static str,
    status: u16,
}

/// The same without a copy, to find a series by.
#[derive(Hash)]
struct LabelsRef<'a> {
    path: &'a str,
    method: &'static str,
    status: u16,
}

impl Equivalent<HttpLabels> for LabelsRef<'_> {
    fn equivalent(&self, other: &HttpLabels) -> bool {
        (self.path, self.method, self.status) == (other.path.as_str(), other.method, other.status)
    }
}

impl LabelsRef<'_> {
    fn to_owned(&self) -> HttpLabels {
        HttpLabels { path: self.path.to_owned(), method: self.method, status: self.status }
    }
}

impl HttpLabels {
    /// Name and value of each.
    pub(super) fn pairs(&self) -> Vec<(&str, String)> {
        vec![("path", self.path.clone()), ("method", self.method.to_owned()), ("status", self.status.to_string())]
    }
}

/// What is counted under one set of labels.
#[derive(Debug, Default)]
pub(super) struct HttpSeries {
    pub(super) requests: AtomicU64,
    pub(super) duration: Observed,
    pub(super) request_bytes: Observed,
    pub(super) response_bytes: Observed,
}

impl HttpMetrics {
    pub(super) fn count(&self, answered: &Answered<'_>) {
        let labels =
            LabelsRef { path: answered.route.unwrap_or(OTHER), method: word(answered.method), status: answered.status };
        let series =
            self.series.find(&labels).unwrap_or_else(|_| self.series.begin(labels.to_owned(), HttpSeries::default()));
        series.requests.fetch_add(1, Ordering::Relaxed);
        series.duration.request(answered.duration);
        answered.request_bytes.into_iter().for_each(|bytes| series.request_bytes.bytes(bytes));
        answered.response_bytes.into_iter().for_each(|bytes| series.response_bytes.bytes(bytes));
    }

    /// Every series as it is now.
    pub(super) fn all(&self) -> Vec<(HttpLabels, Arc<HttpSeries>)> {
        self.series.all()
    }
}

/// A method that HTTP knows; callers may send any word.
fn word(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|word| *word == method.as_str()).unwrap_or(OTHER)
}

//! What the gateway tells of the requests that it served or refused.
//!
//! - [`record`]: one finished request, as every sink gets it
//! - [`notes`]: of a request on its way, from which the record is made when its outcome is known
//! - [`sinks`]: where records go, without ever holding a request up
//! - [`spans`]: OpenTelemetry spans; [`trace`] is a request's place in its caller's trace
//! - [`queue`]: the bounded way from a request to a sink
//! - [`metrics`]: what is counted of requests to providers, under which [`labels`];
//!   [`provider_keys`], [`active`] and [`http`]: what is counted of providers' keys, of requests on their
//!   way, and of all that are answered. A [`family`] has series by their labels; [`exposition`] is the
//!   text of all, with its [`histogram`]s
//! - [`lines`]: one line in the gateway's own log for each request

mod active;
pub(crate) mod exposition;
mod family;
mod histogram;
mod http;
mod labels;
pub(crate) mod lines;
mod metrics;
mod notes;
mod provider_keys;
mod queue;
mod record;
mod sinks;
mod spans;
mod trace;

pub(crate) use http::Answered;
pub(crate) use metrics::Pace;
pub(crate) use notes::Notes;
pub(crate) use queue::{Queue, Receiver, queue};
pub(crate) use record::{Attempt, CallRecord};
pub(crate) use sinks::Telemetry;
pub(crate) use spans::{Spans, SpansError};

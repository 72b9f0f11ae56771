//! The log of requests: `logs.db`, and what an administrator can ask of it.
//!
//! - [`store`]: opens the database
//! - [`writer`]: writes finished requests in batches, and forgets old ones
//! - [`query`]: which requests, in which order
//! - [`entry`]: a request as it is answered

mod entry;
mod query;
mod store;
mod writer;

pub(crate) use entry::{Entry, Totals};
pub(crate) use query::{Order, Page, Query, SortBy};
pub(crate) use store::{Logs, open};
pub(crate) use writer::write_all;

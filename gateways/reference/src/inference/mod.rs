//! The inference routes: a request from its arrival to its answer.
//!
//! - [`request`]: what a request says, as far as the gateway must know
//! - [`handle`]: who asks, what for, and which providers are tried
//! - [`attempt`]: one provider: admitted, held, called, charged
//! - [`answer`]: answers with the headers that the gateway adds
//! - [`models`]: the list of models

mod answer;
mod attempt;
mod handle;
mod models;
mod request;

pub(crate) use attempt::Tariff;
pub(crate) use handle::{handle, identify};
pub(crate) use models::list_models;
pub(crate) use request::Route;

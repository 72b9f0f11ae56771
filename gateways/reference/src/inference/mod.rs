//! The inference routes: a request from its arrival to its answer.
//!
//! - [`caller`]: who asks
//! - [`route`]: the routes, and how providers serve them
//! - [`request`]: what a request says, as far as the gateway must know
//! - [`bounds`]: what bounds its cost
//! - [`input`]: what goes into a model
//! - [`parts`]: what of messages and their parts goes in, as far as a body shows it
//! - [`elsewhere`]: what stands for something that a body does not show
//! - [`server_tools`]: what a provider may do for it beside answering
//! - [`handle`]: which providers are tried
//! - [`attempt`]: one provider: held, called, charged
//! - [`hold`]: what a call to it holds
//! - [`answer`]: answers with the headers that the gateway adds
//! - [`provider_error`]: a provider's error, as its caller is told
//! - [`count`]: how many tokens a request has
//! - [`media`]: images and audio
//! - [`recording`]: how long a recording can be
//! - [`models`]: the list of models
//! - [`described`]: what is answered, for the description of the API

mod answer;
mod attempt;
mod bounds;
mod caller;
mod count;
mod described;
mod elsewhere;
mod fields;
mod handle;
mod hold;
mod input;
mod media;
mod models;
mod parts;
mod provider_error;
mod readable;
mod recording;
mod request;
mod route;
mod server_tools;

pub(crate) use caller::identify;
pub(crate) use described::{answers, gemini_answers, object};
pub(crate) use handle::handle;
pub(crate) use models::list_models;
pub(crate) use route::{Asked, Route};

//! What a request costs.
//!
//! - [`sheet`]: the price sheet and the model parameters, from a file, a URL or this program
//! - [`overrides`]: the administrator's own prices, found by scope and model
//! - [`kept`]: the overrides of `config.json` and of the administrators, brought together
//! - [`catalog`]: both together: the price of a model for a key, a provider and its key
//! - [`price`]: from a price and a usage to a cost, and to the most that it can be
//! - [`media`]: the same for images and audio, which have units of their own
//! - [`extras`]: the same for what is charged beside tokens: searches and sessions of code
//! - [`tariff`]: what a request is charged by

mod catalog;
mod extras;
pub(crate) mod kept;
mod media;
mod overrides;
mod price;
mod sheet;
mod tariff;

pub(crate) use catalog::{Catalog, PriceQuestion};
pub(crate) use extras::{Extra, Extras, SearchSize};
pub(crate) use kept::{KeptError, KeptOverride, KeptOverrides};
pub(crate) use media::{Media, Quality};
pub(crate) use overrides::Overrides;
pub(crate) use sheet::{PricingError, Sheet};
pub(crate) use tariff::{Tariff, Unbounded};

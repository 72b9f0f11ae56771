//! `config.json`: Bifrost's file, read strictly.
//!
//! - [`client`]: `client`, of the file or of an administrator
//! - [`env`]: `env.NAME` becomes the variable's value
//! - [`file`]: the file's shape
//! - [`load`]: from a path to checked settings, with errors that name file, line and field
//! - [`unsupported`]: what Bifrost documents and this gateway refuses by name
//! - [`settings`]: the checked form that the rest of the gateway uses

mod client;
mod env;
mod file;
mod governance;
mod load;
mod providers;
mod settings;
mod types;
mod unsupported;

pub(crate) use load::ConfigError;
pub(crate) use load::load;
pub(crate) use settings::{
    Admin, ApiBase, Client, Override, OverrideMatch, OverrideScope, PricePatch, Pricing, Provider, ProviderKey,
    Providers, RequestType, Settings,
};
pub(crate) use types::{AllowList, Weight};

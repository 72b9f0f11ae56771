//! `config.json`: Bifrost's file, read strictly.
//!
//! - [`client`]: `client`, of the file or of an administrator
//! - [`each`]: lists whose items are read one at a time
//! - [`env`]: `env.NAME` becomes the variable's value
//! - [`file`]: the file's shape
//! - [`governance_file`]: that of its section `governance`
//! - [`governance`]: its customers, teams, virtual keys, models and providers, checked
//! - [`meters`]: their budgets and limits, in every historic spelling
//! - [`overrides`]: an administrator's own prices
//! - [`position`]: where in the file something stands
//! - [`load`]: from a path to checked settings, with errors that name file, line and field
//! - [`once`]: what must not stand there twice
//! - [`place`]: where in the file something stands
//! - [`rate_limit`]: a rate limit, of the file or of an administrator
//! - [`standard`]: the providers that Bifrost knows by name
//! - [`providers`]: providers of the file, checked
//! - [`timeout`]: how long a setting may say that something takes
//! - [`schema`]: the JSON Schema of the file
//! - [`written`]: providers before they are checked
//! - [`unsupported`]: what Bifrost documents and this gateway refuses by name
//! - [`server`]: what is borne from callers' connections
//! - [`provider`], [`settings`]: the checked form that the rest of the gateway uses

mod client;
mod describe;
mod each;
mod env;
#[cfg(test)]
mod fields_tests;
mod file;
mod governance;
mod governance_file;
mod load;
mod meters;
#[cfg(test)]
mod objects_tests;
mod once;
mod overrides;
mod place;
mod position;
mod provider;
mod providers;
mod rate_limit;
mod schema;
mod server;
mod settings;
mod standard;
mod timeout;
mod types;
mod unsupported;
mod written;

pub(crate) use client::check as check_client;
pub(crate) use describe::{described, unknown_field};
pub(crate) use file::ClientFile;
pub(crate) use load::{ConfigError, Invalid, load, read_part};
pub(crate) use overrides::{NamedOverride, OverrideSpec, PatchText};
#[cfg(test)]
pub(crate) use provider::tests as provider_tests;
pub(crate) use provider::{ApiBase, Paths, Provider, ProviderKey, Providers};
pub(crate) use rate_limit::{Counter, RateLimitSpec};
pub(crate) use schema::{inline_schema, provider_key_schema, provider_schema, schema};
pub(crate) use server::ServerLimits;
pub(crate) use settings::{
    Admin, Client, Framework, Logging, Override, OverrideMatch, OverrideScope, Pricing, RequestType, Settings,
};
pub(crate) use types::{AllowList, ConfigId, Fields, Weight};
pub(crate) use written::{WrittenProvider, WrittenProviders};

//! The gateway as its callers see it: a real process in front of a mock provider.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod abroad;
mod attack;
mod budgets;
mod callers;
mod canary;
mod command_line;
mod comments;
mod compaction;
mod compatible;
mod connections;
mod databases;
mod dialects;
mod entities;
mod entities_of_the_file;
mod every_route;
mod failed_answers;
mod figures_agree;
mod fixtures;
// It needs `prlimit`.
#[cfg(target_os = "linux")]
mod full_disk;
mod generated_keys;
mod keys;
mod levels;
mod lifetimes;
mod limits;
mod lines;
mod logs;
mod management;
mod media;
mod messages;
mod metrics;
mod model_names;
mod nonsense;
mod older_schemas;
mod openapi;
mod own_words;
mod persistence;
mod pins;
mod prefixes;
mod pricing;
mod provider_api;
mod provider_errors;
mod providers;
mod refusals;
mod required_headers;
mod retries;
mod routing;
mod schema;
mod server_tools;
mod sessions;
mod settings;
mod sharing;
mod spellings;
mod startup;
mod statuses;
mod streams;
mod streams_at_once;
mod support;
mod tools;
mod traces;
mod unanswered;
mod unknown_fields;
mod windows;

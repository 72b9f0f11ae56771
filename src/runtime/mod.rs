//! Where a gateway lives: as a process, in a container, or somewhere else altogether.
//!
//! A runtime starts, stops, signals and cleans. It never judges, and it speaks HTTP only to ask
//! whether a gateway is ready. Whatever it started is gone when its [`Instance`] and its
//! [`Runtime`] are, be it by `discard`, by an error, by a panic or because a future was dropped.

mod absent;
mod api;
mod choose;
mod contained;
mod container;
pub mod docker;
mod error;
mod external;
mod folder;
mod group;
mod handle;
mod image;
pub mod install;
mod lease;
mod log;
mod memory;
mod port;
mod process;
pub mod python;
mod ready;
mod worker;

pub use absent::AbsentRuntime;
pub use api::{Instance, Kind, Login, ParseKindError, Runtime, Site, Start, Stopped};
pub use choose::{Setup, choose};
pub use container::ContainerRuntime;
pub use error::{RuntimeError, chain};
pub use external::{ExternalRuntime, without_userinfo};
pub use log::last_lines;
pub use process::ProcessRuntime;

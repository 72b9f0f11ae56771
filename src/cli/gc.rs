//! `probity gc`: removes what runs that were killed have left with the Docker daemon.

use super::{failed, printed};
use crate::{
    exit::Exit,
    report::style::count,
    runtime::{chain, docker},
};

/// Removes the containers of runs whose process is gone, and says how many there were.
pub(super) async fn gc() -> Exit {
    match docker::gc().await {
        Ok(removed) => printed(&format!("{} removed\n", count(removed, "container"))),
        Err(error) => failed(Exit::NotReady, &chain(&error)),
    }
}

//! The keys that a case has made at a gateway that somebody else runs. None of them stays there.

use std::{
    mem, process,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use reqwest::{Client, StatusCode};

use super::{admin::exchange, answer::shortened, send::client};
use crate::gateway::admin::AdminRequest;

/// Tells the cases of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The keys that a case has made, and the requests that remove them. Dropping it removes them too.
pub(super) struct MadeKeys {
    base_url: String,
    prefix: String,
    removals: Vec<(String, AdminRequest)>,
}

impl MadeKeys {
    /// None yet, at the gateway of this address.
    pub(super) fn at(base_url: String) -> Self {
        let prefix = format!("probity-{}-{}-", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { base_url, prefix, removals: Vec::new() }
    }

    /// What a key is called there: no name of the gateway's owner, nor of another run.
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A key was made that this request removes.
    pub(super) fn note(&mut self, name: String, removal: AdminRequest) {
        self.removals.push((name, removal));
    }

    /// Removes them all. One that cannot be removed is told.
    pub(super) async fn remove(&mut self) {
        let removals = mem::take(&mut self.removals);
        if removals.is_empty() {
            return;
        }
        match client() {
            Ok(client) => remove_all(&client, &self.base_url, removals).await,
            Err(error) => removals.iter().for_each(|(name, _)| stays(name, &error.to_string())),
        }
    }
}

async fn remove_all(client: &Client, base_url: &str, removals: Vec<(String, AdminRequest)>) {
    for (name, request) in removals {
        match exchange(client, base_url, &request).await {
            // The scenario may have deleted it.
            Ok((status, _)) if status.is_success() || status == StatusCode::NOT_FOUND => {}
            Ok((status, text)) => stays(&name, &format!("{}: {status} {}", request.words(), shortened(&text))),
            Err(why) => stays(&name, &why),
        }
    }
}

fn stays(name: &str, why: &str) {
    tracing::warn!("the virtual key {name} stays at the gateway, and must be removed by hand: {why}");
}

impl Drop for MadeKeys {
    /// The case was interrupted. A destructor cannot wait for an answer on the runtime that it runs on.
    fn drop(&mut self) {
        if self.removals.is_empty() {
            return;
        }
        let mut left = Self {
            base_url: mem::take(&mut self.base_url),
            prefix: String::new(),
            removals: mem::take(&mut self.removals),
        };
        let thread = thread::spawn(move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(left.remove()),
            Err(error) => mem::take(&mut left.removals).iter().for_each(|(name, _)| stays(name, &error.to_string())),
        });
        // A panic of the thread was told where it happened.
        let _ = thread.join();
    }
}

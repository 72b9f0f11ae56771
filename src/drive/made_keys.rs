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
    keys: Vec<MadeKey>,
}

/// A key that is at the gateway, or may be.
struct MadeKey {
    name: String,
    /// What removes it; nothing until the gateway has said what it calls the key.
    removal: Option<AdminRequest>,
}

impl MadeKeys {
    /// None yet, at the gateway of this address.
    pub(super) fn at(base_url: String) -> Self {
        let prefix = format!("probity-{}-{}-", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { base_url, prefix, keys: Vec::new() }
    }

    /// What a key is called there: no name of the gateway's owner, nor of another run.
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A key of this name is asked for. From now on it may be there, whatever becomes of the answer.
    pub(super) fn asked_for(&mut self, name: String) {
        self.keys.push(MadeKey { name, removal: None });
    }

    /// The gateway has refused to make the last one.
    pub(super) fn refused(&mut self) {
        self.keys.pop();
    }

    /// The last one was made, and this request removes it.
    pub(super) fn made(&mut self, removal: AdminRequest) {
        if let Some(key) = self.keys.last_mut() {
            key.removal = Some(removal);
        }
    }

    /// Removes them all. One that cannot be removed is told.
    pub(super) async fn remove(&mut self) {
        let keys = mem::take(&mut self.keys);
        if keys.is_empty() {
            return;
        }
        match client() {
            Ok(client) => remove_all(&client, &self.base_url, keys).await,
            Err(error) => keys.iter().for_each(|key| stays(&key.name, &error.to_string())),
        }
    }
}

async fn remove_all(client: &Client, base_url: &str, keys: Vec<MadeKey>) {
    for MadeKey { name, removal } in keys {
        let Some(request) = removal else {
            tracing::warn!(
                "the virtual key {name} may be at the gateway, and must be removed by hand if it is: it was asked for, \
                 and the answer did not come or did not name it"
            );
            continue;
        };
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
        if self.keys.is_empty() {
            return;
        }
        let mut left =
            Self { base_url: mem::take(&mut self.base_url), prefix: String::new(), keys: mem::take(&mut self.keys) };
        let thread = thread::spawn(move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(left.remove()),
            Err(error) => mem::take(&mut left.keys).iter().for_each(|key| stays(&key.name, &error.to_string())),
        });
        // A panic of the thread was told where it happened.
        let _ = thread.join();
    }
}

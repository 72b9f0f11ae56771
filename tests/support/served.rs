//! A reference gateway for clients that are no part of the runner.

use std::time::Duration;

use mock_upstream::{Ledger, Script, Upstream};
use probity::{
    drive::CaseWorld,
    runtime::{self, Instance, ProcessRuntime, Runtime, RuntimeError, Site},
};
use serde_json::{Value, json};

use super::{Bench, wait};

/// A reference gateway in front of an upstream. Both are gone when it is dropped.
pub struct Served {
    /// Where it is called.
    pub url: String,
    /// The value of the virtual key `agent`.
    pub key: String,
    /// Its administrator, as `name:password`, where it has one.
    pub admin: Option<String>,
    upstream: Upstream,
    running: Option<Running>,
}

enum Running {
    World(Box<CaseWorld>),
    Alone(Box<dyn Instance>),
}

impl Bench {
    /// Starts the reference gateway, in the runtime that this machine has, with a policy and these
    /// providers. What is enforced on its virtual key `agent` is the policy's, or else all of it.
    pub fn serve(&self, name: &str, policy: &Value, script: &Script) -> Served {
        let policy = serde_json::from_value(policy.clone()).unwrap();
        let world = wait(CaseWorld::start(self.target.start(1, name), &policy, script));
        let world = world.unwrap_or_else(|error| panic!("{}", error.error.with_log()));
        let admin = &world.world.admin;
        Served {
            url: world.instance.base_url(),
            key: world.keys["agent"].clone(),
            admin: Some(format!("{}:{}", admin.username, admin.password)),
            upstream: world.upstream.clone(),
            running: Some(Running::World(Box::new(world))),
        }
    }

    /// The same with a virtual key `agent` on which this is enforced.
    pub fn serve_agent(&self, name: &str, mut enforced: Value, script: &Script) -> Served {
        enforced["name"] = json!("agent");
        self.serve(name, &json!({ "virtual_keys": [enforced] }), script)
    }
}

impl Served {
    /// What was started apart from a policy.
    pub fn alone(instance: Box<dyn Instance>, key: &str, upstream: Upstream) -> Self {
        let running = Some(Running::Alone(instance));
        let url = running.as_ref().map(Running::url).unwrap_or_default();
        Self { url, key: key.to_owned(), admin: None, upstream, running }
    }

    /// What the providers saw, and charged.
    pub fn ledger(&self) -> Ledger {
        self.upstream.ledger()
    }

    /// How many calls reached a provider.
    pub fn calls(&self) -> usize {
        self.ledger().inference().count()
    }
}

impl Running {
    fn url(&self) -> String {
        match self {
            Self::World(world) => world.instance.base_url(),
            Self::Alone(instance) => instance.base_url(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        match self.running.take() {
            Some(Running::World(world)) => wait(world.discard()),
            Some(Running::Alone(instance)) => wait(instance.discard()),
            None => {}
        }
    }
}

/// Starts a gateway as a process, with this configuration in its folder and no more in its environment.
///
/// # Errors
/// It did not get ready.
pub async fn process(
    runtime: &ProcessRuntime,
    site: Site,
    command: Vec<String>,
    config: &Value,
    env: Vec<(String, String)>,
) -> Result<Box<dyn Instance>, RuntimeError> {
    let start = runtime::Start {
        command,
        env,
        files: vec![("config.json".to_owned(), config.to_string())],
        image: None,
        ready_path: "/health".to_owned(),
        ready_within: Duration::from_secs(10),
        stops_within: Duration::from_secs(10),
    };
    runtime.launch(site, start).await
}

/// The usual providers, edited.
pub fn edited(edit: impl FnOnce(&mut Value)) -> Script {
    let mut script = serde_json::to_value(Script::usual()).unwrap();
    edit(&mut script);
    serde_json::from_value(script).unwrap()
}

/// The usual providers, one of which this befalls.
pub fn fault(fault: &Value) -> Script {
    edited(|script| script["providers"]["primary"]["faults"] = json!([{ "fault": fault }]))
}

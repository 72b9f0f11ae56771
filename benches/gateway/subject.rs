//! What is measured: the mock alone, and gateways in front of a mock of their own.

use std::{net::SocketAddr, path::Path, sync::Arc};

use bytes::Bytes;
use indexmap::IndexMap;
use mock_upstream::Script;
use probity::{
    drive::{CaseWorld, Start},
    gateway::Gateway,
    policy::{Budget, Limit, Limits, Policy, VirtualKey},
    runtime::{Kind, Runtime, Setup, choose},
    scenario::call::RouteName,
};
use serde_json::json;

use crate::client::Call;

/// A gateway that runs, or the mock alone.
pub struct Subject {
    pub name: String,
    pub call: Call,
    pub stream: Call,
    world: Arc<CaseWorld>,
}

impl Subject {
    /// The mock behind this gateway, called without it.
    pub fn direct(&self) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], self.world.upstream.addr().port()));
        let credential = ("authorization", "Bearer any".to_owned());
        let to = |call: &Call| Call {
            address,
            path: format!("/primary{}", call.path),
            credential: credential.clone(),
            body: call.body.clone(),
        };
        Self {
            name: "the mock alone".to_owned(),
            call: to(&self.call),
            stream: to(&self.stream),
            world: Arc::clone(&self.world),
        }
    }

    /// Forgets what the mock has noted, so that its memory does not grow.
    pub fn forget(&self) {
        self.world.upstream.clear();
    }

    pub async fn peak_memory_mb(&self) -> Option<u64> {
        self.world.instance.peak_memory_kib().await.map(|kib| kib / 1024)
    }
}

/// The runtime for processes.
pub async fn processes() -> Arc<dyn Runtime> {
    let setup = Setup {
        run: uuid::Uuid::new_v4().simple().to_string(),
        out: Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway-bench"),
        executable: Some(env!("CARGO_BIN_EXE_probity").into()),
    };
    choose(Some(Kind::Process), &setup).await.unwrap().0
}

/// Starts the gateway of a folder, with a budget and both limits on one key, none of which is reached.
pub async fn start(runtime: &dyn Runtime, folder: &str, name: &str, settings: &[(&str, &str)]) -> Subject {
    let gateways = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateways");
    let settings: IndexMap<_, _> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let gateway = Gateway::load(&gateways, folder, &settings, |_| None).unwrap();
    let start = Start {
        gateway: &gateway,
        version: &gateway.manifest.version,
        runtime,
        installed: "",
        probity: Path::new(env!("CARGO_BIN_EXE_probity")),
        seed: 1,
        name,
    };
    let world = CaseWorld::start(start, &policy(), &Script::usual()).await;
    let world = world.unwrap_or_else(|error| panic!("{}", error.error.with_log()));
    let address = world.instance.base_url().trim_start_matches("http://").parse().unwrap();
    let call = |stream: bool| Call {
        address,
        path: gateway.manifest.routes[&RouteName::Chat].clone(),
        credential: ("x-bf-vk", world.keys["agent"].clone()),
        body: body(stream),
    };
    Subject { name: name.to_owned(), call: call(false), stream: call(true), world: Arc::new(world) }
}

fn policy() -> Policy {
    let hour = || "1h".parse().unwrap();
    let limit = || Some(Limit { max: 1_000_000_000, per: hour() });
    let key = VirtualKey {
        budgets: vec![Budget { limit: "$1000000".parse().unwrap(), reset: hour(), calendar: false }],
        limits: Limits { requests: limit(), tokens: limit() },
        ..VirtualKey::named("agent", &Policy::default())
    };
    Policy { virtual_keys: vec![key], ..Policy::default() }
}

/// A prompt of a hundred bytes, which are its hundred tokens.
pub fn body(stream: bool) -> Bytes {
    let message = json!({ "role": "user", "content": "p".repeat(100) });
    json!({ "model": "mock-1", "messages": [message], "max_tokens": 100, "stream": stream }).to_string().into()
}

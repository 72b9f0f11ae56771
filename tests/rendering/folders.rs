//! The folders of gateways, and a world to render them for.

use std::path::Path;

use indexmap::IndexMap;
use probity::gateway::{
    Gateway, World,
    render::{AdminCredentials, Price},
};

pub(crate) const GATEWAYS: [&str; 3] = ["reference", "bifrost", "litellm"];

pub(crate) fn gateway(name: &str) -> Gateway {
    Gateway::load(Path::new("gateways"), name, &IndexMap::new(), |_| None).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn world(gateway: &Gateway) -> World {
    let price = |model: &str| Price { model: model.into(), input: "0.0000025".into(), output: "0.00001".into() };
    World {
        version: gateway.manifest.version.clone(),
        host: "127.0.0.1".into(),
        port: 8080,
        data: "/data".into(),
        upstream: "http://127.0.0.1:9000".into(),
        admin: AdminCredentials { username: "admin".into(), password: "a-password".into(), basic: "YWRtaW4=".into() },
        upstream_keys: ["primary", "second"].map(|name| (name.into(), format!("up-{name}"))).into(),
        prices: vec![price("mock-1")],
        models: vec!["mock-1".into(), "mock-free".into()],
        probity: "/bin/probity".into(),
        installed: "/venv".into(),
        seed: 7,
        now: "2026-01-31T23:00:00Z".into(),
        settings: gateway.settings.clone(),
    }
}

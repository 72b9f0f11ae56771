//! `probity check`: lints everything, and starts nothing.

use std::{path::Path, sync::Arc};

use super::{failed, loaded, printed};
use crate::{
    exit::Exit,
    gateway::Gateway,
    report::style::count,
    run::{Target, plan},
    runtime::ProcessRuntime,
};

/// Checks configuration, scenarios and gateway folders.
pub(super) fn check(config: &Path) -> Exit {
    let loaded = match loaded::load(config) {
        Ok(loaded) => loaded,
        Err(why) => return failed(Exit::Usage, &why),
    };
    let runner = &loaded.config.runner;
    let mut wrong = 0;
    let names = Gateway::names(&runner.gateways);
    for name in &names {
        if let Err(why) = check_gateway(&loaded, name) {
            failed(Exit::Usage, &why);
            wrong += 1;
        }
    }
    for target in &runner.targets {
        let name = target.split('@').next().unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            failed(Exit::Usage, &super::target::no_such_gateway(&runner.gateways, name));
            wrong += 1;
        }
    }
    if wrong > 0 {
        return Exit::Usage;
    }
    let catalogue = &loaded.catalogue;
    printed(&format!(
        "{} for {}, {}: all in order\n",
        count(catalogue.entries.len(), "scenario"),
        count(catalogue.requirements.len(), "requirement"),
        count(names.len(), "gateway")
    ))
}

/// A gateway's folder can be read, and expresses every policy that applies to it.
fn check_gateway(loaded: &loaded::Loaded, name: &str) -> Result<(), String> {
    // A setting without a default need not be known to check what is written.
    let any = |_: &str| Some("any".to_owned());
    let gateway = Gateway::load(&loaded.config.runner.gateways, name, &indexmap::IndexMap::new(), any)
        .map_err(|error| super::drawn(*error))?;
    // Nothing is started in it.
    let runtime = ProcessRuntime::new(&loaded.config.runner.out).map_err(|error| error.to_string())?;
    let target = Target {
        version: gateway.manifest.version.clone(),
        gateway,
        runtime: Arc::new(runtime),
        why: String::new(),
        installed: String::new(),
        probity: std::path::PathBuf::new(),
        first_start: plan::FirstStart::new(),
    };
    let entries: Vec<_> = loaded.catalogue.entries.iter().collect();
    plan::plan(Arc::new(target), &entries, &loaded.config.eval, &|_| true)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

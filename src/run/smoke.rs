//! The first start of a target, with nothing to enforce: does it get ready at all, and how fast?

use super::plan::Target;
use crate::{
    drive::{CaseWorld, Start, StartError},
    policy::Policy,
    report::event::Fact,
};

/// Starts the target once, and stops it again.
///
/// # Errors
/// Why it does not get ready.
pub(super) async fn start(target: &Target, seed: u64) -> Result<Vec<Fact>, StartError> {
    let start = Start {
        gateway: &target.gateway,
        version: &target.version,
        runtime: &*target.runtime,
        installed: &target.installed,
        probity: &target.probity,
        seed,
        name: "first start",
    };
    let world = CaseWorld::start(start, &Policy::default(), &mock_upstream::Script::default()).await?;
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    let mut facts = vec![fact("ready after", format!("{} ms", world.instance.ready_millis().await))];
    if let Some(kib) = world.instance.peak_memory_kib().await {
        facts.push(fact("memory when ready", format!("{} MB", kib / 1024)));
    }
    world.discard().await;
    Ok(facts)
}

//! The first start of a target, with nothing to enforce: does it get ready at all, how fast, and is it
//! the version that was asked for?

use std::time::Duration;

use super::plan::Target;
use crate::{
    drive::{self, CaseWorld, StartError},
    policy::Policy,
    runtime::Kind,
    verdict::Fact,
};

/// How long a gateway may take to say which version it is.
const DEADLINE: Duration = Duration::from_secs(10);

/// Starts the target once, and stops it again; what that showed. A target that has been started is not
/// started again for this.
///
/// # Errors
/// Why it does not get ready, or which version it is instead.
pub(super) async fn start(target: &Target, seed: u64) -> Result<&Vec<Fact>, StartError> {
    target.first_start.get_or_try_init(|| first(target, seed)).await
}

async fn first(target: &Target, seed: u64) -> Result<Vec<Fact>, StartError> {
    let start = target.start(seed, "first start");
    let started = CaseWorld::start(start, &Policy::default(), &mock_upstream::Script::default()).await;
    let world = started.map_err(|not_started| not_started.error)?;
    let version = is_version(target, &world).await;
    let mut facts = Vec::new();
    // One that runs already says nothing about its start.
    if target.runtime.kind() != Kind::External {
        facts.push(fact("ready after", format!("{} ms", world.instance.ready_millis().await)));
    }
    if let Some(kib) = world.instance.peak_memory_kib().await {
        facts.push(fact("memory when ready", format!("{} MB", kib / 1024)));
    }
    world.discard().await;
    version.map(|()| facts)
}

fn fact(name: &str, value: String) -> Fact {
    Fact { name: name.to_owned(), value }
}

/// Asks the gateway which version it is, where its manifest says how.
async fn is_version(target: &Target, world: &CaseWorld) -> Result<(), StartError> {
    let Some(probe) = &target.gateway.manifest.version_probe else { return Ok(()) };
    let url = format!("{}{}", world.instance.base_url(), probe.get);
    let answer = async {
        let answer = drive::client()?.get(url).timeout(DEADLINE).send().await?;
        let status = answer.status();
        Ok((status, answer.text().await?))
    };
    let asked = format!("{} was asked for", target.name());
    let (status, body) = answer.await.map_err(|error: reqwest::Error| {
        StartError::Version(format!("{asked}, and GET {} is not answered: {}", probe.get, error.without_url()))
    })?;
    match probe.find(&body).filter(|_| status.is_success()) {
        Some(found) if found == target.version => Ok(()),
        Some(found) => {
            let name = &target.gateway.manifest.name;
            let what = format!("{asked}, and the gateway says that it is {name}@{found} (GET {})", probe.get);
            Err(StartError::Version(what))
        }
        None => {
            let what = format!("{asked}, and the gateway does not say which it is: GET {} answers {status}", probe.get);
            Err(StartError::Version(what))
        }
    }
}

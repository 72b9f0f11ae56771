//! The world of one case: an upstream, a gateway in front of it, and the credentials between them.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use indexmap::IndexMap;
use jiff::Timestamp;
use mock_upstream::{Script, Upstream};

use super::{
    admin::AdminClient,
    complete::{completed_script, with_routes},
    credentials::{credentials, given, upstream_keys, with_keys, with_values},
    made_keys::MadeKeys,
    observation::Problem,
    prices::sheet,
    secrets::Secrets,
    send::Size,
    start::{NotStarted, Start, StartError, command},
};
use crate::{
    gateway::{Gateway, World, render::Renderer},
    owner::Owner,
    policy::{Policy, without_provider},
    runtime::{self, Instance, Kind, RuntimeError},
};

/// The world of one case.
pub struct CaseWorld {
    /// The mock providers.
    pub upstream: Upstream,
    /// The gateway.
    pub instance: Box<dyn Instance>,
    /// What the templates see.
    pub world: World,
    /// What the gateway was asked to enforce, with every key's value.
    pub policy: Policy,
    /// The value of each virtual key, by name.
    pub keys: HashMap<String, String>,
    /// The gateway's own name of each owner of caps that it named itself; the others have that of their
    /// configuration.
    pub ids: HashMap<Owner, String>,
    /// How far its clock was moved.
    pub advanced: Duration,
    /// The credentials, which appear in no log or report.
    pub secrets: Secrets,
    /// The files that the gateway was started with last.
    pub files: Vec<(String, String)>,
    /// The keys that were made at a gateway that somebody else runs; nothing for one of ours.
    pub(super) made: Option<MadeKeys>,
}

impl CaseWorld {
    /// Starts an upstream, and a gateway in front of it.
    ///
    /// # Errors
    /// When either does not start; nothing is left behind.
    pub async fn start(start: Start<'_>, policy: &Policy, script: &Script) -> Result<Self, Box<NotStarted>> {
        // Someone else may take a port between its choice and its use.
        let mut tries = 3;
        loop {
            tries -= 1;
            let mut files = Vec::new();
            match Self::start_once(start, policy, script, &mut files).await {
                Err(StartError::Runtime(RuntimeError::PortInUse { .. })) if tries > 0 => {}
                result => return result.map_err(|error| Box::new(NotStarted { error, files })),
            }
        }
    }

    /// `shown` becomes the rendered files without credentials.
    async fn start_once(
        start: Start<'_>,
        policy: &Policy,
        script: &Script,
        shown: &mut Vec<(String, String)>,
    ) -> Result<Self, StartError> {
        let Start { gateway, runtime, .. } = start;
        let launch = &gateway.manifest.launch;
        let script = completed_script(script, policy);
        let upstream_keys = upstream_keys(start, policy);
        let address = SocketAddr::new(runtime.upstream_bind(), runtime.upstream_port());
        let upstream = Upstream::start(address, with_keys(script.clone(), &upstream_keys)).await?;
        let site = runtime.site(launch.container.as_ref()).await?;
        let mut secrets = Secrets::default();
        let world = world_of(start, &site, upstream.addr().port(), upstream_keys, &script, &mut secrets);
        let is_ours = runtime.kind() != Kind::External;
        let policy = if is_ours { with_values(start, policy, &mut secrets) } else { with_routes(policy) };
        let renderer = Renderer::new(gateway, &world);
        let files = if is_ours { renderer.files(&policy)? } else { Vec::new() };
        *shown = files.iter().map(|(name, text)| (name.clone(), secrets.redact(text))).collect();
        let launched = runtime.launch(site, command(start, &renderer, &policy, files.clone())?).await;
        let instance = launched.map_err(|error| redacted(error, &secrets))?;
        let keys = policy.virtual_keys.iter().filter_map(|key| Some((key.name.clone(), key.value.clone()?))).collect();
        let made = (!is_ours).then(|| MadeKeys::at(instance.base_url()));
        let (ids, advanced) = (HashMap::new(), Duration::ZERO);
        let mut case = Self { upstream, instance, world, policy, keys, ids, advanced, secrets, files, made };
        if !is_ours && let Err(error) = case.make_keys(gateway).await {
            case.discard().await;
            return Err(error);
        }
        Ok(case)
    }

    /// Makes the policy's keys at a gateway that runs already.
    async fn make_keys(&mut self, gateway: &Gateway) -> Result<(), StartError> {
        let client = super::client()?;
        let admin = AdminClient { client: &client, gateway };
        for key in self.policy.virtual_keys.clone() {
            let made = admin.create(self, &key).await;
            made.map_err(|problem| StartError::Keys(Problem { what: self.secrets.redact(&problem.what), ..problem }))?;
        }
        Ok(())
    }

    /// What a key of this scenario is called at the gateway.
    #[must_use]
    pub fn name_of(&self, key: &str) -> String {
        self.made.as_ref().map_or_else(|| key.to_owned(), |made| made.name_of(key))
    }

    /// A key of this scenario is asked for: it may be at the gateway from now on.
    pub(super) fn asked_for_key(&mut self, key: &str) {
        let name = self.name_of(key);
        self.made.iter_mut().for_each(|made| made.asked_for(name.clone()));
    }

    /// The gateway has refused to make the key that was asked for last.
    pub(super) fn refused_key(&mut self) {
        self.made.iter_mut().for_each(MadeKeys::refused);
    }

    /// The size of the calls that a model answers.
    #[must_use]
    pub fn size(&self, model: &str) -> Size {
        let model = without_provider(model, &self.policy);
        let usage = self.upstream.script().models.get(model).map(|model| model.usage).unwrap_or_default();
        Size { input: usage.input, output: usage.output }
    }

    /// The last of the ledger's entries so far, by its number; 0 if there is none.
    pub(super) fn last_entry(&self) -> u64 {
        self.upstream.ledger().entries.last().map_or(0, |entry| entry.seq)
    }

    /// Stops everything.
    pub async fn discard(mut self) {
        if let Some(made) = &mut self.made {
            made.remove().await;
        }
        self.instance.discard().await;
        self.upstream.stop().await;
    }
}

/// A gateway that cannot start likes to show what it was given.
fn redacted(mut error: RuntimeError, secrets: &Secrets) -> RuntimeError {
    if let RuntimeError::PortInUse { log, .. }
    | RuntimeError::ExitedAtStart { log, .. }
    | RuntimeError::NeverReady { log, .. } = &mut error
    {
        *log = secrets.redact(log);
    }
    error
}

fn world_of(
    start: Start<'_>,
    site: &runtime::Site,
    upstream_port: u16,
    upstream_keys: IndexMap<String, String>,
    script: &Script,
    secrets: &mut Secrets,
) -> World {
    let admin = start.runtime.login().map_or_else(|| credentials(start), given);
    secrets.plant(&admin.password, "admin password");
    secrets.plant(&admin.basic, "admin credentials");
    for (name, key) in &upstream_keys {
        secrets.plant(key, &format!("upstream key of {name}"));
    }
    for (name, value) in start.gateway.given_settings() {
        secrets.plant(value, &format!("setting {name}"));
    }
    World {
        version: start.version.to_owned(),
        host: site.host.clone(),
        port: site.port,
        data: site.data.clone(),
        upstream: format!("http://{}:{upstream_port}", site.upstream_host),
        admin,
        upstream_keys,
        prices: sheet(script),
        models: script.models.keys().cloned().collect(),
        probity: start.probity.display().to_string(),
        installed: start.installed.to_owned(),
        seed: start.seed,
        now: Timestamp::now().to_string(),
        settings: start.gateway.settings.clone(),
    }
}

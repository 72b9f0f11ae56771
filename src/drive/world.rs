//! The world of one case: an upstream, a gateway in front of it, and the credentials between them.

use std::{collections::HashMap, net::SocketAddr, path::Path, time::Duration};

use indexmap::IndexMap;
use jiff::Timestamp;
use mock_upstream::{Fault, Model, Script, Upstream};
use uuid::Uuid;

use super::{admin::AdminClient, made_keys::MadeKeys, observation::Problem, secrets::Secrets};
use crate::{
    gateway::{
        Gateway, RenderError, World,
        render::{AdminCredentials, Price as SheetPrice, Renderer},
    },
    owner::Owner,
    policy::{Policy, Provider, Route, VirtualKey, without_provider},
    runtime::{self, Instance, Kind, Login, Runtime, RuntimeError},
    verdict::Blame,
};

/// What a case needs to start.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// The gateway's folder.
    pub gateway: &'a Gateway,
    /// Its version.
    pub version: &'a str,
    /// How it is started.
    pub runtime: &'a dyn Runtime,
    /// The folder of tools that were installed for it.
    pub installed: &'a str,
    /// The executable that carries the reference gateway.
    pub probity: &'a Path,
    /// From which every random choice follows.
    pub seed: u64,
    /// What the case is called, for what is made from the seed.
    pub name: &'a str,
}

/// Why a case's world could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policy cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The gateway did not start.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The mock did not start.
    #[error("the upstream could not be started: {0}")]
    Upstream(#[from] mock_upstream::StartError),
    /// The scenario's keys could not be made at a gateway that somebody else runs.
    #[error("the scenario's virtual keys could not be made: {}", .0.what)]
    Keys(Problem),
    /// The gateway is another version than the one that was asked for, or does not say which it is.
    #[error("{0}")]
    Version(String),
    /// The HTTP client cannot be made.
    #[error("an HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The scenario's upstream script is wrong.
    #[error("the upstream's script is wrong: {0}")]
    Script(#[from] mock_upstream::ScriptError),
    /// The gateway is not known to run in this runtime.
    #[error("{gateway} has no `launch.{runtime}` in its manifest")]
    NoLaunch {
        /// The gateway.
        gateway: String,
        /// The runtime.
        runtime: String,
    },
}

impl StartError {
    /// Who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Runtime(RuntimeError::ExitedAtStart { .. } | RuntimeError::NeverReady { .. }) => Blame::Gateway,
            Self::Keys(problem) => problem.blame,
            Self::Render(_) | Self::Script(_) => Blame::Scenario,
            Self::Runtime(_) | Self::Upstream(_) | Self::Version(_) | Self::Client(_) | Self::NoLaunch { .. } => {
                Blame::Environment
            }
        }
    }

    /// The last lines that the gateway wrote.
    #[must_use]
    pub fn log_tail(&self) -> Option<&str> {
        match self {
            Self::Runtime(error) => error.log_tail(),
            _ => None,
        }
    }

    /// The error, with the last lines that the gateway wrote.
    #[must_use]
    pub fn with_log(&self) -> String {
        let log = self.log_tail();
        let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
        let mut text = self.to_string();
        for cause in causes.map(ToString::to_string).filter(|cause| !self.to_string().contains(cause)) {
            text = format!("{text}: {cause}");
        }
        // On lines of their own: a summary shows the first line only.
        log.map_or(text.clone(), |log| format!("{text}\nits last lines:\n{log}"))
    }
}

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

/// A case's world that could not be made, and what is known of it all the same.
#[derive(Debug)]
pub struct NotStarted {
    /// Why.
    pub error: StartError,
    /// The files that the gateway was to start with, without credentials.
    pub files: Vec<(String, String)>,
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

    /// The size of the calls that a model answers.
    #[must_use]
    pub fn size(&self, model: &str) -> super::send::Size {
        let model = without_provider(model, &self.policy);
        let usage = self.upstream.script().models.get(model).map(|model| model.usage).unwrap_or_default();
        super::send::Size { input: usage.input, output: usage.output }
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

/// The script with what goes without saying: the usual model, and every provider of the policy.
#[must_use]
pub fn completed_script(script: &Script, policy: &Policy) -> Script {
    let mut script = script.clone();
    for provider in &policy.providers {
        script.providers.entry(provider.name.clone()).or_default();
    }
    for (name, model) in Script::usual().models {
        script.models.entry(name).or_insert(model);
    }
    script
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

/// The keys of each provider, made for this run.
fn upstream_keys(start: Start<'_>, policy: &Policy) -> IndexMap<String, String> {
    let key = |name: String| {
        let key = format!("up-{}", made(start, &format!("upstream key {name}")));
        (name, key)
    };
    policy.providers.iter().flat_map(Provider::key_names).map(key).collect()
}

/// What stands in an error's message of a script for the key of the provider.
const ITS_KEY: &str = "<key>";

/// The script with the values of the keys that its faults name, and of the one that its errors tell.
#[must_use]
pub(super) fn with_keys(mut script: Script, upstream_keys: &IndexMap<String, String>) -> Script {
    for (provider, behaviour) in &mut script.providers {
        for rule in &mut behaviour.faults {
            let named = rule.key.as_ref().and_then(|key| upstream_keys.get(&format!("{provider}/{key}")));
            rule.key = named.or(rule.key.as_ref()).cloned();
            if let Some(Fault::Status { message: Some(message), .. }) = &mut rule.fault {
                let own = upstream_keys.get(provider).map_or("", String::as_str);
                *message = message.replace(ITS_KEY, own);
            }
        }
    }
    script
}

/// The price of every model that has one, as a price sheet gives it.
#[must_use]
pub fn sheet(script: &Script) -> Vec<SheetPrice> {
    script.models.iter().filter_map(|(name, model)| sheet_price(name, model)).collect()
}

fn sheet_price(name: &str, model: &Model) -> Option<SheetPrice> {
    let million = rust_decimal::Decimal::from(1_000_000);
    let per_token = |usd: mock_upstream::Usd| (usd.decimal() / million).normalize().to_string();
    let price = model.price.as_ref()?;
    Some(SheetPrice { model: name.to_owned(), input: per_token(price.input), output: per_token(price.output) })
}

/// A value that follows from the seed, the case and what it is for.
fn made(start: Start<'_>, what: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{} {} {what}", start.seed, start.name).as_bytes())
}

fn credentials(start: Start<'_>) -> AdminCredentials {
    // Upper case, lower case, a digit and a sign: some gateways refuse a simpler one.
    let password = format!("Pb1!{}", made(start, "admin password").simple());
    given(&Login { username: "probity".to_owned(), password })
}

fn given(login: &Login) -> AdminCredentials {
    use base64::Engine as _;
    let Login { username, password } = login.clone();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    AdminCredentials { username, password, basic }
}

/// The policy with every key's value, and the providers that each key may use in order.
fn with_values(start: Start<'_>, policy: &Policy, secrets: &mut Secrets) -> Policy {
    let mut policy = policy.clone();
    let everywhere: Vec<_> = policy.providers.iter().map(|provider| provider.name.clone()).collect();
    for key in &mut policy.virtual_keys {
        let prefix = &start.gateway.manifest.keys.prefix;
        complete_key(key, &everywhere, |name| format!("{prefix}{}", made(start, &format!("virtual key {name}"))));
        secrets.plant(key.value.as_deref().unwrap_or_default(), &format!("virtual key {}", key.name));
    }
    policy
}

/// The policy with the providers that each key may use in order; the gateway makes the keys' values.
fn with_routes(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    let everywhere: Vec<_> = policy.providers.iter().map(|provider| provider.name.clone()).collect();
    policy.virtual_keys.iter_mut().for_each(|key| complete_routes(key, &everywhere));
    policy
}

/// Fills in what a scenario leaves open of a key: its value, and its providers in order.
pub fn complete_key(key: &mut VirtualKey, everywhere: &[String], value: impl FnOnce(&str) -> String) {
    key.value.get_or_insert_with(|| value(&key.name));
    complete_routes(key, everywhere);
}

/// Fills in the providers of a key in order: every one of the policy if the scenario leaves them open.
pub fn complete_routes(key: &mut VirtualKey, everywhere: &[String]) {
    if key.providers.is_empty() {
        key.providers = everywhere.iter().map(|name| Route::to(name)).collect();
    }
    for (index, route) in key.providers.iter_mut().enumerate() {
        route.weight.get_or_insert(if index == 0 { 100 } else { 0 });
    }
}

fn command(
    start: Start<'_>,
    renderer: &Renderer<'_>,
    policy: &Policy,
    files: Vec<(String, String)>,
) -> Result<runtime::Start, StartError> {
    let manifest = &start.gateway.manifest;
    let beside = minijinja::context! { policy => minijinja::value::Serde(policy.clone()) };
    let no_launch =
        || StartError::NoLaunch { gateway: manifest.name.clone(), runtime: start.runtime.kind().to_string() };
    let (words, variables, image) = match start.runtime.kind() {
        Kind::Process => {
            let launch = manifest.launch.process.as_ref().ok_or_else(no_launch)?;
            (&launch.command, &launch.env, None)
        }
        Kind::Container => {
            let launch = manifest.launch.container.as_ref().ok_or_else(no_launch)?;
            let image = renderer.text("gateway.yaml launch.container.image", &launch.image, &beside)?;
            (&launch.command, &launch.env, Some(image))
        }
        Kind::External => (&Vec::new(), &IndexMap::new(), None),
    };
    let text = |text: &String| renderer.text("gateway.yaml launch", text, &beside);
    Ok(runtime::Start {
        command: words.iter().map(text).collect::<Result<_, _>>()?,
        env: variables
            .iter()
            .map(|(name, value)| Ok((name.clone(), text(value)?)))
            .collect::<Result<_, RenderError>>()?,
        files,
        image,
        ready_path: manifest.ready.get.clone(),
        ready_within: manifest.ready.within.duration(),
        stops_within: manifest.ready.stops_within.duration(),
    })
}

//! From a path to checked settings. Every error names the file and the place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use super::describe::{describe, described};
use super::each::Misshapen;
use super::env;
use super::file::{AuthFile, ConfigFile, OverrideFile, PluginFile, PricingFile, StoreFile};
use super::overrides::{NamedOverride, OverrideSpec};
use super::position::{Position, path_of_byte};
use super::provider::Providers;
use super::settings::{Admin, Pricing, Settings};
use super::types::Fields;
use super::written::{WrittenProvider, WrittenProviders};
use super::{client, governance, providers, server};

/// The file's name in the application folder.
const FILE: &str = "config.json";
/// The environment variable with the encryption key, if the file has none.
const ENCRYPTION_KEY: &str = "BIFROST_ENCRYPTION_KEY";
const SYNC_INTERVAL_SECONDS: u64 = 86_400;

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Read(PathBuf, std::io::Error),
    /// The file is no JSON, has another shape than a configuration, names a variable that has
    /// no value, or a value does not make sense.
    #[error("{}{}: {problem}", .file.display(), .position.map_or_else(String::new, |position| format!(":{position}")))]
    Wrong {
        /// The configuration file.
        file: PathBuf,
        /// Where in it, unless it cannot be read any more.
        position: Option<Position>,
        /// The field's path, as in `governance.budgets[0].max_limit`, and what is wrong with it.
        problem: Invalid,
    },
}

impl ConfigError {
    /// What is wrong with the configuration in `app_dir`, with its place there.
    pub(crate) fn located(app_dir: &Path, problem: Invalid) -> ConfigError {
        let file = app_dir.join(FILE);
        // While all was well nobody needed the text, which may be long.
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        ConfigError::Wrong { position: Position::of_path(&text, &problem.at), file, problem }
    }
}

/// A value that does not make sense, before it is known in which file it stands.
#[derive(Debug, thiserror::Error)]
#[error("{at}{}{problem}", if at.is_empty() { "" } else { ": " })]
pub(crate) struct Invalid {
    pub(crate) at: String,
    pub(crate) problem: String,
}

impl Invalid {
    pub(crate) fn new(at: impl Into<String>, problem: impl Into<String>) -> Invalid {
        Invalid { at: at.into(), problem: problem.into() }
    }

    pub(super) fn unsupported(at: impl Into<String>) -> Invalid {
        Invalid::new(at, "is not supported by the reference gateway")
    }
}

/// What is wrong with a section: the shape of an item, or a value.
#[derive(Debug)]
pub(super) enum Wrong {
    Shape(Misshapen),
    Value(Invalid),
}

impl From<Misshapen> for Wrong {
    fn from(misshapen: Misshapen) -> Wrong {
        Wrong::Shape(misshapen)
    }
}

impl From<Invalid> for Wrong {
    fn from(invalid: Invalid) -> Wrong {
        Wrong::Value(invalid)
    }
}

/// Reads and checks `config.json` in `app_dir`, with `lookup` for variables.
pub(crate) fn load(app_dir: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let path = app_dir.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::Read(path, error))?;
    let as_written = written_providers(&text);
    let resolved = env::resolve(text, &lookup).map_err(|error| {
        // While all was well nobody needed the text, which may be long.
        let text = std::fs::read_to_string(app_dir.join(FILE)).unwrap_or_default();
        let at = path_of_byte(&text, error.at).unwrap_or_default();
        let position = Some(Position::of_byte(&text, error.at));
        ConfigError::Wrong { file: app_dir.join(FILE), position, problem: Invalid::new(at, error.to_string()) }
    })?;
    let reading = Reading { app_dir, resolved: &resolved };
    let file = reading.parse()?;
    let passphrase = file.encryption_key.clone().or_else(|| lookup(ENCRYPTION_KEY).filter(|key| !key.is_empty()));
    let settings = check(file, app_dir).map_err(|wrong| reading.error(wrong))?;
    Ok(Settings { written_providers: as_written, encryption_key: passphrase, ..settings })
}

/// The providers with their references to variables, if the file turns out to be right. In
/// a file that does not say version 2 an empty list of models allows all, which is written out.
fn written_providers(text: &str) -> WrittenProviders {
    #[derive(Deserialize)]
    struct Section {
        version: Option<u64>,
        #[serde(default)]
        providers: IndexMap<String, Fields>,
    }
    let section: Option<Section> = serde_json::from_str(text).ok();
    let (version, providers) = section.map(|section| (section.version, section.providers)).unwrap_or_default();
    let written = providers.into_iter().map(|(name, fields)| {
        let mut provider = WrittenProvider::new(fields);
        for key in provider.keys.values_mut().filter(|_| version != Some(2)) {
            if key.get("models").is_some_and(|models| *models == json!([])) {
                key.insert("models".to_owned(), json!(["*"]));
            }
        }
        (name, provider)
    });
    written.collect()
}

/// A file whose variables are filled in.
struct Reading<'a> {
    app_dir: &'a Path,
    resolved: &'a env::Resolved,
}

impl<'a> Reading<'a> {
    fn parse(&self) -> Result<ConfigFile<'a>, ConfigError> {
        let text = self.resolved.text.as_str();
        // Where each value stands is noted only for a message: it takes longer than the reading.
        if let Ok(file) = serde_json::from_str(text) {
            return Ok(file);
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let file = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let problem = described("", &error);
            if error.inner().is_data() { self.located(problem) } else { self.no_json(problem) }
        })?;
        json.end().map_err(|_| self.no_json(Invalid::new("", "there is text behind the configuration")))?;
        Ok(file)
    }

    fn error(&self, wrong: Wrong) -> ConfigError {
        match wrong {
            Wrong::Shape(Misshapen { at, error }) => self.located(describe(&at, &error)),
            Wrong::Value(invalid) => self.located(invalid),
        }
    }

    fn located(&self, invalid: Invalid) -> ConfigError {
        self.hidden(ConfigError::located(self.app_dir, invalid))
    }

    /// The file is no JSON, which shows without its variables filled in too.
    fn no_json(&self, problem: Invalid) -> ConfigError {
        let file = self.app_dir.join(FILE);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let error = serde_json::from_str::<IgnoredAny>(&text).err();
        let position = error.map(|error| Position::of_error(&text, &error));
        self.hidden(ConfigError::Wrong { file, position, problem })
    }

    /// The same without any value of a variable.
    fn hidden(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Wrong { file, position, problem: Invalid { at, problem } } => {
                let [at, problem] = [at, problem].map(|text| self.resolved.hide_values(&text));
                ConfigError::Wrong { file, position, problem: Invalid { at, problem } }
            }
            other @ ConfigError::Read(..) => other,
        }
    }
}

/// Reads a part of the configuration that an administrator wrote: the shape of the file at
/// `place`, and as strict.
pub(crate) fn read_part<T: DeserializeOwned>(place: &str, text: &str) -> Result<T, Invalid> {
    let mut json = serde_json::Deserializer::from_str(text);
    let part = serde_path_to_error::deserialize(&mut json).map_err(|error| described(place, &error))?;
    json.end().map_err(|_| Invalid::new(place, "there is text behind it"))?;
    Ok(part)
}

fn check(file: ConfigFile<'_>, app_dir: &Path) -> Result<Settings, Wrong> {
    let lists_v1 = match file.version {
        None | Some(2) => false,
        Some(1) => true,
        Some(other) => {
            return Err(Invalid::new("version", format!("{other} is neither 1 nor 2")).into());
        }
    };
    if file.encryption_key.as_deref() == Some("") {
        return Err(Invalid::new("encryption_key", "is empty").into());
    }
    let switch = plugins(file.plugins)?;
    let database = database(file.config_store, app_dir)?;
    let logs = logs(file.logs_store, app_dir)?;
    let mut governance = file.governance;
    let admin = match (file.auth_config, governance.auth_config.take()) {
        (Some(_), Some(_)) => {
            return Err(Invalid::new("auth_config", "stands beside governance.auth_config").into());
        }
        (Some(auth), None) => administrator("auth_config", auth)?,
        (None, auth) => auth.map_or(Ok(None), |auth| administrator("governance.auth_config", auth))?,
    };
    // Nobody writes a key to serve nothing: up to 1.4 an empty list of models meant all.
    let providers = providers::check(file.providers, file.version != Some(2))?;
    let overrides = pricing_overrides(std::mem::take(&mut governance.pricing_overrides), &providers)?;
    let declared = governance::check(governance, &providers, lists_v1)?;
    let mut client = file.client;
    client.one_word_for_mandatory(switch);
    Ok(Settings {
        server: server::check(&file.server)?,
        client: client::check(&client, "client")?,
        providers,
        written_providers: WrittenProviders::default(),
        encryption_key: None,
        admin,
        pricing: pricing(file.framework.pricing, overrides)?,
        declared,
        database,
        logs,
        durability: client.durability(),
    })
}

/// Whether the governance plugin makes the key mandatory.
fn plugins(plugins: Vec<PluginFile>) -> Result<bool, Invalid> {
    let mut mandatory = false;
    for (index, plugin) in plugins.into_iter().enumerate() {
        let at = format!("plugins[{index}]");
        if plugin.name != "governance" {
            return Err(Invalid::unsupported(format!("{at}.name: the plugin `{}`", plugin.name)));
        }
        if !plugin.enabled {
            return Err(Invalid::new(format!("{at}.enabled"), "governance cannot be switched off"));
        }
        mandatory |= plugin.config.is_some_and(|config| config.is_vk_mandatory == Some(true));
    }
    Ok(mandatory)
}

fn database(store: Option<StoreFile>, app_dir: &Path) -> Result<PathBuf, Invalid> {
    let Some(store) = store else {
        return Ok(app_dir.join("config.db"));
    };
    if !store.enabled {
        return Err(Invalid::new("config_store.enabled", "spend cannot be kept without a store"));
    }
    sqlite_path("config_store", store, app_dir, "config.db")
}

/// The log of requests; without a section it is where Bifrost keeps it.
fn logs(store: Option<StoreFile>, app_dir: &Path) -> Result<Option<PathBuf>, Invalid> {
    match store {
        None => Ok(Some(app_dir.join("logs.db"))),
        Some(store) if !store.enabled => Ok(None),
        Some(store) => sqlite_path("logs_store", store, app_dir, "logs.db").map(Some),
    }
}

fn sqlite_path(at: &str, store: StoreFile, app_dir: &Path, name: &str) -> Result<PathBuf, Invalid> {
    match store.kind.as_deref() {
        None | Some("sqlite") => {}
        Some(other) => return Err(Invalid::unsupported(format!("{at}.type: `{other}`"))),
    }
    let path = store.config.and_then(|config| config.path);
    Ok(app_dir.join(path.as_deref().unwrap_or(name)))
}

fn administrator(at: &str, auth: AuthFile) -> Result<Option<Admin>, Invalid> {
    if auth.disable_auth_on_inference == Some(false) {
        let problem = "inference asks for a virtual key and never for the administrator; write true, or leave it out";
        return Err(Invalid::new(format!("{at}.disable_auth_on_inference"), problem));
    }
    if !auth.is_enabled {
        return Ok(None);
    }
    let filled = |field: &str, value: Option<String>| {
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Invalid::new(format!("{at}.{field}"), "is missing or empty"))
    };
    Ok(Some(Admin {
        username: filled("admin_username", auth.admin_username)?,
        password: filled("admin_password", auth.admin_password)?,
    }))
}

fn pricing(file: PricingFile, overrides: Vec<NamedOverride>) -> Result<Pricing, Invalid> {
    for (field, url) in [("pricing_url", &file.pricing_url), ("model_parameters_url", &file.model_parameters_url)] {
        let known = |url: &String| ["file://", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        if url.as_ref().is_some_and(|url| !known(url)) {
            return Err(Invalid::new(
                format!("framework.pricing.{field}"),
                "must begin with file://, http:// or https://",
            ));
        }
    }
    if file.pricing_sync_interval == Some(0) {
        return Err(Invalid::new("framework.pricing.pricing_sync_interval", "must be above 0 (seconds)"));
    }
    Ok(Pricing {
        sheet_url: file.pricing_url,
        parameters_url: file.model_parameters_url,
        sync_interval: Duration::from_secs(file.pricing_sync_interval.unwrap_or(SYNC_INTERVAL_SECONDS)),
        overrides,
    })
}

/// The overrides of the file, of which no two may be for the same.
fn pricing_overrides(files: Vec<OverrideFile>, providers: &Providers) -> Result<Vec<NamedOverride>, Invalid> {
    let mut overrides: Vec<NamedOverride> = Vec::with_capacity(files.len());
    for (index, file) in files.into_iter().enumerate() {
        let at = format!("governance.pricing_overrides[{index}]");
        let known = pricing_override(&at, file, providers)?;
        if overrides.iter().any(|other| other.id == known.id) {
            return Err(Invalid::new(format!("{at}.id"), format!("`{}` stands there twice", known.id)));
        }
        if let Some(other) = overrides.iter().find(|other| other.checked.clashes_with(&known.checked)) {
            return Err(Invalid::new(at, format!("is for the same scope, pattern and request as `{}`", other.id)));
        }
        overrides.push(known);
    }
    Ok(overrides)
}

/// An override of the file, where a provider's key may be named and the patch is a text.
fn pricing_override(at: &str, file: OverrideFile, providers: &Providers) -> Result<NamedOverride, Invalid> {
    let provider_key_id = match (file.provider_key_id, file.provider_key_name) {
        (Some(_), Some(_)) => {
            return Err(Invalid::new(format!("{at}.provider_key_name"), "stands beside `provider_key_id`"));
        }
        (id, name) => id.or(name),
    };
    let (field, patch) = match (file.pricing_patch, file.patch) {
        (Some(patch), None) => ("pricing_patch", patch),
        (None, Some(patch)) => ("patch", patch),
        _ => return Err(Invalid::new(at, "has either `pricing_patch` or `patch`")),
    };
    let spec = OverrideSpec {
        name: file.name.unwrap_or_default(),
        scope_kind: file.scope_kind,
        virtual_key_id: file.virtual_key_id,
        provider_id: file.provider_id,
        provider_key_id,
        match_type: file.match_type,
        pattern: file.pattern,
        request_types: file.request_types,
        patch,
    };
    let checked = spec.check(at, providers).map_err(|invalid| {
        let patch = format!("{at}.patch");
        let place = invalid.at.strip_prefix(&patch).map(|rest| format!("{at}.{field}{rest}"));
        Invalid { at: place.unwrap_or(invalid.at), problem: invalid.problem }
    })?;
    let id = file.id.map_or_else(|| spec.own_id(), |id| id.0);
    Ok(NamedOverride { id, spec, checked })
}

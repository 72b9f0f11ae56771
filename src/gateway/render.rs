//! From a policy to a gateway's native files: minijinja templates that see the policy and the world.
//!
//! A template that leaves a part of the policy unread would drop it in silence, so every read is
//! noted, and a part that no template read is an error that names it. The same goes for what an
//! operation of the management API is asked to set.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use indexmap::IndexMap;
use jiff::Timestamp;
use minijinja::{
    AutoEscape, Environment, UndefinedBehavior, Value,
    value::{Enumerator, Object, ObjectRepr, Serde},
};
use serde::Serialize;

use super::load::Gateway;
use crate::{money::Usd, period::Period, policy::Policy, scenario::call::Call};

/// What a template sees beside the policy.
#[derive(Clone, Debug, Serialize)]
pub struct World {
    /// The gateway's version.
    pub version: String,
    /// The address that it listens on.
    pub host: String,
    /// The port that it listens on.
    pub port: u16,
    /// Its data folder, as it sees it.
    pub data: String,
    /// The upstream's address as the gateway sees it, without a slash at its end.
    pub upstream: String,
    /// The credentials of its management API, made for this run.
    pub admin: AdminCredentials,
    /// The key that the gateway sends to each provider, by the provider's name.
    pub upstream_keys: IndexMap<String, String>,
    /// Every model with a price.
    pub prices: Vec<Price>,
    /// The models that the upstream serves.
    pub models: Vec<String>,
    /// The running executable.
    pub probity: String,
    /// The folder of tools that were installed for it.
    pub installed: String,
    /// The seed of the case.
    pub seed: u64,
    /// When it is started, as RFC 3339 has it.
    pub now: String,
    /// What `--set` or the environment says.
    pub settings: IndexMap<String, String>,
}

/// The credentials of a management API, made for this run.
#[derive(Clone, Debug, Serialize)]
pub struct AdminCredentials {
    /// The user's name.
    pub username: String,
    /// The password, which also serves as a key or token.
    pub password: String,
    /// `username:password` in base64 (RFC 7617).
    pub basic: String,
}

/// What a model costs, in dollars per token, as plain decimals.
#[derive(Clone, Debug, Serialize)]
pub struct Price {
    /// The model.
    pub model: String,
    /// A token of input.
    pub input: String,
    /// A token of output.
    pub output: String,
}

/// Why a gateway's files could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template itself fails.
    #[error("{gateway}: {template}:{line}: {message}")]
    Template {
        /// The gateway.
        gateway: String,
        /// The template's file.
        template: String,
        /// Where.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The template leaves a part of the policy, or of what an operation is asked to set, unread.
    #[error("{gateway}: its templates cannot express {field}; say so with a missing capability, or read it")]
    Inexpressible {
        /// The gateway.
        gateway: String,
        /// The part, as a path such as `policy.virtual_keys[0].budgets[0].limit`.
        field: String,
    },
}

/// Renders texts for one case of one gateway.
pub struct Renderer<'a> {
    gateway: &'a Gateway,
    environment: Environment<'static>,
    world: Value,
}

impl<'a> Renderer<'a> {
    /// A renderer for a gateway in this world.
    #[must_use]
    pub fn new(gateway: &'a Gateway, world: &World) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(syntax());
        // By a file's ending some values would be quoted and others not: a template says `| tojson` itself.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_function("cannot_express", cannot_express);
        environment.add_filter("dollars", dollars);
        environment.add_filter("per_token", per_token);
        environment.add_filter("seconds", seconds);
        environment.add_filter("after", after);
        Self { gateway, environment, world: Value::from(Serde(world.clone())) }
    }

    /// The gateway's files, by their names in its data folder.
    ///
    /// # Errors
    /// When a template fails, or does not express a part of the policy.
    pub fn files(&self, policy: &Policy) -> Result<Vec<(String, String)>, RenderError> {
        // A policy is made of types that always have a JSON form.
        let policy = serde_json::to_value(policy).unwrap_or_default();
        let asked = Asked::new(&serde_json::json!({ "policy": policy }));
        let values = minijinja::context! { ..asked.values.clone(), ..self.world.clone() };
        let mut files = Vec::new();
        for (file, template) in &self.gateway.manifest.files {
            let source = self.gateway.templates.get(template).map_or("", String::as_str);
            let rendered = self
                .environment
                .render_named_str(template, source, values.clone())
                .map_err(|error| self.template_error(template, &error))?;
            files.push((file.clone(), rendered));
        }
        if !self.gateway.manifest.files.is_empty() {
            self.all_read(&asked)?;
        }
        Ok(files)
    }

    /// An error that names what was asked and no template read, if there is any.
    pub(super) fn all_read(&self, asked: &Asked) -> Result<(), RenderError> {
        let gateway = self.gateway.manifest.name.clone();
        asked.unread().map_or(Ok(()), |field| Err(RenderError::Inexpressible { gateway, field }))
    }

    /// A text of the manifest, with the values given beside the world.
    ///
    /// # Errors
    /// When the template fails.
    pub fn text(&self, place: &str, source: &str, beside: &Value) -> Result<String, RenderError> {
        let values = minijinja::context! { ..beside.clone(), ..self.world.clone() };
        self.environment.render_named_str(place, source, values).map_err(|error| self.template_error(place, &error))
    }

    /// The path of a call's route.
    #[must_use]
    pub fn route(&self, call: &Call) -> String {
        let path = self.gateway.manifest.routes.get(&call.route).map_or("", String::as_str);
        let beside = minijinja::context! { model => call.model.as_str(), stream => call.stream };
        // The manifest's loading has tried each route.
        self.text("gateway.yaml routes", path, &beside).unwrap_or_default()
    }

    /// A JSON value of the manifest; each string in it is a template, and one that is nothing but
    /// `{{ … }}` keeps the type of its value.
    ///
    /// # Errors
    /// When a template fails.
    pub fn json(
        &self,
        place: &str,
        source: &serde_json::Value,
        beside: &Value,
    ) -> Result<serde_json::Value, RenderError> {
        let values = minijinja::context! { ..beside.clone(), ..self.world.clone() };
        self.json_in(source, &values).map_err(|error| self.template_error(place, &error))
    }

    /// A JSON value that a template beside the manifest renders, with the values given beside the world.
    ///
    /// # Errors
    /// When the template fails, or renders no JSON.
    pub fn json_file(&self, template: &str, beside: &Value) -> Result<serde_json::Value, RenderError> {
        let source = self.gateway.templates.get(template).map_or("", String::as_str);
        let rendered = self.text(template, source, beside)?;
        serde_json::from_str(&rendered).map_err(|error| RenderError::Template {
            gateway: self.gateway.manifest.name.clone(),
            template: template.to_owned(),
            line: error.line(),
            message: format!("what it renders is not JSON: {error}"),
        })
    }

    fn json_in(&self, source: &serde_json::Value, values: &Value) -> Result<serde_json::Value, minijinja::Error> {
        Ok(match source {
            serde_json::Value::String(text) => crate::scenario::case::render(&self.environment, text, values)?,
            serde_json::Value::Array(items) => {
                items.iter().map(|item| self.json_in(item, values)).collect::<Result<_, _>>()?
            }
            serde_json::Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| Ok((name.clone(), self.json_in(field, values)?)))
                .collect::<Result<serde_json::Map<_, _>, minijinja::Error>>()?
                .into(),
            other => other.clone(),
        })
    }

    fn template_error(&self, template: &str, error: &minijinja::Error) -> RenderError {
        RenderError::Template {
            gateway: self.gateway.manifest.name.clone(),
            template: template.to_owned(),
            line: error.line().unwrap_or(1),
            message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        }
    }
}

/// Blocks stand on lines of their own, and leave none behind.
fn syntax() -> minijinja::syntax::SyntaxConfig {
    let mut syntax = minijinja::syntax::SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    syntax.build().unwrap_or_default()
}

/// `$0.005` as the plain number `0.005`.
fn dollars(amount: &str) -> Result<String, minijinja::Error> {
    let amount: Usd = amount.parse().map_err(|error| invalid(&error))?;
    Ok(amount.dollars().to_string())
}

/// `$2.50` a million tokens as the plain number `0.0000025` a token.
fn per_token(amount: &str) -> Result<String, minijinja::Error> {
    let amount: Usd = amount.parse().map_err(|error| invalid(&error))?;
    Ok((amount.dollars() / rust_decimal::Decimal::from(1_000_000)).normalize().to_string())
}

/// `1h` as the number 3600. Parts of a second would be lost, and are refused.
fn seconds(period: &str) -> Result<u64, minijinja::Error> {
    let duration = period.parse::<Period>().map_err(|error| invalid(&error))?.duration();
    if duration.subsec_nanos() != 0 {
        return Err(invalid(&format!("{period} is not a whole number of seconds, and nothing finer can be expressed")));
    }
    Ok(duration.as_secs())
}

/// `1h` after a time, in whole seconds, as RFC 3339 has it.
fn after(period: &str, time: &str) -> Result<String, minijinja::Error> {
    let time: Timestamp = time.parse().map_err(|error: jiff::Error| invalid(&error))?;
    let period = period.parse::<Period>().map_err(|error| invalid(&error))?.duration();
    let later = time.checked_add(period).map_err(|error| invalid(&error))?;
    Timestamp::from_second(later.as_second()).map(|later| later.to_string()).map_err(|error| invalid(&error))
}

/// What a template calls with a part of the policy that it could read but not express, and why.
fn cannot_express(part: &str, why: &str) -> Result<Value, minijinja::Error> {
    Err(invalid(&format!("cannot express policy.{part}: {why}")))
}

fn invalid(error: &impl ToString) -> minijinja::Error {
    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, error.to_string())
}

/// Every value in it that is neither a mapping nor a list, as a path.
fn leaves(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| leaves(field, &format!("{path}.{name}"), found));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| leaves(item, &format!("{path}[{index}]"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

type Read = Arc<Mutex<BTreeSet<String>>>;

/// What templates are asked to express, by name: of each mapping and list in it, every part must be read.
pub(super) struct Asked {
    json: serde_json::Value,
    read: Read,
    /// As the templates see it.
    pub(super) values: Value,
}

impl Asked {
    /// Takes a mapping; what stands in it as a plain text or number may be left unread.
    pub(super) fn new(json: &serde_json::Value) -> Self {
        let read = Read::default();
        let parts = json.as_object().into_iter().flatten();
        let values: BTreeMap<_, _> = parts.map(|(name, part)| (name.clone(), tracked(part, name, &read))).collect();
        Self { json: json.clone(), read, values: values.into() }
    }

    fn unread(&self) -> Option<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = Vec::new();
        for (name, part) in self.json.as_object().into_iter().flatten() {
            leaves(part, name, &mut written);
        }
        written.into_iter().find(|field| !read.contains(field))
    }
}

/// A part of what is asked, which notes what is read of it.
fn tracked(value: &serde_json::Value, path: &str, read: &Read) -> Value {
    match value {
        serde_json::Value::Object(_) | serde_json::Value::Array(_) => {
            Value::from_object(Tracked { value: value.clone(), path: path.to_owned(), read: Arc::clone(read) })
        }
        leaf => {
            read.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
            Value::from(Serde(leaf.clone()))
        }
    }
}

#[derive(Debug)]
struct Tracked {
    value: serde_json::Value,
    path: String,
    read: Read,
}

impl Object for Tracked {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.value.is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (part, path) = match key.as_str() {
            Some(name) => (self.value.get(name)?, format!("{}.{name}", self.path)),
            None => {
                let index = key.as_usize()?;
                (self.value.get(index)?, format!("{}[{index}]", self.path))
            }
        };
        Some(tracked(part, &path, &self.read))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.value {
            serde_json::Value::Array(items) => Enumerator::Seq(items.len()),
            serde_json::Value::Object(fields) => {
                Enumerator::Values(fields.keys().map(|name| Value::from(name.as_str())).collect())
            }
            _ => Enumerator::Empty,
        }
    }
}

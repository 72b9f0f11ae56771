//! A gateway's own words for a refusal, mapped to neutral reasons.

use indexmap::IndexMap;
use regex::Regex;
use rust_decimal::Decimal;
use serde_json::Value;

use super::manifest::{self, NameRule};
use crate::{document::Key, money::Usd, scenario::reason::Reason};

/// A gateway's dialect, ready to be asked.
#[derive(Clone, Debug)]
pub struct Dialect {
    refusals: Vec<Refusal>,
    scope: Vec<Name>,
    entity: Vec<Name>,
    limit: Vec<Name>,
    tried: Option<(String, Regex)>,
}

#[derive(Clone, Debug)]
struct Refusal {
    reason: Reason,
    status: Option<u16>,
    body: Vec<(String, Regex)>,
}

#[derive(Clone, Debug)]
struct Name {
    pointer: String,
    regex: Option<Regex>,
    means: Option<String>,
    decimals: Option<u32>,
}

/// A cap as a refusal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedLimit {
    /// The figure.
    pub figure: Usd,
    /// To how many decimals it is rounded, if it is.
    pub decimals: Option<u32>,
}

impl NamedLimit {
    /// Whether the figure stands for this cap, as far as it was rounded.
    #[must_use]
    pub fn names(self, limit: Usd) -> bool {
        let off = self.figure.distance(limit).dollars();
        off <= self.decimals.map_or(Decimal::ZERO, |decimals| Decimal::new(5, decimals + 1))
    }
}

impl Dialect {
    /// Compiles the regular expressions of a manifest's dialect.
    ///
    /// # Errors
    /// The first expression that is malformed, with its path in the manifest.
    pub fn compile(dialect: &manifest::Dialect) -> Result<Self, (Vec<Key>, regex::Error)> {
        let names = |field: &str, rules: &[NameRule]| {
            let compile = |(index, rule): (usize, &NameRule)| {
                let at = |error| (vec!["dialect".into(), "names".into(), field.into(), index.into()], error);
                let regex = rule.regex.as_deref().map(Regex::new).transpose().map_err(at)?;
                Ok(Name { pointer: rule.pointer.clone(), regex, means: rule.means.clone(), decimals: rule.decimals })
            };
            rules.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()
        };
        let at = |error| (vec!["dialect".into(), "tried".into(), "regex".into()], error);
        let tried =
            dialect.tried.as_ref().map(|rule| Ok((rule.header.to_lowercase(), Regex::new(&rule.regex).map_err(at)?)));
        let refusals = dialect.refusals.iter().enumerate().map(|(index, rule)| {
            let at = |error| (vec!["dialect".into(), "refusals".into(), index.into()], error);
            let compile = |(pointer, regex): (&String, &String)| Ok((pointer.clone(), Regex::new(regex).map_err(at)?));
            let body = rule.body.iter().map(compile).collect::<Result<_, _>>()?;
            Ok(Refusal { reason: rule.reason, status: rule.status, body })
        });
        Ok(Self {
            refusals: refusals.collect::<Result<_, _>>()?,
            scope: names("scope", &dialect.names.scope)?,
            entity: names("entity", &dialect.names.entity)?,
            limit: names("limit", &dialect.names.limit)?,
            tried: tried.transpose()?,
        })
    }

    /// Why an answer is a refusal, if the dialect knows it as one.
    #[must_use]
    pub fn reason(&self, status: u16, body: &Value) -> Option<Reason> {
        let fits = |rule: &&Refusal| {
            rule.status.is_none_or(|wanted| wanted == status)
                && rule
                    .body
                    .iter()
                    .all(|(pointer, regex)| text_at(body, pointer).is_some_and(|text| regex.is_match(&text)))
        };
        self.refusals.iter().find(fits).map(|rule| rule.reason)
    }

    /// Whose kind of limit a refusal names, in the neutral word for it.
    #[must_use]
    pub fn scope(&self, body: &Value) -> Option<String> {
        self.scope.iter().find_map(|rule| rule.find(body))
    }

    /// Whose limit a refusal names.
    #[must_use]
    pub fn entity(&self, body: &Value) -> Option<String> {
        self.entity.iter().find_map(|rule| rule.find(body))
    }

    /// The cap that a refusal names.
    #[must_use]
    pub fn limit(&self, body: &Value) -> Option<NamedLimit> {
        self.limit.iter().find_map(|rule| {
            let figure = Usd::from_plain(&rule.find(body)?).ok()?;
            Some(NamedLimit { figure, decimals: rule.decimals })
        })
    }

    /// The providers that failed before an answer was made, in order, if the answer names any.
    #[must_use]
    pub fn tried(&self, headers: &IndexMap<String, String>) -> Vec<String> {
        let Some((header, regex)) = &self.tried else { return Vec::new() };
        let told = headers.get(header).map_or("", String::as_str);
        regex.captures_iter(told).filter_map(|found| Some(found.get(1)?.as_str().to_owned())).collect()
    }
}

impl Name {
    fn find(&self, body: &Value) -> Option<String> {
        let text = text_at(body, &self.pointer)?;
        let found = match &self.regex {
            None => text,
            Some(regex) => {
                let captures = regex.captures(&text)?;
                captures.get(1).or_else(|| captures.get(0))?.as_str().to_owned()
            }
        };
        Some(self.means.clone().unwrap_or(found))
    }
}

fn text_at(body: &Value, pointer: &str) -> Option<String> {
    match body.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

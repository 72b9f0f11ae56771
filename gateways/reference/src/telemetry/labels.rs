//! What a metric is counted by, under Bifrost's names.

use std::hash::{Hash, Hasher};

use indexmap::Equivalent;

/// What stands for a name where there are too many.
pub(super) const OTHER: &str = "other";

/// The labels of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    texts: [String; TEXTS],
    method: &'static str,
    fallback_index: usize,
}

/// The same without a copy of the texts, to find a series by.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelsRef<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) virtual_key_id: &'a str,
    pub(super) virtual_key_name: &'a str,
    pub(super) team_id: &'a str,
    pub(super) team_name: &'a str,
    pub(super) customer_id: &'a str,
    pub(super) customer_name: &'a str,
    pub(super) selected_key_id: &'a str,
    pub(super) selected_key_name: &'a str,
    /// The kind of request.
    pub(super) method: &'static str,
    pub(super) fallback_index: usize,
}

const TEXTS: usize = 10;
const NAMES: [&str; TEXTS] = [
    "provider",
    "model",
    "virtual_key_id",
    "virtual_key_name",
    "team_id",
    "team_name",
    "customer_id",
    "customer_name",
    "selected_key_id",
    "selected_key_name",
];

impl<'a> LabelsRef<'a> {
    fn texts(&self) -> [&'a str; TEXTS] {
        [
            self.provider,
            self.model,
            self.virtual_key_id,
            self.virtual_key_name,
            self.team_id,
            self.team_name,
            self.customer_id,
            self.customer_name,
            self.selected_key_id,
            self.selected_key_name,
        ]
    }

    /// Only what the configuration bounds: callers choose models, and there may be very
    /// many keys.
    pub(super) fn bounded(self) -> LabelsRef<'a> {
        LabelsRef {
            model: OTHER,
            virtual_key_id: OTHER,
            virtual_key_name: OTHER,
            team_id: OTHER,
            team_name: OTHER,
            customer_id: OTHER,
            customer_name: OTHER,
            selected_key_id: OTHER,
            selected_key_name: OTHER,
            ..self
        }
    }

    pub(super) fn to_owned(self) -> Labels {
        Labels { texts: self.texts().map(str::to_owned), method: self.method, fallback_index: self.fallback_index }
    }
}

impl Labels {
    /// Name and value of each label, and of one more.
    pub(super) fn with<'a>(&'a self, name: &'a str, value: String) -> Vec<(&'a str, String)> {
        let mut pairs = self.pairs();
        pairs.push((name, value));
        pairs
    }

    /// Name and value of each label.
    pub(super) fn pairs(&self) -> Vec<(&str, String)> {
        let texts = NAMES.into_iter().zip(self.texts.iter().cloned());
        let rest = [("method", self.method.to_owned()), ("fallback_index", self.fallback_index.to_string())];
        texts.chain(rest).collect()
    }

    fn as_ref(&self) -> ([&str; TEXTS], &str, usize) {
        (self.texts.each_ref().map(String::as_str), self.method, self.fallback_index)
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Hash for LabelsRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.texts(), self.method, self.fallback_index).hash(state);
    }
}

impl Equivalent<Labels> for LabelsRef<'_> {
    fn equivalent(&self, other: &Labels) -> bool {
        (self.texts(), self.method, self.fallback_index) == other.as_ref()
    }
}

//! Configuration and catalogue, as most commands need them.

use std::path::Path;

use super::{
    drawn,
    explain::{Explained, ExplainedCase, ExplainedCheck},
    list::ListEntry,
};
use crate::{
    config::Config,
    document::closest,
    scenario::{CaseContext, Catalogue, Entry, load::CatalogueError},
};

/// Configuration and catalogue.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) catalogue: Catalogue,
}

/// Reads `runner.yaml` and the scenarios that it names. What is wrong with them is drawn, every file of it.
pub(super) fn load(path: &Path) -> Result<Loaded, String> {
    let config = Config::load(path, |name| std::env::var(name).ok()).map_err(|error| drawn(*error))?;
    let context = CaseContext { eval: config.eval.clone(), ..CaseContext::default() };
    let drawings = |errors: CatalogueError| errors.errors.into_iter().map(drawn).collect::<Vec<_>>().join("\n\n");
    let catalogue = Catalogue::load(&config.runner.scenarios, &context).map_err(drawings)?;
    Ok(Loaded { config, catalogue })
}

impl Loaded {
    /// The scenarios that any of the patterns selects; all if there is none.
    pub(super) fn selected(&self, patterns: &[String]) -> Vec<&Entry> {
        let selects = |pattern: &String, id: &str| match pattern.strip_prefix('=') {
            Some(exact) => id == exact,
            None => id.contains(pattern.as_str()),
        };
        let entries = self.catalogue.entries.iter();
        entries
            .filter(|entry| patterns.is_empty() || patterns.iter().any(|pattern| selects(pattern, &entry.id)))
            .collect()
    }

    /// What to say when no scenario is selected.
    pub(super) fn nothing_selected(&self, patterns: &[String]) -> String {
        let entries = || self.catalogue.entries.iter();
        let words = entries().map(Entry::area).chain(entries().map(|entry| entry.id.as_str()));
        let meant = patterns.iter().find_map(|pattern| closest(pattern.trim_start_matches('='), words.clone()));
        let meant = meant.map_or(String::new(), |id| format!("; did you mean `{id}`?"));
        format!("no scenario is selected by {}{meant} (`probity list` shows them)", patterns.join(" "))
    }
}

/// An entry as `list` shows it.
pub(super) fn list_entry(entry: &Entry) -> ListEntry {
    let mut needs: Vec<String> = Vec::new();
    for need in entry.cases.iter().flat_map(crate::scenario::Case::needs) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    ListEntry {
        id: entry.id.clone(),
        area: entry.area().to_owned(),
        requirement: entry.requirement.id.clone(),
        level: entry.requirement.level,
        title: entry.title().to_owned(),
        needs,
        cases: entry.cases.iter().map(|case| case.name.clone()).collect(),
        checks: entry.cases.iter().map(|case| case.checks().len()).sum(),
    }
}

/// An entry as `explain` shows it.
pub(super) fn explained(entry: &Entry) -> Explained {
    let case = |case: &crate::scenario::Case| ExplainedCase {
        case: case.name.clone(),
        checks: case
            .checks()
            .iter()
            .zip(case.scenario.steps.iter().flat_map(|step| step.checks().into_iter().map(move |_| step)))
            .map(|(id, step)| ExplainedCheck { check: id.to_string(), expected: id.kind.expected(step) })
            .collect(),
    };
    Explained {
        entry: list_entry(entry),
        requirement: entry.requirement.clone(),
        why: entry.cases.first().and_then(|case| case.scenario.why.clone()),
        yaml: entry.document.text().to_owned(),
        cases: entry.cases.iter().map(case).collect(),
    }
}

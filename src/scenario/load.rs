//! Loading the catalogue: requirements and scenario files.

use std::path::{Path, PathBuf};

use super::{
    case::{Case, CaseContext, expand},
    lint,
    requirement::{Requirement, Requirements},
};
use crate::document::{Document, DocumentError};

/// All requirements and scenarios of a folder.
#[derive(Debug)]
pub struct Catalogue {
    /// In the order of the file.
    pub requirements: Vec<Requirement>,
    /// By id.
    pub entries: Vec<Entry>,
}

/// One scenario file.
#[derive(Debug)]
pub struct Entry {
    /// `<area>/<name>`.
    pub id: String,
    /// The file, with its templates.
    pub document: Document,
    /// The requirement that it proves.
    pub requirement: Requirement,
    /// Its cases under the context that the catalogue was loaded with.
    pub cases: Vec<Case>,
}

/// Why a catalogue could not be loaded: everything that is wrong with it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{} of the scenario files cannot be used", errors.len())]
pub struct CatalogueError {
    /// Each with its place.
    #[related]
    pub errors: Vec<DocumentError>,
}

impl Catalogue {
    /// Loads `requirements.yaml` and every scenario below `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with the files, not just the first.
    pub fn load(folder: &Path, context: &CaseContext) -> Result<Self, CatalogueError> {
        let one = |error: Box<DocumentError>| CatalogueError { errors: vec![*error] };
        let requirements = Document::load(&folder.join("requirements.yaml")).map_err(one)?;
        let requirements: Requirements = requirements.decode().map_err(one)?;
        let mut files = Vec::new();
        find(folder, &mut files).map_err(|error| one(unreadable(folder, &error)))?;
        let mut entries = Vec::new();
        let mut errors = Vec::new();
        for file in files {
            match Entry::load(folder, &file, &requirements.requirements, context) {
                Ok(entry) => entries.push(entry),
                Err(error) => errors.push(*error),
            }
        }
        if !errors.is_empty() {
            return Err(CatalogueError { errors });
        }
        Ok(Self { requirements: requirements.requirements, entries })
    }

    /// The scenario with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }
}

impl Entry {
    fn load(
        folder: &Path,
        file: &Path,
        requirements: &[Requirement],
        context: &CaseContext,
    ) -> Result<Self, Box<DocumentError>> {
        let document = Document::load(file)?;
        let cases = expand(&document, context)?;
        let requirement = lint::entry(folder, &document, &cases, requirements)?;
        let id = cases.first().map_or_else(String::new, |case| case.scenario.id.clone());
        Ok(Self { id, document, requirement: requirement.clone(), cases })
    }

    /// The part of the id before the slash.
    #[must_use]
    pub fn area(&self) -> &str {
        self.id.split_once('/').map_or("", |(area, _)| area)
    }

    /// The scenario's title, as in its first case.
    #[must_use]
    pub fn title(&self) -> &str {
        self.cases.first().map_or("", |case| &case.scenario.title)
    }

    /// The cases under another context, such as another gateway's shortest window.
    ///
    /// # Errors
    /// As [`expand`].
    pub fn cases_in(&self, context: &CaseContext) -> Result<Vec<Case>, Box<DocumentError>> {
        expand(&self.document, context)
    }
}

/// Scenario files stand in the folders of their areas; what stands beside them is no scenario.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut areas = list(folder)?;
    areas.retain(|path| path.is_dir());
    for area in areas {
        files.extend(list(&area)?.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml")));
    }
    Ok(())
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Box<DocumentError> {
    DocumentError::unreadable(folder, error)
}

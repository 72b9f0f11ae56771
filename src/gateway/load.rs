//! Loading a gateway's folder, and what it extends.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use serde_json::Value;

use super::{dialect::Dialect, manifest::Manifest};
use crate::document::{Document, DocumentError, Key, closest};

/// What is shorter is a word or a number, and would be replaced where it means something else.
const SHORTEST_CREDENTIAL: usize = 8;

/// A gateway's folder, read and checked.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where it stands.
    pub folder: PathBuf,
    /// What its manifest says.
    pub manifest: Manifest,
    /// Its dialect, ready to be asked.
    pub dialect: Dialect,
    /// Source of each template, by its file name.
    pub templates: HashMap<String, String>,
    /// Values for its templates.
    pub settings: IndexMap<String, String>,
}

impl Gateway {
    /// The names of the gateways below `gateways`.
    #[must_use]
    pub fn names(gateways: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(gateways).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.path().join("gateway.yaml").is_file());
        let mut names: Vec<_> = named.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Reads `gateways/<name>/gateway.yaml`, its templates, and its settings: what `set` says, else the
    /// environment, else the manifest's defaults.
    ///
    /// # Errors
    /// When a file cannot be read or used; the error points at the field.
    pub fn load(
        gateways: &Path,
        name: &str,
        set: &IndexMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Box<DocumentError>> {
        let folder = gateways.join(name);
        let document = Document::load(&folder.join("gateway.yaml"))?;
        let (document, folders) = extended(document, gateways, &folder)?;
        let manifest: Manifest = document.decode()?;
        if manifest.name != name {
            let message = format!("the name must be that of the folder: `{name}`");
            return Err(document.error(&["name".into()], &message, None));
        }
        let dialect = Dialect::compile(&manifest.dialect)
            .map_err(|(path, error)| document.error(&path, &error.to_string(), None))?;
        if let Some(regex) = manifest.version_probe.as_ref().and_then(|probe| probe.regex.as_deref())
            && let Err(error) = regex::Regex::new(regex)
        {
            return Err(document.error(&["version_probe".into(), "regex".into()], &error.to_string(), None));
        }
        for (route, path) in &manifest.routes {
            let tried =
                minijinja::Environment::new().render_str(path, minijinja::context! { model => "m", stream => true });
            let at = ["routes".into(), route.word().into()];
            tried.map_err(|error| document.error(&at, &error.to_string(), None))?;
        }
        let templates = templates(&document, &manifest, &folders)?;
        if let Some(unknown) = set.keys().find(|name| !manifest.settings.contains_key(*name)) {
            let help = closest(unknown, manifest.settings.keys().map(String::as_str));
            let message = format!("{name} has no setting `{unknown}`");
            return Err(document.error(
                &["settings".into()],
                &message,
                help.map(|name| format!("did you mean `{name}`?")),
            ));
        }
        let settings = settings(&manifest, set, environment)
            .map_err(|(name, message)| document.error(&["settings".into(), name.as_str().into()], &message, None))?;
        Ok(Self { folder, manifest, dialect, templates, settings })
    }

    /// Settings that were given from outside, and may be credentials; short ones are none.
    pub fn given_settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.settings.iter().filter(|(name, value)| {
            let setting = self.manifest.settings.get(*name);
            value.len() >= SHORTEST_CREDENTIAL && setting.and_then(|setting| setting.default.as_ref()) != Some(value)
        });
        given.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The file beside the manifest, or beside the manifest that it extends.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

type Folders = Vec<PathBuf>;

/// What operations must take from their answers.
const TAKEN: [(&str, &str); 5] = [
    ("create_key", "id"),
    ("create_team", "id"),
    ("create_customer", "id"),
    ("rotate_key", "value"),
    ("usage", "spent"),
];

/// Lays a manifest over the one that it `extends`; mappings are merged, everything else is replaced.
fn extended(document: Document, gateways: &Path, folder: &Path) -> Result<(Document, Folders), Box<DocumentError>> {
    let mut folders = vec![folder.to_owned()];
    let Some(base) = document.value().get("extends").cloned() else {
        return Ok((document, folders));
    };
    let base = base.as_str().filter(|base| !base.contains(['/', '.'])).ok_or_else(|| {
        document.error(&["extends".into()], "this must be the name of another gateway's folder", None)
    })?;
    let base_folder = gateways.join(base);
    let under = Document::load(&base_folder.join("gateway.yaml"))?;
    if under.value().get("extends").is_some() {
        let message = format!("{base} extends another gateway itself; one level is enough");
        return Err(document.error(&["extends".into()], &message, None));
    }
    folders.push(base_folder);
    let mut merged = under.value().clone();
    lay_over(&mut merged, document.value().clone());
    Ok((document.with_value(merged), folders))
}

/// Lays `over` on `under`: mappings are merged, `null` removes, everything else is replaced.
pub fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                if value.is_null() {
                    under.shift_remove(&name);
                } else {
                    lay_over(under.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (under, over) => *under = over,
    }
}

/// The source of each template that the manifest names.
fn templates(
    document: &Document,
    manifest: &Manifest,
    folders: &Folders,
) -> Result<HashMap<String, String>, Box<DocumentError>> {
    let files =
        manifest.files.iter().map(|(file, template)| (vec![Key::from("files"), file.as_str().into()], template));
    let mut named: Vec<_> = files.collect();
    for (name, operation) in manifest.admin.operations() {
        let needed = TAKEN.iter().find(|(needs, _)| *needs == name);
        if let Some((_, taken)) = needed.filter(|(_, taken)| !operation.take.contains_key(*taken)) {
            let path = ["admin".into(), name.into()];
            return Err(document.error(&path, &format!("`take` must say where the answer has `{taken}`"), None));
        }
        if let Some(Err(error)) = operation.sum.as_deref().map(regex::Regex::new) {
            return Err(document.error(&["admin".into(), name.into(), "sum".into()], &error.to_string(), None));
        }
        let Some(template) = &operation.body_file else { continue };
        let path = vec!["admin".into(), name.into(), "body_file".into()];
        if operation.body.is_some() {
            return Err(document.error(&path, "`body` and `body_file` exclude each other", None));
        }
        named.push((path, template));
    }
    let mut templates = HashMap::new();
    for (path, template) in named {
        let source = folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(template)).ok());
        let source = source.ok_or_else(|| {
            let searched: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
            document.error(&path, &format!("there is no template {template} in {}", searched.join(" or ")), None)
        })?;
        templates.insert(template.clone(), source);
    }
    Ok(templates)
}

fn settings(
    manifest: &Manifest,
    set: &IndexMap<String, String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<IndexMap<String, String>, (String, String)> {
    let mut values = IndexMap::new();
    for (name, setting) in &manifest.settings {
        let from_environment = || setting.env.as_deref().and_then(&environment);
        let value = set.get(name).cloned().or_else(from_environment).or_else(|| setting.default.clone());
        let value = value.ok_or_else(|| {
            let variable = setting.env.as_ref().map_or(String::new(), |name| format!(", or set {name}"));
            (name.clone(), format!("{} is needed: give --set {name}=…{variable}", setting.about))
        })?;
        values.insert(name.clone(), value);
    }
    Ok(values)
}

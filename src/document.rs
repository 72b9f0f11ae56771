//! YAML files that remember where everything stands, so that an error points at its line.
//!
//! A file goes through three forms: text with positions ([`Document`]), a plain value in which
//! templates and variables can be replaced, and the typed value that the rest of the program uses.

mod error;
mod meant;
mod positions;
mod wanted;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use saphyr::{LoadableYamlNode, MarkedYaml};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path as FieldPath, Segment};

pub use error::DocumentError;
pub use meant::closest;
use meant::{quoted, suggestion};
use positions::{Positions, byte_offset, convert};
use wanted::in_plain_words;

/// A YAML file: its text, its value, and the position of each of its fields.
#[derive(Clone, Debug)]
pub struct Document {
    path: PathBuf,
    text: Arc<str>,
    value: Value,
    positions: Arc<Positions>,
}

impl Document {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// When the file cannot be read, is no YAML, holds several documents or a repeated key.
    pub fn load(path: &Path) -> Result<Self, Box<DocumentError>> {
        let text = std::fs::read_to_string(path).map_err(|error| DocumentError::unreadable(path, &error))?;
        Self::parse(path, &text)
    }

    /// Parses text that stands (or would stand) in the file `path`.
    ///
    /// # Errors
    /// As [`Document::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Box<DocumentError>> {
        let empty = Self { path: path.to_owned(), text: text.into(), value: Value::Null, positions: Arc::default() };
        let nodes = MarkedYaml::load_from_str(text).map_err(|error| {
            let at = byte_offset(text, error.marker().index());
            empty.error_at((at, at), error.info(), None)
        })?;
        let [node] = nodes.as_slice() else {
            let message = format!("one YAML document is wanted, {} are here", nodes.len());
            return Err(empty.error_at((0, 0), &message, None));
        };
        let mut positions = Positions::default();
        let value = convert(node, text, &mut positions).map_err(|(at, message)| empty.error_at(at, &message, None))?;
        Ok(Self { value, positions: Arc::new(positions), ..empty })
    }

    /// The file's path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file's plain value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The same file with another value, which its positions describe as far as they go.
    #[must_use]
    pub fn with_value(&self, value: Value) -> Self {
        Self { value, ..self.clone() }
    }

    /// The same file with each string replaced by what `replace` makes of it.
    ///
    /// # Errors
    /// When `replace` refuses a string; the error points at it.
    pub fn map_strings<E: fmt::Display>(
        &self,
        mut replace: impl FnMut(&str) -> Result<Value, E>,
    ) -> Result<Self, Box<DocumentError>> {
        let mut path = Vec::new();
        let value = map_strings(&self.value, &mut path, &mut replace)
            .map_err(|(path, message)| self.error(&path, &message, None))?;
        Ok(Self { value, ..self.clone() })
    }

    /// The typed value.
    ///
    /// # Errors
    /// When a field is unknown, missing, or of another type; the error points at it, and names
    /// the field that was probably meant.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Box<DocumentError>> {
        serde_path_to_error::deserialize(&self.value).map_err(|error| {
            let message = error.inner().to_string();
            let mut path = keys_of(error.path());
            if let Some(unknown) = quoted(&message, "unknown field `")
                && path.last() != Some(&Key::Field(unknown.to_owned()))
            {
                path.push(Key::Field(unknown.to_owned()));
            }
            self.error(&path, &in_plain_words(&message), suggestion(&message))
        })
    }

    /// An error that points at a field, given as its keys from the root.
    #[must_use]
    pub fn error(&self, path: &[Key], message: &str, help: Option<String>) -> Box<DocumentError> {
        let field = path.iter().map(ToString::to_string).collect::<String>();
        let field = field.trim_start_matches('.');
        let message = if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") };
        self.error_at(self.positions.find(path), &message, help)
    }

    fn error_at(&self, range: (usize, usize), message: &str, help: Option<String>) -> Box<DocumentError> {
        DocumentError::at(&self.path, &self.text, range, message, help)
    }
}

/// One step on the way from a file's root to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A field of a mapping.
    Field(String),
    /// An item of a sequence, from 0.
    Item(usize),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Item(index) => write!(f, "[{index}]"),
        }
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::Field(name.to_owned())
    }
}

impl From<usize> for Key {
    fn from(index: usize) -> Self {
        Self::Item(index)
    }
}

fn map_strings<E: fmt::Display>(
    value: &Value,
    path: &mut Vec<Key>,
    replace: &mut impl FnMut(&str) -> Result<Value, E>,
) -> Result<Value, (Vec<Key>, String)> {
    match value {
        Value::String(text) => replace(text).map_err(|error| (path.clone(), error.to_string())),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| within(path, Key::Item(index), |path| map_strings(item, path, replace)))
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| {
                let key = Key::Field(name.clone());
                Ok((name.clone(), within(path, key, |path| map_strings(field, path, replace))?))
            })
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        other => Ok(other.clone()),
    }
}

fn within<T>(path: &mut Vec<Key>, key: Key, body: impl FnOnce(&mut Vec<Key>) -> T) -> T {
    path.push(key);
    let result = body(path);
    path.pop();
    result
}

fn keys_of(path: &FieldPath) -> Vec<Key> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Key::Item(*index)),
            Segment::Map { key } => Some(Key::Field(key.clone())),
            Segment::Enum { variant } => Some(Key::Field(variant.clone())),
            Segment::Unknown => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use miette::Diagnostic;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors of decoding are looked at")]
    struct Step {
        call: String,
        #[serde(default)]
        times: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors of decoding are looked at")]
    struct File {
        steps: Vec<Step>,
    }

    fn fails(text: &str) -> String {
        let document = Document::parse(Path::new("a.yaml"), text);
        let error = document.and_then(|document| document.decode::<File>()).unwrap_err();
        format!("{error} / {}", error.help().map_or("-".to_owned(), |help| help.to_string()))
    }

    #[test]
    fn a_typo_is_named_with_its_line_and_the_word_that_was_meant() {
        let text = "steps:\n  - call: ä\n  - call: b\n    tiems: 3\n";
        assert_eq!(
            fails(text),
            "a.yaml:4: steps[1].tiems: unknown field `tiems`, expected `call` or `times` / did you mean `times`?"
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line() {
        assert_eq!(
            fails("steps:\n  - call: a\n    times: often\n"),
            "a.yaml:3: steps[0].times: invalid type: string \"often\", expected a whole number from 0 to 4294967295 / -"
        );
    }

    #[test]
    fn what_is_wanted_is_told_without_a_type_of_ours() {
        let what = |text: &str| fails(text).split_once(", expected ").unwrap().1.to_owned();
        assert_eq!(what("steps: {}\n"), "a list / -");
        assert_eq!(what("steps:\n  - 7\n"), "a mapping / -");
        assert_eq!(what("steps:\n  - call: a\n    times: -1\n"), "a whole number from 0 to 4294967295 / -");
    }

    #[test]
    fn text_that_is_no_yaml_is_named_with_its_line() {
        assert!(fails("steps:\n  - call: [a\n").starts_with("a.yaml:"));
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let error = Document::load(Path::new("/nowhere/a.yaml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/a.yaml"), "{error}");
    }
}

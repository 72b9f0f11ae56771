//! YAML files that remember where everything stands, so that an error points at its line.
//!
//! A file goes through three forms: text with positions ([`Document`]), a plain value in which
//! templates and variables can be replaced, and the typed value that the rest of the program uses.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path as FieldPath, Segment};

/// A YAML file: its text, its value, and the position of each of its fields.
#[derive(Clone, Debug)]
pub struct Document {
    path: PathBuf,
    text: Arc<str>,
    value: Value,
    positions: Arc<Positions>,
}

/// Where a node starts and ends, and the same for what it holds; ranges are in bytes of the text.
#[derive(Debug, Default)]
struct Positions {
    own: (usize, usize),
    fields: Vec<(String, (usize, usize), Positions)>,
    items: Vec<Positions>,
}

/// Something is wrong with a file, at a place in it.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {message}", path.display(), Line(*line))]
pub struct DocumentError {
    path: PathBuf,
    /// Counted from 1; 0 if the file could not be read at all.
    line: usize,
    message: String,
    help: Option<String>,
    source_code: Option<NamedSource<Arc<str>>>,
    label: Option<LabeledSpan>,
}

struct Line(usize);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            line => write!(f, ":{line}"),
        }
    }
}

impl Diagnostic for DocumentError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source_code.as_ref().map(|code| code as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.label.clone().map(|label| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = _>>)
    }
}

impl DocumentError {
    /// The error for a file or folder that cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: &std::io::Error) -> Box<Self> {
        Box::new(Self {
            path: path.to_owned(),
            line: 0,
            message: format!("cannot be read: {error}"),
            help: None,
            source_code: None,
            label: None,
        })
    }
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
            self.error(&path, &message, suggestion(&message))
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

    fn error_at(&self, (start, end): (usize, usize), message: &str, help: Option<String>) -> Box<DocumentError> {
        let start = start.min(self.text.len());
        let line = self.text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
        // One line is enough to show which field is meant, even if its value is a whole block.
        let shown = self.text.get(start..end).map_or(0, |text| text.lines().next().map_or(0, str::len));
        Box::new(DocumentError {
            path: self.path.clone(),
            line,
            message: message.to_owned(),
            help,
            source_code: Some(
                NamedSource::new(self.path.display().to_string(), Arc::clone(&self.text)).with_language("yaml"),
            ),
            label: Some(LabeledSpan::new(Some("here".to_owned()), start, shown)),
        })
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

impl Positions {
    /// The place of the deepest node on `path` that exists. A field's place is that of its name.
    fn find(&self, path: &[Key]) -> (usize, usize) {
        match path.split_first() {
            None => self.own,
            Some((Key::Field(name), rest)) => match self.fields.iter().find(|(field, ..)| field == name) {
                Some((_, name_at, node)) if rest.is_empty() || node.is_leaf() => (name_at.0, node.own.1.max(name_at.1)),
                Some((_, _, node)) => node.find(rest),
                None => self.own,
            },
            Some((Key::Item(index), rest)) => self.items.get(*index).map_or(self.own, |node| node.find(rest)),
        }
    }

    fn is_leaf(&self) -> bool {
        self.fields.is_empty() && self.items.is_empty()
    }
}

type Misplaced = ((usize, usize), String);

fn convert(node: &MarkedYaml<'_>, text: &str, positions: &mut Positions) -> Result<Value, Misplaced> {
    let at = (byte_offset(text, node.span.start.index()), byte_offset(text, node.span.end.index()));
    positions.own = at;
    match &node.data {
        YamlData::Value(scalar) => Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Bool(*value),
            Scalar::Integer(value) => Value::from(*value),
            Scalar::FloatingPoint(value) => Value::from(value.into_inner()),
            Scalar::String(value) => Value::String(value.to_string()),
        }),
        YamlData::Sequence(items) => items
            .iter()
            .map(|item| {
                let mut inner = Positions::default();
                let value = convert(item, text, &mut inner)?;
                positions.items.push(inner);
                Ok(value)
            })
            .collect(),
        YamlData::Mapping(fields) => {
            let mut map = Map::new();
            for (name, field) in fields {
                let mut name_at = Positions::default();
                let name = match convert(name, text, &mut name_at)? {
                    Value::String(name) => name,
                    Value::Number(number) => number.to_string(),
                    Value::Bool(value) => value.to_string(),
                    _ => return Err((name_at.own, "a field's name is a word".to_owned())),
                };
                let mut inner = Positions::default();
                let value = convert(field, text, &mut inner)?;
                positions.fields.push((name.clone(), name_at.own, inner));
                map.insert(name, value);
            }
            Ok(Value::Object(map))
        }
        YamlData::Alias(_) | YamlData::BadValue | YamlData::Representation(..) | YamlData::Tagged(..) => {
            Err((at, "this YAML feature (alias or tag) is not used here".to_owned()))
        }
    }
}

/// The parser counts characters; everything else counts bytes.
fn byte_offset(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset)
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

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.split_once(before)?.1.split_once('`').map(|(name, _)| name)
}

/// What was probably meant, from serde's list of the names that it knows.
fn suggestion(message: &str) -> Option<String> {
    let unknown = quoted(message, "unknown field `").or_else(|| quoted(message, "unknown variant `"))?;
    let known = message.split_once("expected ")?.1;
    let names = known.split('`').skip(1).step_by(2);
    closest(unknown, names).map(|name| format!("did you mean `{name}`?"))
}

/// The name that is most like `unknown`, if any is at all like it.
pub fn closest<'a>(unknown: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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
            "a.yaml:3: steps[0].times: invalid type: string \"often\", expected u32 / -"
        );
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

//! YAML as plain values, and the place of each of them in the text.

use saphyr::{MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Value};

use super::Key;

/// Where a node starts and ends, and the same for what it holds; ranges are in bytes of the text.
#[derive(Debug, Default)]
pub(super) struct Positions {
    own: (usize, usize),
    fields: Vec<(String, (usize, usize), Positions)>,
    items: Vec<Positions>,
}

impl Positions {
    /// The place of the deepest node on `path` that exists. A field's place is that of its name.
    pub(super) fn find(&self, path: &[Key]) -> (usize, usize) {
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

/// Where something is wrong, and what.
type Misplaced = ((usize, usize), String);

/// A node's plain value; `positions` becomes its place and those of what it holds.
pub(super) fn convert(node: &MarkedYaml<'_>, text: &str, positions: &mut Positions) -> Result<Value, Misplaced> {
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
pub(super) fn byte_offset(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset)
}

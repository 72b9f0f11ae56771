//! Where in the text of a configuration something stands, for the message of an error.

use std::fmt;

use indexmap::IndexMap;
use serde_json::value::RawValue;

/// A place in a text, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Position {
    /// Where the byte at `offset` stands.
    pub(super) fn of_byte(text: &str, offset: usize) -> Position {
        let before = text.get(..text.floor_char_boundary(offset)).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }

    /// Where a text that is no JSON is wrong; one that breaks off, behind the last that is there.
    pub(super) fn of_error(text: &str, error: &serde_json::Error) -> Position {
        if error.is_eof() {
            return Position::of_byte(text, text.trim_end().len());
        }
        // serde_json counts bytes, and those of the new line from the end of the one before.
        let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        Position::of_byte(text, (line + error.column()).saturating_sub(1))
    }

    /// Where the value at a path begins, as in `governance.budgets[0].max_limit`; where there is
    /// none, that of the last one on the way to it. `None` if the text is no JSON.
    pub(super) fn of_path(text: &str, path: &str) -> Option<Position> {
        let mut value: &RawValue = serde_json::from_str(text).ok()?;
        let mut rest = path;
        loop {
            // The name of a provider may have a dot in it: the longest name that fits is the one.
            let fitting = children(value).into_iter().filter_map(|(step, child)| Some((child, after(rest, &step)?)));
            let Some((child, further)) = fitting.min_by_key(|(_, further)| further.len()) else { break };
            (value, rest) = (child, further);
        }
        Some(Position::of_byte(text, offset(text, value)))
    }
}

/// The path of the value that begins at a byte.
pub(super) fn path_of_byte(text: &str, byte: usize) -> Option<String> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    let mut path = String::new();
    while offset(text, value) != byte {
        let begins_before = |(_, child): &(String, &RawValue)| offset(text, child) <= byte;
        let (step, child) = children(value).into_iter().take_while(begins_before).last()?;
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(&step);
        value = child;
    }
    Some(path)
}

/// What is inside a value, with the step to it.
fn children(value: &RawValue) -> Vec<(String, &RawValue)> {
    let text = value.get();
    if let Ok(fields) = serde_json::from_str::<IndexMap<String, &RawValue>>(text) {
        return fields.into_iter().collect();
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    items.into_iter().enumerate().map(|(index, item)| (format!("[{index}]"), item)).collect()
}

/// What is left of a path behind its first step, if this is it.
fn after<'a>(path: &'a str, step: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(step)?;
    let is_whole = rest.is_empty() || rest.starts_with(['.', '[', ':', ' ']);
    is_whole.then(|| rest.strip_prefix('.').unwrap_or(rest))
}

/// Where a part of a text begins in it.
fn offset(text: &str, part: &RawValue) -> usize {
    part.get().as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const TEXT: &str = "{\n  \"providers\": {\"my\": 1, \"my.own\": {\"keys\": [\n    {\"value\": \"ä\"}, {\"value\": 2} ]}},\n  \"list\": []\n}";

    fn at(path: &str) -> String {
        Position::of_path(TEXT, path).unwrap().to_string()
    }

    #[test]
    fn a_value_is_found_by_its_path_or_the_last_one_on_the_way_is() {
        assert_eq!(at(""), "1:1");
        assert_eq!(at("providers.my"), "2:23");
        assert_eq!(at("providers.my.own.keys[1].value"), "3:31");
        assert_eq!(at("providers.my.own.keys[1].value: `2`"), "3:31");
        assert_eq!(at("providers.my.own.keys[0].name"), "3:5");
        assert_eq!(at("providers.mine"), "2:16");
        assert_eq!(at("list[3].x"), "4:11");
        assert_eq!(at("list `b`"), "4:11");
        assert_eq!(Position::of_path("{", "list"), None);
    }

    #[test]
    fn text_that_is_no_json_is_wrong_at_a_place_that_an_editor_can_go_to() {
        let at = |text: &str| {
            let error = serde_json::from_str::<serde::de::IgnoredAny>(text).unwrap_err();
            Position::of_error(text, &error).to_string()
        };
        assert_eq!(["", "\n", " \n\n"].map(at), ["1:1", "1:1", "1:1"]);
        // Behind the last thing that is there.
        assert_eq!(["{", "{\n", "{\"a\": 1,\n\n", "{\n  \"a\": \"ä"].map(at), ["1:2", "1:2", "1:9", "2:10"]);
        // At the end of the line on which it should have gone on.
        assert_eq!(["{\"a\": \"b\n}", "{\"a\": tru\n}"].map(at), ["1:8", "1:10"]);
        assert_eq!(["{\"a\": nope}", "{\"ä\": 1,,}", "{}\n}"].map(at), ["1:8", "1:9", "2:1"]);
    }

    #[test]
    fn a_path_is_found_by_where_its_value_begins() {
        for path in ["providers.my", "providers.my.own.keys[1].value", "list"] {
            let position = Position::of_path(TEXT, path).unwrap();
            let byte =
                (0..TEXT.len()).find(|byte| TEXT.is_char_boundary(*byte) && Position::of_byte(TEXT, *byte) == position);
            assert_eq!(path_of_byte(TEXT, byte.unwrap()).unwrap(), path);
        }
        assert_eq!(path_of_byte(TEXT, 3), None);
        assert_eq!(path_of_byte("{", 0), None);
    }
}

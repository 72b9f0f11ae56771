//! `env.NAME`: a whole string that stands for an environment variable's value.

/// How a string begins that names a variable. Behind the end of another string this is no JSON, so
/// that it begins one wherever it stands, unless it stands inside of one, behind a backslash.
const PREFIX: &str = "\"env.";

/// A string that names a variable which has no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name}, named by \"env.{name}\", {problem}")]
pub(super) struct EnvError {
    name: String,
    /// The byte of the text at which the string begins.
    pub(super) at: usize,
    problem: &'static str,
}

/// A text with its variables filled in, and what was filled in where.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) text: String,
    /// Name and value of each variable, so that a message can hide the value.
    filled: Vec<(String, String)>,
}

impl Resolved {
    /// `message` with each variable's value replaced by its name: what comes from
    /// the environment may be a credential.
    pub(super) fn hide_values(&self, message: &str) -> String {
        self.filled
            .iter()
            .fold(message.to_owned(), |message, (name, value)| message.replace(value, &format!("env.{name}")))
    }
}

/// Fills in every JSON string value that reads `env.NAME`. Lines stay where they are.
pub(super) fn resolve(text: String, lookup: impl Fn(&str) -> Option<String>) -> Result<Resolved, EnvError> {
    let mut filled = Vec::new();
    let mut resolved = String::new();
    // Up to where the text is resolved.
    let mut done = 0;
    for (at, _) in text.match_indices(PREFIX) {
        let (before, string) = text.split_at(at);
        let is_inside = before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        let (literal, tail) = string.split_at(literal_end(string));
        let is_key = tail.trim_start().starts_with(':');
        let name = literal.strip_prefix(PREFIX).and_then(|name| name.strip_suffix('"'));
        let Some(name) = name.filter(|_| !is_inside && !is_key) else { continue };
        let failed = |problem| EnvError { name: name.to_owned(), at, problem };
        let value = lookup(name).ok_or_else(|| failed("is not set"))?;
        if value.is_empty() {
            return Err(failed("is empty"));
        }
        resolved.push_str(text.get(done..at).unwrap_or_default());
        resolved.push_str(&serde_json::Value::from(value.as_str()).to_string());
        filled.push((name.to_owned(), value));
        done = at + literal.len();
    }
    // The whole configuration is not copied where nothing was filled in: it may be long.
    let text = if filled.is_empty() { text } else { resolved + text.get(done..).unwrap_or_default() };
    Ok(Resolved { text, filled })
}

/// Where the JSON string that `text` begins with ends. Without an end: the whole.
fn literal_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "KEY" => Some("s3\"cret".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn a_value_that_names_a_variable_becomes_its_value() {
        let resolved = resolve(r#"{"value": "env.KEY", "name": "env"}"#.to_owned(), lookup).unwrap();
        assert_eq!(resolved.text, r#"{"value": "s3\"cret", "name": "env"}"#);
    }

    #[test]
    fn what_stands_between_and_behind_variables_stays() {
        let resolved = resolve(r#"["a\\", "env.KEY", "x \"env.KEY", ["env.KEY"]]"#.to_owned(), lookup).unwrap();
        assert_eq!(resolved.text, r#"["a\\", "s3\"cret", "x \"env.KEY", ["s3\"cret"]]"#);
    }

    #[test]
    fn a_field_name_is_never_a_variable() {
        let text = r#"{"env.KEY" : "a \"env.KEY\" b"}"#;
        assert_eq!(resolve(text.to_owned(), lookup).unwrap().text, text);
    }

    #[test]
    fn a_variable_without_a_value_is_named_with_its_place() {
        let error = resolve("{\n\"value\":\n\"env.GONE\"}".to_owned(), lookup).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable GONE, named by \"env.GONE\", is not set");
        assert_eq!(error.at, 11);
        assert!(resolve(r#"["env.EMPTY"]"#.to_owned(), lookup).is_err());
    }

    #[test]
    fn a_message_does_not_show_what_came_from_the_environment() {
        let resolved = resolve(r#"["env.KEY"]"#.to_owned(), lookup).unwrap();
        assert_eq!(resolved.hide_values("invalid: s3\"cret"), "invalid: env.KEY");
    }

    proptest! {
        #[test]
        fn any_text_without_variables_stays_as_it_is(text in "[^e]*") {
            prop_assert_eq!(resolve(text.clone(), lookup).unwrap().text, text);
        }
    }
}

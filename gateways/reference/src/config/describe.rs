//! What serde says of a value of the wrong shape, for whoever writes the configuration.

use serde_path_to_error::Path;

use super::load::Invalid;
use super::unsupported;

/// The path of what is wrong in the part at `place`, which may be the part itself.
pub(super) fn path_in(place: &str, path: &Path) -> String {
    match path.iter().next() {
        None => place.to_owned(),
        Some(_) if place.is_empty() => path.to_string(),
        Some(_) => format!("{place}.{path}"),
    }
}

/// What is wrong with the part at `place`, which may be a whole file or body.
pub(crate) fn described(place: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Invalid {
    describe(&path_in(place, error.path()), error.inner())
}

/// The error with its field's path, and without the position.
pub(super) fn describe(path: &str, error: &serde_json::Error) -> Invalid {
    let full = error.to_string();
    let message = full.split(" at line ").next().unwrap_or(&full).to_owned();
    // What stands there may be a credential, also where none should.
    if error.is_data() && message.starts_with("invalid ") {
        let wanted = message.rsplit_once(", expected ").map_or("another value", |(_, wanted)| wanted);
        return Invalid::new(path, format!("expected {}", in_json(wanted)));
    }
    let Some((field, problem)) = unknown_field(&message) else {
        // Where there is no JSON, the path ends with a question mark.
        return Invalid::new(path.trim_end_matches(['?', '.']), message);
    };
    // The path of an unknown field ends in the field itself.
    let place = path.strip_suffix(field).unwrap_or(path).trim_end_matches('.');
    let at = if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
    if unsupported::is_bifrosts(place, field) { Invalid::unsupported(at) } else { Invalid::new(at, problem) }
}

/// The field that nobody knows, if that is what serde says, and the one that was probably meant; where it is
/// like none, all that are known there.
pub(crate) fn unknown_field(message: &str) -> Option<(&str, String)> {
    let rest = message.strip_prefix("unknown field `")?;
    // The name may be any text: what serde itself says of it is the last.
    let Some((field, known)) = rest.rsplit_once("`, expected ") else {
        return rest.split_once("`, there are no fields").map(|(field, _)| (field, "unknown field".to_owned()));
    };
    let problem = match closest(field, known.split('`').skip(1).step_by(2)) {
        Some(name) => format!("unknown field; did you mean `{name}`?"),
        None => format!("unknown field, expected {known}"),
    };
    Some((field, problem))
}

/// The name that is most like `unknown`, if any is at all like it.
fn closest<'a>(unknown: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = unknown.chars().count();
    let most = |name: &str| 2.max(name.len() / 3);
    names
        // A stranger's name may be as long as a whole body: what takes so long to compare is like none.
        .filter(|name| name.len().abs_diff(length) <= most(name))
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, name)| *distance <= most(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What was wanted, in the words of JSON: a type of ours says nothing to whoever writes the file.
fn in_json(wanted: &str) -> &str {
    match wanted.split(' ').next() {
        Some("struct" | "map") => "an object",
        Some("sequence" | "tuple") => "a list",
        Some("enum") => "one of the words that are known there",
        _ => match wanted {
            "a map" => "an object",
            "a sequence" => "a list",
            "unit" => "null",
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
            "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number, which may be negative",
            "f32" | "f64" => "a number",
            _ if wanted.starts_with("a nonzero u") => "a whole number, at least 1",
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use crate::config::file::ConfigFile;

    use super::*;

    /// What is said of a configuration of the wrong shape.
    fn said(text: &str) -> String {
        let error =
            serde_path_to_error::deserialize::<_, ConfigFile<'_>>(&mut serde_json::Deserializer::from_str(text));
        described("", &error.err().unwrap()).to_string()
    }

    #[test]
    fn a_value_of_the_wrong_shape_is_told_in_the_words_of_json() {
        assert_eq!(said(r#"{"client": 7}"#), "client: expected an object");
        assert_eq!(said(r#"{"plugins": {}}"#), "plugins: expected a list");
        assert_eq!(said(r#"{"providers": []}"#), "providers: expected an object");
        assert_eq!(said(r#"{"version": "two"}"#), "version: expected a whole number");
        let days = "client.log_retention_days: expected a whole number, at least 1";
        assert_eq!(said(r#"{"client": {"log_retention_days": 0}}"#), days);
    }

    #[test]
    fn what_is_no_json_is_told_in_its_readers_words_with_the_place_that_has_a_name() {
        assert_eq!(said(r#"{"\q": 1}"#), "invalid escape");
        assert_eq!(said(r#"{"client": {"\q": 1}}"#), "client: invalid escape");
    }

    #[test]
    fn an_unknown_field_is_told_with_the_one_that_was_probably_meant() {
        assert_eq!(said(r#"{"governence": {}}"#), "governence: unknown field; did you mean `governance`?");
        assert_eq!(
            said(r#"{"client": {"enforce_governance_headers": true}}"#),
            "client.enforce_governance_headers: unknown field; did you mean `enforce_governance_header`?"
        );
    }

    #[test]
    fn an_unknown_field_that_is_like_none_is_told_with_those_that_are_known_there() {
        assert_eq!(
            said(r#"{"logs_store": {"nonsense": 1}}"#),
            "logs_store.nonsense: unknown field, expected one of `enabled`, `type`, `config`"
        );
        assert_eq!(said(r#"{"framework": {"nonsense": {}}}"#), "framework.nonsense: unknown field, expected `pricing`");
        // Whatever a stranger writes, what is known is ours.
        assert_eq!(
            said(r#"{"framework": {"nonsense`, expected `nonsenses": {}}}"#),
            "framework.nonsense`, expected `nonsenses: unknown field, expected `pricing`"
        );
    }
}

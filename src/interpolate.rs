//! `${VAR}` and `${VAR:-default}` in configuration files; `$$` is a dollar sign.

/// Why a text could not be interpolated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InterpolateError {
    /// A variable that is not set, without a default.
    #[error("the environment variable {0} is not set; set it, or write ${{{0}:-default}}")]
    Unset(String),
    /// A `${` without its end.
    #[error("`${{` without its `}}` in \"{0}\"")]
    Unclosed(String),
    /// What stands between the braces is no variable's name.
    #[error("\"{0}\" is not the name of an environment variable")]
    NotAName(String),
}

/// Replaces each `${VAR}` by what `lookup` knows; an empty value counts as unset when there is a default.
///
/// # Errors
/// When a variable is unset and has no default, or the text is malformed.
pub fn interpolate(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, InterpolateError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        result.push_str(before);
        rest = if let Some(after) = dollar.strip_prefix("$$") {
            result.push('$');
            after
        } else if let Some(after) = dollar.strip_prefix("${") {
            let (inside, after) = after.split_once('}').ok_or_else(|| InterpolateError::Unclosed(text.to_owned()))?;
            result.push_str(&value_of(inside, &lookup)?);
            after
        } else {
            result.push('$');
            dollar.get(1..).unwrap_or_default()
        };
    }
    result.push_str(rest);
    Ok(result)
}

fn value_of(inside: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, InterpolateError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !well_formed {
        return Err(InterpolateError::NotAName(name.to_owned()));
    }
    match (lookup(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(InterpolateError::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn a_set_variable_wins_over_its_default() {
        assert_eq!(interpolate("a ${SET:-x} b", environment).unwrap(), "a value b");
    }

    #[test]
    fn an_empty_variable_takes_its_default() {
        assert_eq!(interpolate("${EMPTY:-1}", environment).unwrap(), "1");
        assert_eq!(interpolate("${EMPTY}", environment).unwrap(), "");
    }

    #[test]
    fn an_unset_variable_without_default_is_named() {
        let error = interpolate("${MISSING}", environment).unwrap_err().to_string();
        assert_eq!(error, "the environment variable MISSING is not set; set it, or write ${MISSING:-default}");
    }

    #[test]
    fn a_doubled_dollar_is_one_and_money_is_left_alone() {
        assert_eq!(interpolate("$$${SET} $0.005", environment).unwrap(), "$value $0.005");
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_stays_as_it_is(text in "[^$]*") {
            prop_assert_eq!(interpolate(&text, environment).unwrap(), text);
        }

        #[test]
        fn any_text_survives_when_its_dollars_are_doubled(text in ".*") {
            prop_assert_eq!(interpolate(&text.replace('$', "$$"), environment).unwrap(), text);
        }

        #[test]
        fn a_default_is_taken_word_for_word(default in "[^}$]+") {
            prop_assert_eq!(interpolate(&format!("${{MISSING:-{default}}}"), environment).unwrap(), default);
        }
    }
}

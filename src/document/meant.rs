//! What was probably meant by a name that nobody knows.

/// The name in backquotes after `before`.
pub(super) fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.split_once(before)?.1.split_once('`').map(|(name, _)| name)
}

/// What was probably meant, from serde's list of the names that it knows.
pub(super) fn suggestion(message: &str) -> Option<String> {
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

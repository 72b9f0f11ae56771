//! Names of models in lower case: no other case of its letters is a way to another price, or around a limit.

use std::borrow::Cow;

/// The name with its ASCII letters in lower case.
pub(crate) fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

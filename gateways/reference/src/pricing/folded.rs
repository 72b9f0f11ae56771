//! A model's name as prices know it: no other case of its letters is a way to another price.

use std::borrow::Cow;

/// The name with its ASCII letters in lower case.
pub(super) fn folded(model: &str) -> Cow<'_, str> {
    if model.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(model.to_ascii_lowercase())
    } else {
        Cow::Borrowed(model)
    }
}

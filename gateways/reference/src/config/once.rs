//! What must not stand in the file twice: ids, names, values, windows.

use std::collections::HashSet;

use super::load::Invalid;

/// What stood there so far.
#[derive(Default)]
pub(super) struct Once(HashSet<(&'static str, String)>);

impl Once {
    /// Notes a value. A credential is not repeated in the message.
    pub(super) fn note(&mut self, at: &str, field: &str, what: &'static str, value: &str) -> Result<(), Invalid> {
        if self.0.insert((what, value.to_owned())) {
            return Ok(());
        }
        Err(Invalid::new(format!("{at}.{field}"), format!("the same {what} stands there twice")))
    }
}

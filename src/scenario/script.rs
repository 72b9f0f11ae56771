//! Where in its file a script of the upstream makes no sense.

use mock_upstream::{Script, ScriptError};

use crate::document::Key;

/// Checks that a script can be played. What is wrong comes with its path from the script's root.
pub(crate) fn check(script: &Script) -> Result<(), (Vec<Key>, String)> {
    script.validate().map_err(|error| {
        let path = match &error {
            ScriptError::ProviderName { provider } => vec!["providers".into(), provider.as_str().into()],
            ScriptError::UnknownModel { provider, .. } => {
                vec!["providers".into(), provider.as_str().into(), "models".into()]
            }
            ScriptError::Model { model, .. } => vec!["models".into(), model.as_str().into()],
            ScriptError::Rule { provider, number, .. } => {
                vec!["providers".into(), provider.as_str().into(), "faults".into(), Key::Item(number - 1)]
            }
        };
        (path, error.to_string())
    })
}

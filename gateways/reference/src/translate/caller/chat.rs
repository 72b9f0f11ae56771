//! Chat completions themselves: the pivot is what the caller speaks.

use serde_json::Value;

use crate::translate::read::has_choices;
use crate::translate::said::Said;

/// Hands chunks on, one by one.
#[derive(Debug)]
pub(crate) struct Writer {
    hides_usage: bool,
}

impl Writer {
    /// `hides_usage`: the caller did not ask for the chunk that carries only usage.
    pub(crate) fn new(hides_usage: bool) -> Writer {
        Writer { hides_usage }
    }

    pub(crate) fn chunk(&mut self, chunk: &Value) -> Vec<Said> {
        if has_choices(chunk) || !self.hides_usage { vec![Said::data(chunk)] } else { Vec::new() }
    }

    pub(crate) fn end(&mut self) -> Vec<Said> {
        vec![Said::done()]
    }
}

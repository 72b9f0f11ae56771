//! The report as JSON: the model, as it is.

use serde::Serialize;

use super::model::Report;

/// Renders a report as one JSON object, by the schema that `probity schema report` prints.
#[must_use]
pub fn render(report: &Report) -> String {
    pretty(report)
}

/// Any of the program's own results as indented JSON with a newline at its end.
#[expect(clippy::expect_used, reason = "writing to memory fails for maps with odd keys only, and no result has any")]
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("results are plain structs");
    text.push('\n');
    text
}

//! What is wrong with a YAML file, and where.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Something is wrong with a file, at a place in it.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {message}", path.display(), Line(*line))]
pub struct DocumentError {
    path: PathBuf,
    /// Counted from 1; 0 if the file could not be read at all.
    line: usize,
    message: String,
    help: Option<String>,
    source_code: Option<NamedSource<Arc<str>>>,
    label: Option<LabeledSpan>,
}

struct Line(usize);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            line => write!(f, ":{line}"),
        }
    }
}

impl Diagnostic for DocumentError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source_code.as_ref().map(|code| code as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.label.clone().map(|label| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = _>>)
    }
}

impl DocumentError {
    /// The error for a file or folder that cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: &std::io::Error) -> Box<Self> {
        Box::new(Self {
            path: path.to_owned(),
            line: 0,
            message: format!("cannot be read: {error}"),
            help: None,
            source_code: None,
            label: None,
        })
    }

    /// The error for a place in a text that could be read, as a range of bytes.
    pub(super) fn at(
        path: &Path,
        text: &Arc<str>,
        (start, end): (usize, usize),
        message: &str,
        help: Option<String>,
    ) -> Box<Self> {
        let start = start.min(text.len());
        let line = text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
        // One line is enough to show which field is meant, even if its value is a whole block.
        let shown = text.get(start..end).map_or(0, |text| text.lines().next().map_or(0, str::len));
        let source = NamedSource::new(path.display().to_string(), Arc::clone(text));
        Box::new(Self {
            path: path.to_owned(),
            line,
            message: message.to_owned(),
            help,
            source_code: Some(source.with_language("yaml")),
            label: Some(LabeledSpan::new(Some("here".to_owned()), start, shown)),
        })
    }
}

//! Results on stdout.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;

use crate::{
    exit::Exit,
    report::{style::Style, write::WriteError},
};

/// The width of a terminal that does not tell it: few shells export `COLUMNS`.
const COLUMNS: usize = 100;

/// In which form a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// For a program, by a schema that `probity schema` prints.
    Json,
}

/// Prints a result. A reader that has seen enough and closed the pipe is no error.
///
/// # Errors
/// When stdout refuses for another reason, such as a full disk.
pub fn print(text: &str) -> Result<(), WriteError> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(output: &mut impl Write, text: &str) -> Result<(), WriteError> {
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(WriteError::Output(error)),
        _ => Ok(()),
    }
}

/// How a command ends whose result is `exit`, after it was printed: a result that could not be
/// printed is no success, and a failure stays what it is.
#[must_use]
pub fn exit_after(printed: &Result<(), WriteError>, exit: Exit) -> Exit {
    match printed {
        Err(error) if exit == Exit::Ok => error.exit(),
        _ => exit,
    }
}

/// How to render for the stdout of this process: colours on a terminal, unless `NO_COLOR` is set
/// (<https://no-color.org>) or the terminal knows none.
#[must_use]
pub fn style() -> Style {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    style_of(io::stdout().is_terminal(), variable)
}

fn style_of(terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Style {
    if !terminal {
        return Style::PLAIN;
    }
    let color = variable("NO_COLOR").is_none() && variable("TERM").is_some_and(|term| term != "dumb");
    let width = variable("COLUMNS").and_then(|columns| columns.parse().ok()).unwrap_or(COLUMNS);
    Style { color, width }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// An output that refuses everything.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_no_success_either() {
        let printed = print_to(&mut Refusing(io::ErrorKind::BrokenPipe), "text");
        assert!(printed.is_ok());
        assert_eq!(exit_after(&printed, Exit::Ok), Exit::Ok);
        assert_eq!(exit_after(&printed, Exit::NonConformant), Exit::NonConformant);
    }

    #[test]
    fn a_result_that_cannot_be_printed_ends_with_a_code_of_its_own_unless_there_is_worse_news() {
        let printed = print_to(&mut Refusing(io::ErrorKind::StorageFull), "text");
        assert!(printed.as_ref().unwrap_err().to_string().starts_with("cannot write to the standard output: "));
        assert_eq!(exit_after(&printed, Exit::Ok), Exit::Unwritable);
        assert_eq!(exit_after(&printed, Exit::NonConformant), Exit::NonConformant);
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let with = |name, value: &'static str| move |asked: &str| (asked == name).then(|| value.to_owned());
        let plain_terminal = |asked: &str| (asked == "TERM").then(|| "xterm".to_owned());
        let no_color = |asked: &str| ["TERM", "NO_COLOR"].contains(&asked).then(|| "1".to_owned());
        assert!(style_of(true, plain_terminal).color);
        assert!(!style_of(false, plain_terminal).color);
        assert!(!style_of(true, no_color).color);
        assert!(!style_of(true, with("TERM", "dumb")).color);
        assert_eq!(style_of(true, with("COLUMNS", "72")).width, 72);
        assert_eq!(style_of(true, plain_terminal).width, 100);
        assert_eq!(style_of(false, with("COLUMNS", "72")), Style::PLAIN);
    }
}

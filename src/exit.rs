//! Exit codes: one enum, for every command. 6, 7 and 8 are kept for waivers and for `vet`, which are to come.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As expected.
    Ok,
    /// Something does not conform.
    NonConformant,
    /// Wrong usage, configuration or scenario.
    Usage,
    /// A target did not get ready.
    NotReady,
    /// Nothing selected, or nothing applicable.
    Nothing,
    /// The run is incomplete.
    Incomplete,
    /// A bug of probity.
    Bug,
    /// A report could not be written.
    Unwritable,
}

impl Exit {
    /// All of them, by code.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::NonConformant,
        Self::Usage,
        Self::NotReady,
        Self::Nothing,
        Self::Incomplete,
        Self::Bug,
        Self::Unwritable,
    ];

    /// The code that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NonConformant => 1,
            Self::Usage => 2,
            Self::NotReady => 3,
            Self::Nothing => 4,
            Self::Incomplete => 5,
            Self::Bug => 70,
            Self::Unwritable => 74,
        }
    }

    /// What it means, in a sentence without its full stop.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "as expected",
            Self::NonConformant => "something does not conform: a MUST was judged `fail` or `deviates`",
            Self::Usage => "wrong usage, configuration or scenario",
            Self::NotReady => "a target did not get ready, or its runtime is not there",
            Self::Nothing => "nothing selected, or nothing applicable",
            Self::Incomplete => "incomplete: interrupted, or a check was not decided",
            Self::Bug => "a bug of probity",
            Self::Unwritable => "a report could not be written",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

//! What an administrator changes while the gateway runs, and how it outlives the process.
//!
//! - [`start`]: which wins at a start, `config.json` or a stored change
//! - [`providers`]: which providers hold, and how a change of them is stored
//! - [`sealer`]: credentials that are stored are encrypted

mod providers;
mod sealer;
mod start;

pub(crate) use providers::Documents;
pub(crate) use sealer::Sealer;
pub(crate) use start::{FileMarks, LiveError, merge};

//! How far a run is, on stderr: a bar for a person, one line a target for a log, nothing if quiet.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::style::{count, harmless};

/// How often the clock beside the bar moves on.
const TICK: Duration = Duration::from_millis(250);

/// The progress of a run; what it shows is wiped when it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    /// For the stderr of this process, or hidden if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let watched = io::stderr().is_terminal();
        let bar = if quiet || !watched { ProgressBar::hidden() } else { ProgressBar::new(0) };
        if let Ok(style) = ProgressStyle::with_template("{prefix}  [{bar:30}] {pos}/{len}  {elapsed}  {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, lines: !quiet && !watched }
    }

    /// A target's turn begins; `total` cases are to come.
    pub fn target(&self, target: &str, runtime: &str, total: usize) {
        if self.lines {
            // Nobody reads a stderr that cannot be written; the run goes on without it.
            let _ = io::stderr().write_all(target_line(target, runtime, total).as_bytes());
        }
        self.bar.reset();
        self.bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
        self.bar.set_prefix(target.to_owned());
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// So many cases are over, and this one runs.
    pub fn update(&self, done: usize, total: usize, current: &str) {
        self.bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
        self.bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        self.bar.set_message(current.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn target_line(target: &str, runtime: &str, total: usize) -> String {
    format!("{target}: {}, {}\n", count(total, "case"), harmless(runtime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_one_line_a_target() {
        assert_eq!(
            target_line("reference@0.1.0", "process (the default)", 96),
            "reference@0.1.0: 96 cases, process (the default)\n"
        );
    }

    #[test]
    fn a_quiet_run_shows_neither_bar_nor_lines() {
        let progress = Progress::new(true);
        assert!(progress.bar.is_hidden() && !progress.lines);
    }

    #[test]
    fn the_bar_follows_the_cases() {
        let progress = Progress::new(true);
        progress.target("reference@0.1.0", "process", 96);
        progress.update(12, 96, "budgets/virtual-key-trips[stream=true]");
        assert_eq!((progress.bar.position(), progress.bar.length()), (12, Some(96)));
        progress.target("litellm@1.106.2", "process", 40);
        assert_eq!((progress.bar.position(), progress.bar.length()), (0, Some(40)));
    }
}

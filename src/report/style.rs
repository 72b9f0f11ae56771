//! How text for people is laid out: colours, and lines that break between words.

use crate::verdict::Verdict;

/// How to render for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether verdicts have colours.
    pub color: bool,
    /// Columns, after which text breaks between words. Paths and commands never break.
    pub width: usize,
}

impl Style {
    /// For files and pipes: no colours, and no line is broken, so that `grep` finds whole ones.
    pub const PLAIN: Self = Self { color: false, width: usize::MAX };

    /// The verdict's word in its colour, filled up to `columns`.
    #[must_use]
    pub fn verdict(self, verdict: Verdict, columns: usize) -> String {
        let code = match verdict {
            Verdict::Pass => "32",
            Verdict::Deviates => "33",
            Verdict::Unknown => "35",
            Verdict::NotReached => "31",
            Verdict::Fail => "1;31",
            Verdict::Waived => "36",
            Verdict::Unsupported => "2",
        };
        self.paint(code, &format!("{:columns$}", verdict.word()))
    }

    /// A heading.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Breaks text that starts after `indent` columns; each further line starts there too. Control
    /// characters come out harmless: what a gateway answered must not steer the reader's terminal.
    #[must_use]
    pub fn wrap(self, text: &str, indent: usize) -> String {
        let room = self.width.saturating_sub(indent).max(20);
        let lines: Vec<_> = text.trim_end().lines().flat_map(|line| wrapped(&harmless(line), room)).collect();
        lines.join(&format!("\n{:indent$}", ""))
    }
}

fn wrapped(line: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > 0 && used + length > room {
            lines.push(String::new());
            used = 0;
        }
        used += word.chars().count();
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Text without control characters: each is written as its escape.
#[must_use]
pub fn harmless(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// Milliseconds as seconds with one digit, rounded down: `6.2 s`.
#[must_use]
pub fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

/// A number and its noun: `1 case`, `2 cases`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first `most` of several names, and how many more there are.
#[must_use]
pub fn shortened(names: &[&str], most: usize) -> String {
    let shown = names.iter().take(most).copied().collect::<Vec<_>>().join("; ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_breaks_between_words_and_goes_on_below_where_it_started() {
        let style = Style { color: false, width: 30 };
        assert_eq!(style.wrap("a key that has spent its budget", 4), "a key that has spent its\n    budget");
    }

    #[test]
    fn a_word_longer_than_the_line_stays_whole() {
        let style = Style { color: false, width: 20 };
        assert_eq!(
            style.wrap("see target/probity/budgets/virtual-key-trips", 0),
            "see\ntarget/probity/budgets/virtual-key-trips"
        );
    }

    #[test]
    fn what_a_gateway_answered_cannot_steer_the_terminal() {
        assert_eq!(Style::PLAIN.wrap("\u{1b}[2Jgone\r\nnext\u{7}", 2), "\\u{1b}[2Jgone\n  next\\u{7}");
    }

    #[test]
    fn without_colour_a_verdict_is_its_word_alone() {
        assert_eq!(Style::PLAIN.verdict(Verdict::Fail, 6), "fail  ");
        assert_eq!(Style { color: true, width: 80 }.verdict(Verdict::Fail, 6), "\u{1b}[1;31mfail  \u{1b}[0m");
    }

    #[test]
    fn a_long_list_of_names_says_how_many_it_leaves_out() {
        assert_eq!(shortened(&["a", "b", "c", "d"], 2), "a; b; and 2 more");
        assert_eq!(shortened(&["a", "b"], 2), "a; b");
    }

    proptest! {
        #[test]
        fn breaking_text_loses_no_word(text in "[a-z]{1,12}( [a-z]{1,12}){0,30}", indent in 0_usize..40, width in 0_usize..120) {
            let lines = Style { color: false, width }.wrap(&text, indent);
            prop_assert_eq!(lines.split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
        }
    }
}

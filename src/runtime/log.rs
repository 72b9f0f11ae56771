//! What a gateway wrote, cut to what a message can hold.

/// How many lines of a gateway's log an error carries.
pub(super) const TAIL: usize = 15;

/// How many bytes of a log are kept: one that is flooded must not take the runner's memory.
pub(super) const MOST: usize = 4 << 20;

/// The end of a log as text, with how much was left out before it.
pub(super) fn end_of(end: &[u8], left_out: u64) -> String {
    let text = String::from_utf8_lossy(end);
    if left_out == 0 { text.into_owned() } else { format!("({left_out} bytes before this are left out)\n{text}") }
}

/// The last `count` lines of a log that are not blank, without a line break at the end.
#[must_use]
pub fn last_lines(log: &str, count: usize) -> String {
    let mut lines: Vec<&str> =
        log.lines().rev().map(str::trim_end).filter(|line| !line.is_empty()).take(count).collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_its_last_lines_without_blank_ones() {
        assert_eq!(last_lines("one\ntwo\r\n\n  three\n\n", 2), "two\n  three");
    }

    #[test]
    fn what_is_no_text_is_shown_as_such_and_what_is_left_out_is_told() {
        assert_eq!(end_of(b"a \xff b", 0), "a \u{fffd} b");
        assert_eq!(end_of(b"end", 7), "(7 bytes before this are left out)\nend");
    }

    #[test]
    fn a_short_log_is_kept_whole() {
        assert_eq!(last_lines("only", 15), "only");
        assert_eq!(last_lines("", 15), "");
    }
}

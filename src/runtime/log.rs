//! What a gateway wrote, cut to what a message can hold.

/// How many lines of a gateway's log an error carries.
pub(super) const TAIL: usize = 15;

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
    fn a_short_log_is_kept_whole() {
        assert_eq!(last_lines("only", 15), "only");
        assert_eq!(last_lines("", 15), "");
    }
}

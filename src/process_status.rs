//! What Linux tells of a process in its status file (proc(5)). Other systems tell nothing.

/// The status of a process, by its number or `self`, while it lives.
pub(crate) fn status(process: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/status")).ok()
}

/// What a field of a status says.
pub(crate) fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The most memory that the process has held, in KiB. One that has ended holds none.
pub(crate) fn peak_memory_kib(status: &str) -> Option<u64> {
    field(status, "VmHWM")?.strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status_of_a_process() {
        assert_eq!(peak_memory_kib("Name:\tgateway\nVmPeak:\t  90000 kB\nVmHWM:\t   12345 kB\n"), Some(12_345));
    }

    #[test]
    fn a_process_that_ended_has_no_peak() {
        assert_eq!(peak_memory_kib("Name:\tgateway\nState:\tZ (zombie)\n"), None);
    }
}

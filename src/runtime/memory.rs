//! The most memory that a process has held.

use std::fs;

/// The peak of a process's resident memory in KiB, while it lives; nothing where the system does
/// not tell (only Linux does).
pub(super) fn peak_kib(pid: u32) -> Option<u64> {
    peak_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// As [`peak_kib`], for the first process of a container, whose number the daemon tells. It counts
/// only if that process is of this container here too: the daemon may see other processes.
pub(super) fn peak_kib_in(container: &str, pid: u32) -> Option<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.contains(container).then(|| peak_kib(pid)).flatten()
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status_of_a_process() {
        assert_eq!(peak_in("Name:\tgateway\nVmPeak:\t  90000 kB\nVmHWM:\t   12345 kB\n"), Some(12_345));
    }

    #[test]
    fn a_process_that_ended_has_no_peak() {
        assert_eq!(peak_in("Name:\tgateway\nState:\tZ (zombie)\n"), None);
    }
}

//! The most memory that a process has held.

use std::fs;

/// The peak of a process's resident memory in KiB, while it lives; nothing where the system does
/// not tell (only Linux does).
pub(super) fn peak_kib(pid: u32) -> Option<u64> {
    peak_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// As [`peak_kib`], for the process of a group that has held the most: the first one may do no more than start it.
pub(super) fn peak_kib_of_group(group: u32) -> Option<u64> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let statuses = processes.filter_map(|process| fs::read_to_string(process.path().join("status")).ok());
    statuses.filter(|status| is_of_group(status, group)).filter_map(|status| peak_in(&status)).max()
}

/// As [`peak_kib`], for the first process of a container, whose number the daemon tells. It counts
/// only if that process is of this container here too: the daemon may see other processes.
pub(super) fn peak_kib_in(container: &str, pid: u32) -> Option<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.contains(container).then(|| peak_kib(pid)).flatten()
}

fn is_of_group(status: &str, group: u32) -> bool {
    let groups = status.lines().find_map(|line| line.strip_prefix("NSpgid:"));
    // The first is the number by which it is known here; a container's process has another one inside.
    groups.and_then(|groups| groups.split_whitespace().next()?.parse().ok()) == Some(group)
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
    fn the_group_of_a_process_is_the_one_by_which_it_is_known_here() {
        let status = "Name:\tgateway\nNSpid:\t4712\t7\nNSpgid:\t4711\t1\n";
        assert!(is_of_group(status, 4711) && !is_of_group(status, 1) && !is_of_group(status, 471));
    }

    #[test]
    fn a_process_that_ended_has_no_peak() {
        assert_eq!(peak_in("Name:\tgateway\nState:\tZ (zombie)\n"), None);
    }
}

//! The most memory that a process has held.

use std::fs;

use crate::process_status::{field, peak_memory_kib, status};

/// The peak of a process's resident memory in KiB, while it lives; nothing where the system does
/// not tell (only Linux does).
pub(super) fn peak_kib(pid: u32) -> Option<u64> {
    peak_memory_kib(&status(&pid.to_string())?)
}

/// As [`peak_kib`], for the process of a group that has held the most: the first one may do no more than start it.
pub(super) fn peak_kib_of_group(group: u32) -> Option<u64> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let statuses = processes.filter_map(|process| status(process.file_name().to_str()?));
    statuses.filter(|status| is_of_group(status, group)).filter_map(|status| peak_memory_kib(&status)).max()
}

/// As [`peak_kib`], for the first process of a container, whose number the daemon tells. It counts
/// only if that process is of this container here too: the daemon may see other processes.
pub(super) fn peak_kib_in(container: &str, pid: u32) -> Option<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.contains(container).then(|| peak_kib(pid)).flatten()
}

fn is_of_group(status: &str, group: u32) -> bool {
    // The first is the number by which it is known here; a container's process has another one inside.
    field(status, "NSpgid").and_then(|groups| groups.split_whitespace().next()?.parse().ok()) == Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_process_is_the_one_by_which_it_is_known_here() {
        let status = "Name:\tgateway\nNSpid:\t4712\t7\nNSpgid:\t4711\t1\n";
        assert!(is_of_group(status, 4711) && !is_of_group(status, 1) && !is_of_group(status, 471));
    }
}

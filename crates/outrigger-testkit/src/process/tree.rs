//! Signals, groups and descendants.
#![allow(unsafe_code, reason = "kill(2) has no safe wrapper in std; it touches no memory of ours")]

use std::fs;

/// Sends a signal to one process.
pub(super) fn send(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: kill takes two integers and touches no memory.
        let _ = unsafe { libc::kill(pid, signal) };
    }
}

/// Sends a signal to a whole process group.
pub(super) fn send_group(group: u32, signal: i32) {
    if let Ok(group) = i32::try_from(group) {
        // SAFETY: kill takes two integers and touches no memory.
        let _ = unsafe { libc::kill(-group, signal) };
    }
}

/// Whether the group has a member that is not merely waiting to be reaped.
pub(super) fn group_lives(group: u32) -> bool {
    processes().iter().any(|process| process.group == group && !process.zombie)
}

/// Whether the process runs.
pub(super) fn lives(pid: u32) -> bool {
    Entry::read(pid).is_some_and(|process| !process.zombie)
}

/// Children, their children and so on, whatever group they are in.
pub(super) fn descendants(pid: u32) -> Vec<u32> {
    let all = processes();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        next += 1;
    }
    found.split_off(1)
}

struct Entry {
    pid: u32,
    parent: u32,
    group: u32,
    zombie: bool,
}

impl Entry {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command stands in parentheses and may itself hold any character.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        Some(Self {
            pid,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
            zombie: matches!(state, "Z" | "X"),
        })
    }
}

/// Empty where there is no `/proc`: the group is then all that can be killed.
fn processes() -> Vec<Entry> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| Entry::read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

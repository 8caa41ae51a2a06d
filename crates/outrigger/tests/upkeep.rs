//! The exporter's upkeep: it runs as long as its recorder is there, and no longer. A process of its own, whose threads
//! can be told apart.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::time::Duration;

use outrigger_testkit::wait_until;

#[test]
fn upkeep_lives_as_long_as_its_recorder() {
    let metrics = outrigger::standalone().unwrap();
    wait_until(Duration::from_secs(5), "the thread has its name", || upkeep_threads() == 1);
    let copy = metrics.clone();
    drop(metrics);
    assert_eq!(upkeep_threads(), 1);
    drop(copy);
    wait_until(Duration::from_secs(20), "the thread ends", || upkeep_threads() == 0);
}

fn upkeep_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    // The kernel keeps fifteen characters of a name.
    tasks
        .filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "outrigger-upkee"))
        .count()
}

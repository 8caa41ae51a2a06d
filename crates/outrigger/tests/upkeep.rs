//! What runs in the background: nothing for our recorder; the exporter's upkeep as long as its recorder is there, and no
//! longer. A process of its own, whose threads can be told apart.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::time::Duration;

use outrigger_testkit::wait_until;

#[test]
fn the_exporters_upkeep_lives_as_long_as_its_recorder_and_ours_needs_none() {
    let before = threads();
    let ours = outrigger::standalone().unwrap();
    assert!(ours.render().is_some());
    assert_eq!(threads(), before);

    let metrics = outrigger::exporter::standalone(outrigger::prometheus_builder()).unwrap();
    wait_until(Duration::from_secs(5), "the thread has its name", || upkeep_threads() == 1);
    let copy = metrics.clone();
    drop(metrics);
    assert_eq!(upkeep_threads(), 1);
    drop(copy);
    wait_until(Duration::from_secs(20), "the thread ends", || upkeep_threads() == 0);
}

fn upkeep_threads() -> usize {
    // The kernel keeps fifteen characters of a name.
    threads().iter().filter(|name| *name == "outrigger-upkee").count()
}

/// Their names.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter_map(|task| Some(fs::read_to_string(task.path().join("comm")).ok()?.trim().to_owned())).collect()
}

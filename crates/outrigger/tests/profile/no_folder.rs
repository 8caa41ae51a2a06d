//! The folder for temporary files goes away beneath the profiler.

use std::process::Command;

use outrigger_semconv::{label, profile};

use crate::Served;
use crate::support::Page;

const CHILD: &str = "OUTRIGGER_NO_FOLDER_CHILD";

/// In a process of its own, whose profiler is lost by it.
#[test]
fn a_profiler_that_cannot_stop_is_a_failure_and_not_somebody_elses_turn() {
    let folder = std::env::temp_dir().join(format!("outrigger-no-folder-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_folder::the_child", "--nocapture"])
        .env(CHILD, &folder)
        .env("TMPDIR", &folder)
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    let complaints = said.lines().filter(|line| line.contains("ERROR") && line.contains("TMPDIR"));
    assert_eq!(complaints.count(), 3, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    tracing_subscriber::fmt().with_ansi(false).init();
    let served = Served::new().await;
    let take = async || served.ask("GET", "/debug/pprof/folded?seconds=1").await;
    assert_eq!(take().await.status, 200);
    std::fs::remove_dir_all(&folder).unwrap();
    // The first of these cannot write what it sampled, and its end leaves pprof running; the others meet that.
    for _ in 0..3 {
        let answer = take().await;
        assert_eq!(answer.status, 500, "{}", answer.text());
    }
    let page = Page::of(&served.metrics);
    for (outcome, requests) in [("taken", 1.0), ("failed", 3.0), ("busy", 0.0)] {
        let labels = [(label::PROFILE_TYPE, "cpu"), (label::PROFILE_OUTCOME, outcome)];
        assert_eq!(page.number(&profile::REQUESTS, &labels), Some(requests), "{outcome}");
    }
}

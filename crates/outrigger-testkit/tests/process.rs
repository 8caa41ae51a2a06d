//! Our own binaries' life: heard, signalled, awaited, and cleared up even when the test process is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use outrigger_testkit::{Folder, Postgres, Process, Program, Signal, binary, http, require, wait_until};
use std::{fs, os::unix::process::ExitStatusExt, path::Path, time::Duration};
use support::processes_that_mention;

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Program {
    Program::new("/bin/sh").args(["-c", script])
}

#[test]
fn output_status_input_and_environment_are_seen() {
    let finished =
        shell("echo out; echo err >&2; echo $WORD; pwd; exit 3").env("WORD", "said").current_dir("/").run(SOON);
    assert_eq!(finished.status.code(), Some(3));
    assert_eq!(finished.stdout, "out\nsaid\n/\n");
    assert!(finished.log.contains("err\n"));

    let long = "line\n".repeat(100_000);
    let finished = shell("cat").run_with_input(long.as_bytes(), SOON);
    assert!(finished.status.success() && finished.stdout == long);
}

#[test]
fn signals_reach_the_process_and_its_end_is_told() {
    let process = shell("trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done").start();
    assert_eq!(process.wait_line(SOON, "ready"), "ready");
    assert!(process.running());
    process.signal(Signal::Term);
    assert_eq!(process.wait_exit(SOON).code(), Some(7));
    assert_eq!(process.stdout(), "ready\ncaught\n");
    process.signal(Signal::Term);

    let stubborn = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done").start();
    stubborn.wait_line(SOON, "ready");
    let status = stubborn.stop(Duration::from_millis(200)).expect("it ended");
    assert_eq!(status.signal(), Some(9));
}

#[test]
fn a_process_that_ends_early_fails_the_wait_with_its_last_words() {
    let process = shell("echo something is missing >&2; exit 1").start();
    let failure = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| process.wait_line(SOON, "ready")));
    let message = failure.expect_err("no such line came").downcast::<String>().expect("a message");
    assert!(message.contains("something is missing") && message.contains("ended"), "{message}");
}

#[test]
fn descendants_in_other_groups_go_with_their_process() {
    let folder = Folder::new("family");
    let process = Program::new("/bin/sh")
        .args(["-c", "setsid sh -c 'sleep 1000 & sleep 1000' & echo ready; wait"])
        .current_dir(folder.path())
        .start();
    process.wait_line(SOON, "ready");
    wait_until(SOON, "the whole family", || processes_that_mention(folder.path()).len() == 4);
    drop(process);
    assert_eq!(processes_that_mention(folder.path()), Vec::<u32>::new());
}

#[test]
fn settings_of_the_developer_do_not_reach_a_program() {
    let finished = test_told_to("settings").env("PASSED", "1").run(SOON);
    assert!(finished.status.success(), "{}", finished.log);
    assert_eq!(finished.stdout.lines().find(|line| line.starts_with("seen:")), Some("seen: "), "{}", finished.log);
}

/// What outlives a killed test: nothing. The helper below is that test, in a process of its own.
#[test]
fn a_killed_test_process_leaves_nothing() {
    for (signal, how) in [(Signal::Kill, "killed"), (Signal::Term, "terminated")] {
        let test = test_told_to("leave").start();
        let line = test.wait_line(SOON, "folder: ");
        let folder = Path::new(line.split("folder: ").nth(1).expect("a path"));
        wait_until(SOON, "server and its child", || processes_that_mention(folder).len() >= 3);
        assert!(folder.join("stubborn-1").is_dir());

        // Only the process itself: its group, and with it the server, is the guardian's affair.
        test.signal(signal);
        test.wait_exit(SOON);
        wait_until(SOON, &format!("nothing left of a {how} test"), || {
            !folder.exists() && processes_that_mention(folder).is_empty()
        });
    }
}

#[test]
fn a_test_process_that_ends_leaves_nothing_either() {
    let test = test_told_to("end").start();
    let line = test.wait_line(SOON, "folder: ");
    let folder = Path::new(line.split("folder: ").nth(1).expect("a path")).to_owned();
    assert!(test.wait_exit(SOON).success(), "{}", test.log());
    wait_until(SOON, "an empty place", || !folder.exists() && processes_that_mention(&folder).is_empty());
}

#[test]
fn only_binaries_that_were_built_are_found() {
    if std::env::var_os("OUTRIGGER_REQUIRE_SERVERS").is_none() {
        assert_eq!(binary("no-such-binary"), None);
        assert_eq!(require::<()>("nothing", None, "nothing helps"), None);
    }
    assert_eq!(require("something", Some(1), ""), Some(1));
}

#[test]
fn a_url_is_awaited() {
    let server = http::Server::start(|_| http::Response::plain(204, ""));
    let process = shell("sleep 1000").start();
    process.wait_url(SOON, &server.url("/"));
}

/// This very test program, told to run one of the helpers below only.
fn test_told_to(what: &str) -> Program {
    Program::new(std::env::current_exe().expect("own path"))
        .args(["--exact", "helper", "--ignored", "--nocapture"])
        .env("TESTKIT_HELPER", what)
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn helper() {
    let told = std::env::var("TESTKIT_HELPER").unwrap_or_default();
    match told.as_str() {
        "leave" => {
            // One ignores the polite request and has a child that does too; the other has children in groups of their own.
            let (folder, _process) = stubborn_server();
            let _postgres = Postgres::start();
            println!("\nfolder: {}", folder.path().parent().expect("a parent").display());
            loop {
                std::thread::park();
            }
        }
        "end" => {
            let (folder, process) = stubborn_server();
            println!("\nfolder: {}", folder.path().parent().expect("a parent").display());
            // As a static would: never dropped.
            std::mem::forget((folder, process));
        }
        "settings" => {
            // Programs may be given such variables; they are not handed down to those that they start.
            let inner = Program::new(std::env::current_exe().expect("own path"))
                .args(["--exact", "helper", "--ignored", "--nocapture"])
                .env("TESTKIT_HELPER", "settings-inner")
                .env("OUTRIGGER_TEST_SETTING", "1")
                .env("OTEL_TEST_SETTING", "1")
                .run(SOON);
            print!("\n{}", inner.stdout);
        }
        "settings-inner" => {
            let finished = shell("echo \"\nseen: $OUTRIGGER_TEST_SETTING$OTEL_TEST_SETTING\"").run(SOON);
            print!("\n{}", finished.stdout);
        }
        other => panic!("not told what to do: {other:?}"),
    }
}

fn stubborn_server() -> (Folder, Process) {
    let folder = Folder::new("stubborn");
    let script = "trap '' TERM; (trap '' TERM; sleep 1000; :) & echo ready; while :; do sleep 1; done";
    let process = shell(script).current_dir(folder.path()).start();
    process.wait_line(SOON, "ready");
    fs::write(folder.path().join("file"), "left").expect("own folder");
    (folder, process)
}

//! A process under load, profiled again and again at the highest rate, lives on: panics, threads that come and go, and
//! backtraces are what an unwinder that is not safe inside signals dies of.
//!
//! `OUTRIGGER_SURVIVAL_SECONDS` sets how long; `cargo verify --long` makes it ten minutes.

use std::backtrace::Backtrace;
use std::panic::catch_unwind;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Served, support::Page};
use outrigger_semconv::{label, profile};

const CHILD: &str = "OUTRIGGER_SURVIVAL_CHILD";
const SECONDS: &str = "OUTRIGGER_SURVIVAL_SECONDS";

#[test]
fn panics_thread_churn_and_backtraces_under_the_profiler() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "survival::the_child", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&child.stderr).into_owned();
    let end = complaint.lines().rev().take(30).collect::<Vec<_>>();
    assert!(child.status.success(), "{}: {said}\n{end:#?}", child.status);
    // The harness writes the test's name before the first line.
    let line = |start: &str| said.lines().find_map(|line| line.find(start).map(|at| line.split_at(at).1.to_owned()));
    println!("\n{}", line("warming up took").expect("it says what that costs"));
    println!("{}", line("survived ").expect("it says what it lived through"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    // It panics many thousand times: none of that needs to be read.
    std::panic::set_hook(Box::new(|_| {}));
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let (before, begun) = (resident_mebibytes(), Instant::now());
    outrigger::profile::warm_up();
    println!("warming up took {:?} and {} MiB", begun.elapsed(), resident_mebibytes() - before);
    let until = Instant::now() + Duration::from_secs(seconds);
    let stop = Arc::new(AtomicBool::new(false));
    let deeds: Vec<fn()> = vec![panic_deep, come_and_go, look_back, allocate];
    let done = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = deeds
        .into_iter()
        .map(|deed| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    deed();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    let served = Served::new().await;
    let mut forms = ["profile", "folded", "flamegraph"].into_iter().cycle();
    let mut profiles = 0;
    while Instant::now() < until {
        let form = forms.next().unwrap();
        let answer = served.ask("GET", &format!("/debug/pprof/{form}?seconds=1&hz=1000")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body.len() > 500, "{form} is {} bytes", answer.body.len());
        profiles += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    let taken = [(label::PROFILE_TYPE, "cpu"), (label::PROFILE_OUTCOME, "taken")];
    assert_eq!(Page::of(&served.metrics).number(&profile::REQUESTS, &taken), Some(f64::from(profiles)));
    println!("survived {profiles} profiles in {seconds} s, beside {} deeds", done.load(Ordering::Relaxed));
}

fn resident_mebibytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<i64>().unwrap() / 1024
}

fn panic_deep() {
    #[inline(never)]
    fn down(depth: u32) -> u32 {
        assert!(depth > 0, "at the bottom");
        std::hint::black_box(down(depth - 1)) + 1
    }
    assert!(catch_unwind(|| down(20)).is_err());
}

fn come_and_go() {
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(|| std::hint::black_box((0..1000_u64).sum::<u64>()))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn look_back() {
    assert!(!Backtrace::force_capture().to_string().is_empty());
}

fn allocate() {
    let held: Vec<Vec<u8>> = (1..200).map(|size| vec![0; size * 37]).collect();
    std::hint::black_box(held);
}

//! Targets whose profiles misbehave, over real sockets: none holds up a tick, a scrape, another target or the end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use std::sync::atomic::{AtomicBool, Ordering};

use outrigger_testkit::wait_for;

use crate::support::pprof::{gzip, profile};
use crate::support::{Agent, DEADLINE, data_dir, shop};

/// What a target does when it is asked for a profile.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Good,
    Absent,
    WantsToken,
    Garbage,
    Bomb,
    Endless,
    Dies,
    Hangs,
}

/// Somebody waits for a profile that never comes.
static HANGS: AtomicBool = AtomicBool::new(false);

/// A service with a page that is always good. Returns its address.
fn start(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // The peer may close at any moment; there is nobody to tell.
                let _ = serve(stream, manner);
            });
        }
    });
    address
}

fn serve(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let asked = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut answer = |status: &str, body: &[u8]| {
        stream.write_all(
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(),
        )?;
        stream.write_all(body)
    };
    if !asked.starts_with("GET /debug/pprof/profile?seconds=1 ") {
        return answer("200 OK", shop(1000, 1, 0).as_bytes());
    }
    match manner {
        Manner::Good => answer("200 OK", &profile(1.0, &[("main;work", 100)])),
        Manner::Absent => answer("404 Not Found", b""),
        Manner::WantsToken => answer("401 Unauthorized", b""),
        Manner::Garbage => answer("200 OK", b"<!doctype html>"),
        Manner::Bomb => answer("200 OK", &gzip(&vec![0; 40 << 20])),
        Manner::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(&[0; 1 << 16])?;
            }
        }
        Manner::Dies => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf"),
        Manner::Hangs => {
            HANGS.store(true, Ordering::SeqCst);
            // Until the peer leaves.
            lines.next().transpose()?;
            Ok(())
        }
    }
}

#[test]
fn whatever_a_target_answers_costs_itself_only() {
    let manners = [
        (Manner::Good, ""),
        (Manner::Absent, "absent"),
        (Manner::WantsToken, "refused"),
        (Manner::Garbage, "invalid"),
        (Manner::Bomb, "invalid"),
        (Manner::Endless, "too_large"),
        (Manner::Dies, "connection"),
    ];
    let targets: Vec<_> = manners.iter().map(|(manner, reason)| (start(*manner), *reason)).collect();
    let names: Vec<&str> = targets.iter().map(|(target, _)| target.as_str()).collect();
    let folder = data_dir();
    let file = outrigger_testkit::Folder::new("profiles");
    let file = file
        .write("outrigger.toml", "save_interval = '1s'\n[profile]\nseconds = '1s'\ncalm_seconds = '1s'\nevery = '2s'");
    let agent = Agent::start_in(&folder, &names, &["--config", &file.to_string_lossy()]);
    for (target, reason) in &targets {
        agent.wait(&format!("{target} {reason}"), |agent| match *reason {
            "" => {
                agent.value("outrigger_profile_taken_total", &[("target", target), ("profile_purpose", "calm")]) >= 2.0
            }
            reason => agent.value("outrigger_profile_failures_total", &[("target", target), ("reason", reason)]) >= 1.0,
        });
        assert_eq!(agent.value("outrigger_target_up", &[("target", target)]), 1.0, "{target}");
    }
    let calm = || std::fs::read_dir(folder.join("profiles")).map_or(0, Iterator::count);
    wait_for(DEADLINE, "a calm profile on disk", || (calm() > 0).then_some(()));
    assert!(agent.value("outrigger_profile_size_bytes", &[]) > 0.0);
    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));
    // Another agent has what this one kept, before it has taken one of its own.
    let agent = Agent::start_in(&folder, &names, &[]);
    assert!(agent.value("outrigger_profile_size_bytes", &[]) > 0.0);
    assert_eq!(agent.value("outrigger_profile_taken_total", &[]), 0.0);
}

#[test]
fn a_profile_that_never_comes_delays_neither_scrapes_nor_the_end() {
    let (hanging, other) = (start(Manner::Hangs), start(Manner::Absent));
    let file = outrigger_testkit::Folder::new("profiles");
    let file = file.write("outrigger.toml", "[profile]\ncalm_seconds = '1s'\nevery = '2s'");
    let agent = Agent::start(&[&hanging, &other], &["--config", &file.to_string_lossy()]);
    let scrapes = |agent: &Agent, target: &str| {
        agent.value("outrigger_scrapes_total", &[("target", target), ("outcome", "success")])
    };
    agent.wait("the profile that never comes", |_| HANGS.load(Ordering::SeqCst));
    for target in [&hanging, &other] {
        let before = scrapes(&agent, target);
        agent.wait("scrapes", |agent| scrapes(agent, target) >= before + 3.0);
    }
    assert_eq!(agent.value("outrigger_scrapes_total", &[("outcome", "failure")]), 0.0);
    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));
}

//! The heap profile of a program that runs on jemalloc: `cargo test --release -p heap --features jemalloc`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::Duration;

use outrigger_testkit::{http, wait_for};

const SOON: Duration = Duration::from_secs(60);

struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(settings: Option<&str>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_heap"));
        command.env("OUTRIGGER_ADMIN_LISTEN", &address).env_remove("_RJEM_MALLOC_CONF");
        if let Some(settings) = settings {
            command.env("_RJEM_MALLOC_CONF", settings);
        }
        Self { child: command.spawn().unwrap(), address }
    }

    fn get(&self, path: &str) -> Option<http::Response> {
        http::get(&format!("http://{}{path}", self.address)).ok()
    }

    /// A gauge on its page.
    fn gauge(&self, name: &str) -> Option<f64> {
        let page = self.get("/metrics")?.text();
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_function_that_holds_most_is_in_the_profile() {
    let program = Program::start(Some("prof:true,prof_active:true,lg_prof_sample:16"));
    wait_for(SOON, "32 MiB to be held", || {
        program.gauge("jemalloc_allocated_bytes").filter(|bytes| *bytes > 32.0 * 1024.0 * 1024.0)
    });
    let answer = program.get("/debug/pprof/heap").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut profile = Vec::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_end(&mut profile).expect("gzip");
    let says = |text: &str| profile.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(says("inuse_space") && says("bytes"), "the units of a heap profile");
    assert!(says("a_leak"), "the function's name");
}

#[test]
fn without_profiling_the_answer_says_how_to_have_it() {
    let program = Program::start(None);
    let answer = wait_for(SOON, "an answer", || program.get("/debug/pprof/heap"));
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("prof:true"), "{}", answer.text());
}

//! What the tests share: an agent as a user starts it, and a service whose page they write.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod pprof;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use outrigger_exposition::{Families, Format, Value, families};
use outrigger_testkit::http::{self, Response, Server};
use outrigger_testkit::{Folder, Process, Program, free_port, wait_until};

/// Generous: two busy cores.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The program under test, with a data folder that no other one has.
pub(crate) fn outrigger() -> Program {
    Program::new(env!("CARGO_BIN_EXE_outrigger")).env("NO_COLOR", "1").env("OUTRIGGER_DATA_DIR", data_dir())
}

/// A new data folder, which is not there yet.
pub(crate) fn data_dir() -> PathBuf {
    // It lasts as long as the tests of this program, whose guardian removes it.
    static ALL: OnceLock<Folder> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ALL.get_or_init(|| Folder::new("data")).path().join(number.to_string())
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Agent {
    /// Starts an agent with a tick of one second on these targets.
    pub(crate) fn start(targets: &[&str], args: &[&str]) -> Self {
        Self::start_in(&data_dir(), targets, args)
    }

    /// Starts an agent that keeps its state in this folder.
    pub(crate) fn start_in(data_dir: &Path, targets: &[&str], args: &[&str]) -> Self {
        for _ in 0..5 {
            let address = format!("127.0.0.1:{}", free_port());
            let mut program = outrigger().args(["run", "--interval", "1s", "--listen", &address]).args(args);
            program = program.env("OUTRIGGER_DATA_DIR", data_dir);
            for target in targets {
                program = program.args(["--target", target]);
            }
            let process = program.start();
            let url = format!("http://{address}");
            wait_until(DEADLINE, "the agent serves", || {
                !process.running() || http::get(&format!("{url}/-/healthy")).is_ok_and(|answer| answer.status == 200)
            });
            if process.running() {
                return Self { process, url };
            }
            assert!(process.log().contains("is taken"), "the agent ended: {}", process.log());
        }
        panic!("no free port in five tries");
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        http::get(&format!("{}{path}", self.url)).unwrap()
    }

    pub(crate) fn page(&self) -> Families {
        families(&self.get("/metrics").body, Format::Text)
    }

    /// The sum of the points of a counter or gauge that carry these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let page = self.page();
        let name = name.trim_end_matches("_total");
        let points = page.families.iter().filter(|family| family.name == name).flat_map(|family| &family.points);
        let has = |point: &&outrigger_exposition::Point| {
            labels
                .iter()
                .all(|(name, value)| point.labels.iter().any(|label| label.name == *name && label.value == *value))
        };
        let number = |point: &outrigger_exposition::Point| match point.value {
            Value::Counter(value) | Value::Gauge(value) => value,
            ref other => panic!("{name} is no number: {other:?}"),
        };
        points.filter(has).map(number).sum()
    }

    pub(crate) fn wait(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait_until(DEADLINE, &format!("{what}\n{}", self.process.log()), || condition(self));
    }
}

/// A service with a page that tests can change while it runs.
pub(crate) struct Service {
    pub(crate) target: String,
    page: Arc<Mutex<Response>>,
    _server: Server,
}

impl Service {
    pub(crate) fn start(page: &str) -> Self {
        let page = Arc::new(Mutex::new(text(page)));
        let shown = Arc::clone(&page);
        let server = Server::start(move |_| shown.lock().unwrap_or_else(PoisonError::into_inner).clone());
        Self { target: server.address().to_string(), page, _server: server }
    }

    pub(crate) fn show(&self, page: &str) {
        self.answer(text(page));
    }

    pub(crate) fn answer(&self, response: Response) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = response;
    }
}

fn text(page: &str) -> Response {
    Response::text_with_type(200, Format::Text.content_type(), page)
}

/// A page with one route: its start, and how many requests ended within 100 ms and above 250 ms.
pub(crate) fn shop(start: u32, fast: u32, slow: u32) -> String {
    let labels =
        r#"http_request_method="GET",url_scheme="http",http_route="/products/{id}",http_response_status_code="200""#;
    let name = "http_server_request_duration_seconds";
    let all = fast + slow;
    format!(
        "# HELP process_start_time_seconds Start of the process.\n# TYPE process_start_time_seconds gauge\n\
         process_start_time_seconds {start}\n\
         # HELP target_info The service.\n# TYPE target_info gauge\n\
         target_info{{service_name=\"shop\",service_version=\"1.2.3\"}} 1\n\
         # HELP {name} Duration of HTTP server requests.\n# TYPE {name} histogram\n\
         {name}_bucket{{{labels},le=\"0.1\"}} {fast}\n{name}_bucket{{{labels},le=\"0.25\"}} {fast}\n\
         {name}_bucket{{{labels},le=\"1\"}} {all}\n{name}_bucket{{{labels},le=\"+Inf\"}} {all}\n\
         {name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {all}\n",
        f64::from(fast) * 0.05 + f64::from(slow) * 0.5
    )
}

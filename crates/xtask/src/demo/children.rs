//! The demo's three processes and the folder that holds all they write.

use super::api;
use super::screen::Screen;
use crate::sh::{self, Result};
use outrigger_testkit::{Folder, Process, Program, free_port};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a process may take to answer for the first time; the shop seeds its products before.
const READY: Duration = Duration::from_secs(30);
/// How long a process may take to end when asked.
const STOP: Duration = Duration::from_secs(5);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether Ctrl-C or SIGTERM has come.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

pub(crate) struct Children {
    pub(crate) agent_url: String,
    pub(crate) admin_url: String,
    /// Where the shop notes when which fault is on.
    pub(crate) truth: PathBuf,
    shop_url: String,
    // In the order in which they are stopped.
    load: Child,
    agent: Child,
    shop: Child,
    folder: Folder,
}

struct Child {
    name: &'static str,
    program: Program,
    process: Process,
    end_noticed: bool,
}

impl Children {
    /// Starts shop, agent and load, in this order, each awaited. With a `day`, the load changes like in a day that takes so
    /// long.
    pub(crate) fn start(journeys_per_second: u32, day: Option<Duration>) -> Result<Self> {
        ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?;
        let folder = Folder::new("demo");
        let (shop, admin_port, agent) = (port(8080), port(9464), port(9465));
        let address = |port: u16| format!("127.0.0.1:{port}");
        let shop_url = format!("http://{}", address(shop));
        let admin_url = format!("http://{}", address(admin_port));
        let agent_url = format!("http://{}", address(agent));

        let truth = folder.path().join("truth.jsonl");
        let shop = Child::start(
            "shop",
            program("shop")?
                .args(["--listen", &address(shop), "--admin-listen", &address(admin_port), "--truth-file"])
                .arg(&truth)
                .arg("--database")
                .arg(folder.path().join("shop.db")),
        );
        shop.await_url(&format!("{admin_url}/-/ready"))?;
        let agent = Child::start(
            "agent",
            program("outrigger")?
                .args(["run", "--interval", "1s", "--target", &address(admin_port), "--listen", &address(agent)])
                .arg("--data-dir")
                .arg(folder.path().join("agent")),
        );
        agent.await_url(&format!("{agent_url}/-/healthy"))?;
        let mut load = program("load")?
            .args(["--target", &shop_url, "--rate", &journeys_per_second.to_string()])
            // Its sustained phase outlasts any demo: the demo ends it.
            .args(["--warm-up", "10s", "--sustained", "24h", "--peak", "0s"]);
        if let Some(day) = day {
            load = load.args(["--day", &humantime::format_duration(day).to_string().replace(' ', "")]);
        }
        let load = Child::start("load generator", load);
        Ok(Self { agent_url, admin_url, truth, shop_url, load, agent, shop, folder })
    }

    /// Ends the shop gracefully and starts it again at the same addresses, as a deploy does.
    pub(crate) fn restart_shop(&mut self) -> Result<()> {
        self.shop.process.stop(STOP);
        self.shop.process = self.shop.program.start();
        self.shop.await_url(&format!("{}/-/ready", self.admin_url))
    }

    /// What to look at, and how.
    pub(crate) fn urls(&self) -> Vec<String> {
        vec![
            format!("  shop    {}/products        its metrics {}/metrics", self.shop_url, self.admin_url),
            format!("  agent   {}/                incidents   {}/api/v1/incidents", self.agent_url, self.agent_url),
        ]
    }

    /// Says once when a process has ended; the others go on.
    pub(crate) fn notice(&mut self, screen: &mut Screen) {
        for child in [&mut self.load, &mut self.agent, &mut self.shop] {
            if let Some(status) = child.process.exit_status()
                && !child.end_noticed
            {
                child.end_noticed = true;
                screen.event(&format!("the {} has ended ({status}); the others go on", child.name));
            }
        }
    }

    /// Whether all three are still there.
    pub(crate) fn all_run(&self) -> bool {
        [&self.load, &self.agent, &self.shop].iter().all(|child| child.process.running())
    }

    /// Ends all three, shows what the load generator measured, and removes the folder.
    pub(crate) fn stop(self) {
        let Self { load, agent, shop, folder, .. } = self;
        load.process.stop(STOP);
        println!("\n{}", load.process.stdout().trim_end());
        agent.process.stop(STOP);
        shop.process.stop(STOP);
        drop(folder);
    }
}

impl Child {
    fn start(name: &'static str, program: Program) -> Self {
        let process = program.start();
        Self { name, program, process, end_noticed: false }
    }

    fn await_url(&self, url: &str) -> Result<()> {
        let begun = Instant::now();
        while !api::answers(url) {
            if let Some(status) = self.process.exit_status() {
                return Err(format!("the {} ended with {status}:\n{}", self.name, self.process.log()).into());
            }
            if interrupted() {
                return Err("interrupted".into());
            }
            if begun.elapsed() > READY {
                let log = self.process.log();
                return Err(format!("the {} does not answer on {url} after {READY:?}:\n{log}", self.name).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// One of our release binaries, telling an OTLP endpoint where the user has set one.
fn program(name: &str) -> Result<Program> {
    let path = sh::release_binary(name);
    if !path.is_file() {
        return Err(format!("{} is missing; leave out --prebuilt", path.display()).into());
    }
    let mut program = Program::new(path);
    for (key, value) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("OTEL_EXPORTER_OTLP_") {
            program = program.env(key, value);
        }
    }
    Ok(program)
}

/// The usual port, or a free one when somebody has it.
fn port(usual: u16) -> u16 {
    if TcpListener::bind(("127.0.0.1", usual)).is_ok() { usual } else { free_port() }
}

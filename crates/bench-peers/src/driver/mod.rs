//! Starting the workers and reading what they say.

pub(crate) mod compare;
pub(crate) mod counts;
pub(crate) mod database;
pub(crate) mod profile;
mod table;

use bench_peers::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The compiled workers.
pub(crate) struct Workers {
    folder: PathBuf,
}

impl Workers {
    /// Compiles them beside the running driver, so that one command is enough.
    pub(crate) fn build(peers: bool) -> Result<Self> {
        let features = if peers { "peers" } else { "" };
        Self::compile(&["--bin", "worker", "--bin", "worker_counting", "--features", features])
    }

    /// Compiles the one that asks a database, which is the only one with sqlx in it.
    pub(crate) fn build_database() -> Result<Self> {
        Self::compile(&["--bin", "worker_database", "--features", "database"])
    }

    fn compile(what: &[&str]) -> Result<Self> {
        let driver = std::env::current_exe()?;
        let folder = driver.parent().ok_or("the driver lies in no folder")?.to_owned();
        let target = folder.parent().ok_or("the driver lies in no target folder")?;
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--quiet"]).args(what).arg("--manifest-path");
        cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).arg("--target-dir").arg(target);
        let status = cargo.stdin(Stdio::null()).status().map_err(|error| format!("cannot start cargo: {error}"))?;
        if status.success() { Ok(Self { folder }) } else { Err(format!("cargo build ended with {status}").into()) }
    }

    fn worker(&self) -> PathBuf {
        self.folder.join("worker")
    }

    fn database(&self) -> PathBuf {
        self.folder.join("worker_database")
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let (said, _) = output(Command::new(self.worker()).args(arguments))?;
        Ok(said)
    }

    /// The `name=value` lines of a worker with the system's allocator.
    pub(crate) fn figures(&self, arguments: &[&str]) -> Result<Figures> {
        Ok(Figures(self.run(arguments)?))
    }

    /// The same of the worker that counts allocations.
    pub(crate) fn counted(&self, arguments: &[&str]) -> Result<Figures> {
        let (said, _) = output(Command::new(self.folder.join("worker_counting")).args(arguments))?;
        Ok(Figures(said))
    }
}

/// What a worker printed.
pub(crate) struct Figures(String);

impl Figures {
    pub(crate) fn get(&self, name: &str) -> Result<f64> {
        let found = self.0.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name);
        let value = found.and_then(|(_, value)| value.parse().ok());
        value.ok_or_else(|| format!("the worker printed no {name}: {}", self.0).into())
    }
}

/// Standard output and standard error of a command that has to succeed.
fn output(command: &mut Command) -> Result<(String, String)> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok((said, errors));
    }
    Err(format!("{command:?} ended with {}\n{errors}", output.status).into())
}

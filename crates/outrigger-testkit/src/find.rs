//! Finds programs: installed servers, our own binaries, a Python with the modules that a script needs.

use crate::{Program, packages};
use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

/// Hands `found` on; when it is missing, prints `SKIPPED: <what> not installed (<remedy>)` and gives `None`.
///
/// # Panics
/// When it is missing and `OUTRIGGER_REQUIRE_SERVERS=1` is set.
pub fn require<T>(what: &str, found: Option<T>, remedy: &str) -> Option<T> {
    if found.is_none() {
        assert!(
            env::var_os("OUTRIGGER_REQUIRE_SERVERS").is_none_or(|value| value != "1"),
            "{what} not installed, and OUTRIGGER_REQUIRE_SERVERS=1 is set: {remedy}"
        );
        say(&format!("SKIPPED: {what} not installed ({remedy})"));
    }
    found
}

/// To the real standard error: what `eprintln!` says is swallowed when a test passes, and a skipped one does.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A program on `PATH` or where Debian hides it (`/usr/sbin`, `/usr/lib/postgresql/*/bin`, newest first).
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let mut postgres: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    postgres.sort();
    folders.extend(postgres.into_iter().rev());
    folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// An installed server program, or a skip that names its Debian package.
pub(crate) fn server_program(name: &str) -> Option<PathBuf> {
    let remedy = match packages::debian(name) {
        Some(package) => format!("apt-get install {package}, or run `cargo verify`"),
        None => format!("put `{name}` on PATH"),
    };
    require(name, find_program(name), &remedy)
}

/// A binary of this workspace, as it was last built into the folder that the test runs from (`target/<profile>`).
///
/// Inside the binary's own package prefer `env!("CARGO_BIN_EXE_<name>")`: cargo then builds it for the test. A binary of
/// another package is built by `cargo build --release --workspace`, which `cargo verify` runs first.
#[must_use]
pub fn binary(name: &str) -> Option<PathBuf> {
    let found = env::current_exe().ok().and_then(|test| {
        // target/<profile>/deps/<test>, or target/<profile>/<binary> for xtask.
        test.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|file| file.is_file())
    });
    let found = require(name, found, "cargo build --release --workspace")?;
    if let Some(source) = newer_source(&found) {
        say(&format!("NOTE: {} is older than {source}; rebuild it to test what stands there", found.display()));
    }
    Some(found)
}

/// A source file that changed after the binary was linked, by the list that cargo keeps beside it.
fn newer_source(binary: &Path) -> Option<String> {
    let changed = |file: &Path| file.metadata().and_then(|data| data.modified()).ok();
    let linked = changed(binary)?;
    let list = std::fs::read_to_string(binary.with_extension("d")).ok()?;
    let newer = |source: &&str| changed(Path::new(source)).is_some_and(|time| time > linked);
    list.split_whitespace().skip(1).find(newer).map(str::to_owned)
}

/// A Python interpreter that can import `modules`: `OUTRIGGER_PYTHON`, else the virtual environment that `cargo verify`
/// makes in `target/venv`, else `python3`.
#[must_use]
pub fn python(modules: &[&str]) -> Option<PathBuf> {
    let from_env = env::var_os("OUTRIGGER_PYTHON").map(PathBuf::from);
    if let Some(wanted) = &from_env
        && !wanted.is_file()
    {
        return require(
            &format!("Python at OUTRIGGER_PYTHON={}", wanted.display()),
            None,
            "give the path of its program",
        );
    }
    let remedy = format!("python3 -m venv target/venv && target/venv/bin/pip install {}", packages::PYPI.join(" "));
    let found = from_env.or_else(virtual_environment).or_else(|| find_program("python3"));
    let able = found.filter(|python| imports(python, modules));
    require(&format!("Python with {}", modules.join(", ")), able, &remedy)
}

fn virtual_environment() -> Option<PathBuf> {
    let test = env::current_exe().ok()?;
    test.ancestors().map(|folder| folder.join("venv/bin/python")).find(|python| python.exists())
}

fn imports(python: &Path, modules: &[&str]) -> bool {
    let statement = modules.iter().fold(String::new(), |all, module| format!("{all}import {module}\n"));
    Program::new(python).args(["-c", &statement]).run(Duration::from_secs(60)).status.success()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path_and_strangers_are_not() {
        assert!(find_program("sh").is_some_and(|sh| sh.is_absolute()));
        assert_eq!(find_program("no-such-program-here"), None);
    }

    #[test]
    fn every_program_we_start_has_its_package() {
        for program in ["postgres", "redis-server", "mariadbd", "prometheus", "prometheus-alertmanager", "chromium"] {
            assert!(packages::debian(program).is_some(), "{program}");
        }
    }
}

//! Running other programs, with errors that name the program and what it said last.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

/// What a step reports when it fails: text for a person, already complete.
pub(crate) type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The checkout's root: this crate lies two folders below it.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where the release binaries lie.
pub(crate) fn release_binary(name: &str) -> PathBuf {
    target_dir().join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// The cargo that runs us, in the checkout's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Any program, in the checkout's root.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command with its output going to `log`; an error carries the log's last lines.
pub(crate) fn logged(command: &mut Command, log: &Path) -> Result<String> {
    let file = fs::File::create(log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    let copy = file.try_clone()?;
    let status = command.stdout(file).stderr(copy).status().map_err(|error| cannot_start(command, &error))?;
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    if status.success() {
        return Ok(text);
    }
    Err(format!("{command:?} ended with {status}\n{}\n(all of it: {})", last_lines(&text, 60), log.display()).into())
}

/// Runs a command with its output passed through.
pub(crate) fn shown(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

fn cannot_start(command: &Command, error: &io::Error) -> String {
    format!("cannot start {}: {error}", command.get_program().to_string_lossy())
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

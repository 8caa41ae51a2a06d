//! What the checks need beside Rust: real servers from Debian, Python packages in a folder of our own, cargo-deny.

use super::Context;
use crate::sh::{self, Result};
use outrigger_testkit::{find_program, packages};
use std::fs;
use std::path::{Path, PathBuf};

/// The Python that tests use to have our formats read by somebody else's code.
pub(crate) fn python() -> PathBuf {
    sh::target_dir().join("venv/bin/python")
}

/// `cargo deny`, pinned so that a new release cannot turn a green build red.
const CARGO_DENY: &str = "0.20.2";

pub(super) fn cargo_deny() -> PathBuf {
    sh::target_dir().join("tools/bin/cargo-deny")
}

pub(super) fn install(context: &Context) -> Result<String> {
    let mut said = vec![debian(context)?, pypi(context)?, deny(context)?];
    said.retain(|line| !line.is_empty());
    Ok(if said.is_empty() { "everything needed is installed".into() } else { said.join("\n") })
}

fn debian(context: &Context) -> Result<String> {
    let mut missing: Vec<&str> = packages::DEBIAN
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(String::new());
    }
    let list = missing.join(" ");
    if !context.install {
        return Err(format!("missing: {list}; run `apt-get install {list}`, or leave out --no-install").into());
    }
    if find_program("apt-get").is_none() {
        return Err(format!("the tests need the programs of Debian's packages {list}, and there is no apt-get here; install them by hand, then use --no-install").into());
    }
    let user = sh::program("id").arg("-u").output()?;
    let sudo = String::from_utf8_lossy(&user.stdout).trim() != "0";
    eprintln!("installing Debian packages: {list}");
    let script = context.logs.join("apt.sh");
    fs::write(&script, APT)?;
    let mut command = if sudo { sh::program("sudo") } else { sh::program("sh") };
    if sudo {
        command.arg("sh");
    }
    sh::logged(command.arg(&script).args(&missing), &context.logs.join("apt.log"))
        .map_err(|error| format!("cannot install {list}: {error}"))?;
    Ok(format!("installed from Debian: {list}"))
}

/// Installs without starting a service: the tests start their own, on ports of their own.
const APT: &str = r#"set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update
apt-get install -y --no-install-recommends "$@"
"#;

fn pypi(context: &Context) -> Result<String> {
    let python = python();
    let stamp = sh::target_dir().join("venv/installed");
    let wanted = packages::PYPI.join("\n");
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(String::new());
    }
    let list = packages::PYPI.join(" ");
    if !context.install {
        return Err(format!("missing: a Python environment with {list} in {}", python.display()).into());
    }
    eprintln!("installing from PyPI: {list}");
    let folder = sh::target_dir().join("venv");
    make_environment(&folder, context)?;
    sh::logged(
        sh::program(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(packages::PYPI),
        &context.logs.join("pip.log"),
    )
    .map_err(|error| format!("cannot install {list} from PyPI: {error}"))?;
    fs::write(stamp, wanted)?;
    Ok(format!("installed from PyPI: {list}"))
}

fn make_environment(folder: &Path, context: &Context) -> Result<()> {
    let log = context.logs.join("venv.log");
    sh::logged(sh::program("python3").args(["-m", "venv", "--clear"]).arg(folder), &log).map(drop).map_err(|error| {
        format!("cannot make a Python environment (Debian: apt-get install python3-venv): {error}").into()
    })
}

fn deny(context: &Context) -> Result<String> {
    let said = cargo_deny().is_file().then(|| sh::program(cargo_deny()).arg("--version").output().ok()).flatten();
    if said.is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_DENY)) {
        return Ok(String::new());
    }
    if !context.install {
        return Err(format!("missing: cargo-deny {CARGO_DENY} in {}", cargo_deny().display()).into());
    }
    eprintln!("installing from crates.io: cargo-deny {CARGO_DENY}");
    let root = sh::target_dir().join("tools");
    // Unoptimised: it runs for a second, and compiles in one minute instead of five.
    sh::logged(
        sh::cargo()
            .args(["install", "cargo-deny", "--locked", "--debug", "--version", CARGO_DENY, "--root"])
            .arg(root)
            .env_remove("CARGO_TARGET_DIR"),
        &context.logs.join("cargo-deny-install.log"),
    )?;
    Ok(format!("installed from crates.io: cargo-deny {CARGO_DENY}"))
}

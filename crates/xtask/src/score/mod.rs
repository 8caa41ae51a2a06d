//! `cargo score`: the table of what the detectors find, on labelled data that is kept elsewhere.

mod cost;
mod table;

use crate::sh::{self, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::SystemTime;

pub(crate) const EXAMPLES: &str = "\
The folder holds the labelled data, its scorer and its generators (score.py, gen.py, gen_replay.py, data/); it is no part
of this repository, and nothing is written to it.

Examples:
  cargo score --data ../anomaly                       print the table; takes some ten minutes
  cargo score --data ../anomaly --streams 0           leave the held-out streams out
  cargo score --data ../anomaly --write               write docs/detection.md as well";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder of labelled data
    #[arg(long, value_name = "FOLDER", env = "OUTRIGGER_ANOMALY_DATA")]
    data: Option<PathBuf>,
    /// How many streams to generate from seeds that nothing was tuned on
    #[arg(long, default_value_t = 200)]
    streams: u32,
    /// The first of their seeds
    #[arg(long, value_name = "SEED", default_value_t = 700_000)]
    seed_from: u32,
    /// How many processes work at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,
    /// A Python with numpy [default: one is set up below target/score]
    #[arg(long)]
    python: Option<PathBuf>,
    /// Write docs/detection.md as well
    #[arg(long)]
    write: bool,
    /// Use the release binary as it is
    #[arg(long)]
    prebuilt: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let data = data(options)?;
    let scratch = sh::target_dir().join("score");
    fs::create_dir_all(&scratch).map_err(|error| format!("cannot make {}: {error}", scratch.display()))?;
    if !options.prebuilt {
        eprintln!("building the agent (release) ...");
        sh::shown(sh::cargo().args(["build", "--release", "--package", "outrigger-agent", "--bins"]))?;
    }
    let python = match &options.python {
        Some(python) => python.clone(),
        None => environment(&scratch)?,
    };
    let cost = cost::measure()?;
    let output = sh::program(&python)
        .arg(sh::root().join("crates/xtask/src/score/figures.py"))
        .arg("--data")
        .arg(&data)
        .arg("--scratch")
        .arg(&scratch)
        .arg("--detect")
        .arg(sh::release_binary("outrigger"))
        .args(["--jobs", &options.jobs.to_string(), "--streams", &options.streams.to_string()])
        .args(["--seed-from", &options.seed_from.to_string()])
        // The folder may be read-only, and is somebody else's.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", python.display()))?;
    if !output.status.success() {
        return Err(format!("scoring ended with {}; what it said stands above", output.status).into());
    }
    let figures = serde_json::from_slice(&output.stdout).map_err(|error| format!("the scorer's answer: {error}"))?;
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let date = now.get(..10).unwrap_or_default();
    let text = table::markdown(&figures, &cost, date, options.streams, options.seed_from);
    print!("{text}");
    if options.write {
        let docs = sh::root().join("docs");
        fs::create_dir_all(&docs)?;
        fs::write(docs.join("detection.md"), text)?;
        eprintln!("written to docs/detection.md");
    }
    Ok(ExitCode::SUCCESS)
}

fn data(options: &Options) -> Result<PathBuf> {
    let Some(data) = &options.data else {
        return Err("the labelled data is no part of this repository; say where it lies with --data FOLDER or \
                    OUTRIGGER_ANOMALY_DATA"
            .into());
    };
    for name in ["score.py", "gen.py", "gen_replay.py", "seeds_dev.json", "replay_seeds.json", "data/petshop"] {
        if !data.join(name).exists() {
            return Err(format!("{}: there is no {name}; is this the folder of labelled data?", data.display()).into());
        }
    }
    data.canonicalize().map_err(|error| format!("{}: {error}", data.display()).into())
}

/// A Python of our own with what the scorer needs.
fn environment(scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("venv");
    let python = folder.join("bin/python");
    let has_numpy = || sh::program(&python).args(["-c", "import numpy"]).stderr(Stdio::null()).status();
    if has_numpy().is_ok_and(|status| status.success()) {
        return Ok(python);
    }
    eprintln!("installing numpy from PyPI into {}", folder.display());
    let made =
        sh::logged(sh::program("python3").args(["-m", "venv", "--clear"]).arg(&folder), &scratch.join("venv.log"));
    made.map_err(|error| format!("cannot make a Python environment (Debian: apt-get install python3-venv): {error}"))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy>=2,<3"];
    sh::logged(sh::program(&python).args(pip), &scratch.join("pip.log"))
        .map_err(|error| format!("cannot install numpy (or give a Python that has it with --python): {error}"))?;
    Ok(python)
}

//! The project's own commands: `cargo demo` runs the main job, `cargo verify` is every check and every test,
//! `cargo score` says how well the detectors do.

mod demo;
mod score;
mod sh;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo", about = "Outrigger's own commands", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the example shop under load with the agent beside it, break a route, and print the incident it reports
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Options),
    /// Run every check and every test, installing what they need
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Options),
    /// Print what the detectors find in labelled data, beside a reference and the goals
    #[command(after_help = score::EXAMPLES)]
    Score(score::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Score(options) => score::run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

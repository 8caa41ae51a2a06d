//! Load for the example shop: customers who come whether or not the shop keeps up, and a report of what they saw.
//!
//! Journeys arrive at random (a Poisson process) and independent of the answers: a slow shop gets as many as a fast one. Within
//! a journey each step follows the answer to the one before and some thinking, as people do. Latency runs from the moment a
//! request was *meant* to be sent, so that a wait inside this program counts and hides nothing.

mod arrivals;
mod client;
mod day;
mod histogram;
mod journey;
mod options;
mod popularity;
mod report;
mod stats;
mod users;

use clap::Parser;
use options::Options;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    // An unwritable report must be known now, not after the run.
    let file = options.report.as_ref().map(report::File::create).transpose()?;
    let report = arrivals::run(options).await?;
    report::print(&report);
    if let Some(file) = file {
        file.write(&report)?;
    }
    Ok(())
}

//! `outrigger tell --test`: does word of an incident arrive?

use std::io::Write as _;
use std::process::ExitCode;

use super::plain::plain;
use super::{RunArgs, fail, runtime, variables};
use crate::client::Client;
use crate::tell::trial;

/// Sends a test message to each destination of the settings, which are read as `run` reads them.
pub(super) fn test(args: &RunArgs) -> ExitCode {
    let settings = match variables().and_then(|variables| args.settings(&variables)) {
        Ok(settings) => settings.tell,
        Err(error) => return fail(&error),
    };
    let client = match Client::new(settings.uris()) {
        Ok(client) => client,
        Err(error) => return fail(&format_args!("TLS cannot be used: {error}")),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let told = runtime.block_on(trial::send_all(&settings, &client));
    runtime.shutdown_background();
    if told.is_empty() {
        return fail(&"nobody is told of incidents; name a destination in [tell], such as `alertmanager`");
    }
    for (destination, outcome) in &told {
        let answer = outcome.as_ref().map_or_else(String::as_str, |()| "taken");
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stdout(), "{}", plain(&format!("{destination}: {answer}")));
    }
    if told.iter().all(|(_, outcome)| outcome.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

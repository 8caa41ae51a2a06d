//! The `outrigger` program; everything stands in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    outrigger_agent::cli::main()
}

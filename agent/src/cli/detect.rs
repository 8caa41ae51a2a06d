//! `outrigger detect`: the agent's detectors over files and pipes, one row of CSV in, one out.

mod csv;
mod explain;
mod hist;
mod point;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Subcommand;

use super::plain::plain;

#[derive(Subcommand)]
pub(super) enum Detect {
    /// Judge the latency of one route from its bucket counters.
    #[command(long_about = HIST, after_help = HIST_EXAMPLES)]
    Hist {
        /// Say on stderr what moved as an anomaly opens, and why it ended.
        #[arg(long)]
        words: bool,
    },
    /// Judge any other series of values: a rate, a saturation, a queue, memory.
    #[command(long_about = POINT, after_help = POINT_EXAMPLES)]
    Point {
        /// Say on stderr what is unusual.
        #[arg(long)]
        words: bool,
    },
    /// Name the components that make another one slow or fail, the most suspicious first.
    #[command(long_about = EXPLAIN, after_help = EXPLAIN_EXAMPLES)]
    Explain(explain::Explain),
}

const HIST: &str = "\
Judge the latency of one route from its bucket counters.

Reads CSV on stdin with the header `timestamp,le_<bound>,...,le_+Inf[,sum]`: cumulative counters of one Prometheus
histogram, bounds in seconds and ascending, one row per scrape. Counters that fall back are a restart; a scrape that was
missed is a row that is absent. `timestamp` is UNIX seconds or a date of UTC.

Writes `timestamp,score,alert` for each row and in their order, without a header: how far the route is above its usual,
in standard deviations of its own noise, and 1 while an anomaly is open. No row looks at a later one.";

const HIST_EXAMPLES: &str = "\
Examples:
  outrigger detect hist < route.csv > verdicts.csv
  tail -n +1 -f route.csv | outrigger detect hist --words";

const POINT: &str = "\
Judge any other series of values: a rate, a saturation, a queue, memory.

Reads CSV on stdin with the header `timestamp,value`, best a row a minute. `timestamp` is UNIX seconds or a date of UTC;
a value that is absent or NaN is passed over.

Writes `timestamp,score,alert` for each row and in their order, without a header: how unusual the value is for this
series (0 where the like was told of late), and 1 where that is told. No row looks at a later one.";

const POINT_EXAMPLES: &str = "\
Example:
  outrigger detect point --words < queue.csv > verdicts.csv";

const EXPLAIN: &str = "\
Name the components that make another one slow or fail, the most suspicious first, one per line.

What a component adds to the time of its requests (or to their failures) beyond what the components it calls add is its
own; the one with the most of it comes first. The recordings have a column for each component, metric (`latency` in
seconds, `availability` in per cent, `requests`) and statistic (`Average`, or p50 to p99 in its place; `Sum`), and a row
for each interval. Give the incident a few intervals from before it: what was as slow then is not its cause.";

const EXPLAIN_EXAMPLES: &str = "\
Example:
  outrigger detect explain normal.csv incident.csv graph.csv checkout latency --words";

/// Runs one detector over stdin, or over files.
pub(super) fn main(detect: &Detect) -> ExitCode {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let outcome = match detect {
        Detect::Hist { words } => hist::run(io::stdin().lock(), &mut output, &mut Words(*words)),
        Detect::Point { words } => point::run(io::stdin().lock(), &mut output, &mut Words(*words)),
        Detect::Explain(explain) => explain::run(explain, &mut output),
    };
    // What was judged before a mistake in the input is still an answer.
    let outcome = outcome.and(output.flush().map_err(DetectError::Output));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // A closed pipe is the reader's choice.
        Err(DetectError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

/// Sentences for people beside the rows for programs, if they are wanted.
struct Words(bool);

impl Words {
    fn say(&mut self, timestamp: &str, sentence: fmt::Arguments<'_>) {
        if self.0 {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(io::stderr(), "{}", plain(&format!("{timestamp}: {sentence}")));
        }
    }
}

/// Why a detector stopped before the end of its input.
#[derive(Debug)]
enum DetectError {
    /// The input is not what was asked for: where, what, and what to write instead.
    Input(String),
    /// The input could not be read.
    Read(String, io::Error),
    /// The output could not be written.
    Output(io::Error),
}

impl fmt::Display for DetectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(message) => f.write_str(message),
            Self::Read(source, error) => write!(f, "{source}: cannot be read: {error}"),
            Self::Output(error) => write!(f, "stdout: cannot be written: {error}"),
        }
    }
}

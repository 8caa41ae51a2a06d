//! The driver: builds the workers, runs them, and prints what they say side by side.

mod driver;

use bench_peers::Result;
use driver::{Workers, compare, counts, database, profile};

const USAGE: &str = "\
usage: cargo run --release -- [--peers] <measure> [names]

  compare                       everything beside the other libraries, as one table (some minutes; needs valgrind)
  list                          contenders, single observations, operations, registries
  profile <first> <second>      where a request of the second spends more instructions than one of the first
  page <contender>              what it has recorded after ten requests
  instructions [contenders]     instructions per request, also over the first contender (needs valgrind)
  observations [cases]          instructions per observation, also over the empty loop (needs valgrind)
  operations [cases]            what wrapping adds to a task, a cache hit: instructions, allocations (needs valgrind)
  allocations [contenders]      allocations per request, also over the first contender
  queries                       what a timed query costs beside a bare one (needs valgrind)
  query-allocations             the part of it that needs no valgrind
  memory <libraries>            what is held beyond the series, and allocations per 64 KiB of a page

--peers compiles the other libraries too.";

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let peers = arguments.first().is_some_and(|first| first == "--peers");
    if peers {
        arguments.remove(0);
    }
    let Some((measure, names)) = arguments.split_first() else {
        return Err(USAGE.into());
    };
    match measure.as_str() {
        "queries" => return database::queries(&Workers::build_database()?),
        "query-allocations" => return database::allocated(&Workers::build_database()?),
        _ => {}
    }
    let workers = Workers::build(peers || measure == "compare")?;
    match measure.as_str() {
        "compare" => compare::all(&workers)?,
        "list" => print!("{}", workers.run(&["list"])?),
        "profile" => {
            let [first, second] = names else { return Err(USAGE.into()) };
            profile::of_request(&workers, first, second)?;
        }
        "page" => print!("{}", workers.run(&["page", names.first().ok_or(USAGE)?])?),
        "allocations" => counts::allocations(&workers, names)?,
        "memory" => counts::memory(&workers, names)?,
        "instructions" => counts::requests(&workers, names)?,
        "observations" => counts::observations(&workers, names)?,
        "operations" => counts::operations(&workers, names)?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

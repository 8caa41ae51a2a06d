//! Profiles of the running service, on demand, and the timing of single functions.
//!
//! With the feature `profile`, the [admin listener](crate::admin) takes CPU profiles when it is asked to:
//!
//! ```sh
//! go tool pprof -http=: 'http://127.0.0.1:9464/debug/pprof/profile?seconds=10'
//! curl -o flame.svg 'http://127.0.0.1:9464/debug/pprof/flamegraph?seconds=10&hz=99'
//! ```
//!
//! | path | answer |
//! |---|---|
//! | `/debug/pprof/` | a page with links to the others |
//! | `/debug/pprof/profile` | the CPU profile in pprof's protobuf, compressed by gzip, as `go tool pprof`, Pyroscope and Parca read it |
//! | `/debug/pprof/flamegraph` | the CPU profile as a flame graph: an SVG to be opened in a browser |
//! | `/debug/pprof/folded` | the CPU profile as folded stacks, a line of text for each: `thread;main;work 42` |
//! | `/debug/pprof/heap` | with the feature `jemalloc`: what the heap holds, and who allocated it, in pprof's protobuf |
//!
//! | parameter of a CPU profile | range | default |
//! |---|---|---|
//! | `seconds` | 1 to 60 | 10 |
//! | `hz`: samples per second of CPU time | 1 to 1000 | 99 |
//!
//! Anything else in the query is a 400 that says what is allowed. One profile is taken at a time: whoever asks meanwhile
//! gets a 429 whose `Retry-After` says when the running one will have ended. A client that leaves ends its profile. When
//! the admin listener shuts down, a running profile ends early, and its answer holds what was sampled until then.
//! **Nothing but these requests ever starts the profiler.**
//!
//! The [token](crate::admin#who-may-read-it) of the admin listener covers these paths too. A profile tells how a service
//! works inside: a listener that other machines reach wants one.
//!
//! # The heap
//!
//! A program that runs on jemalloc, with the feature `jemalloc` here, can say what its heap holds at the moment, by a sample
//! of its allocations with their stacks:
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
//! ```
//!
//! Sampling is jemalloc's own and has to be on when the program starts: by the environment,
//! `_RJEM_MALLOC_CONF=prof:true,prof_active:true,lg_prof_sample:19` (one sample each 512 KiB), or by its `malloc_conf`.
//! Without that, the answer is a 501 that says so. A profile takes some hundred milliseconds, and a temporary file.
//!
//! # A single function
//!
//! [`scope`] times what happens until its guard is dropped. It has nothing to do with the profiler, and never starts it:
//!
//! ```
//! fn price(basket: &[u32]) -> u32 {
//!     let _timed = outrigger::profile::scope("checkout.price");
//!     basket.iter().sum()
//! }
//! # price(&[1, 2]);
//! ```
//!
//! # What it emits
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `outrigger_profile_requests_total` | counter | `profile_type` = `cpu`, `heap`; `profile_outcome` = `taken`, `busy`, `invalid`, `cancelled`, `failed`, `unsupported` |
//! | `outrigger_profile_duration_seconds` | histogram: 0.01 to 900 s | `profile_type`; profiles that were taken |
//! | `outrigger_profile_active` | gauge: 1 while a profile is under way | |
//! | `profile_scope_duration_seconds` | histogram: 10 µs to 10 s | `profile_scope`; `error_type` = `panic` when the scope was left by one |
//!
//! # How it samples, and what that costs
//!
//! A timer of the kernel interrupts whichever thread uses the CPU, and the stack of that thread is walked by its unwind
//! tables: no frame pointers are needed, and none of Rust's build settings but that the binary keeps its symbols
//! (`strip = "none"` or `"debuginfo"`; with `debug = "line-tables-only"` inlined functions have names too). Threads that
//! wait use no CPU, and are not in the profile.
//!
//! While nobody asks, it costs nothing: neither a thread nor memory. The first profile of a process loads symbols and
//! unwind tables first, on a thread for blocking work, and they stay in memory: `cargo test --release -p outrigger --test
//! profile survival -- --nocapture` prints what that comes to, which was half a second and 100 MiB resident for a binary
//! with line tables on a busy machine of two cores. [`warm_up`] does it ahead of time. The unwinder is always made ready at
//! a quiet point of a thread of ours, never inside a signal that met the service at work.
//!
//! # Limits
//!
//! - Linux and macOS, on x86-64 and ARM64; elsewhere the paths answer 501.
//! - The kernel's tick bounds the rate: with 250 ticks per second, a thousand Hz give some 200 samples per second of CPU
//!   time. Shares are right then, absolute times read low.
//! - A stack is cut after 128 frames. At most 50,000 samples are taken: where seconds, rate and processors could give
//!   more, the rate is lowered, and the profile says which one was used. A distinct stack takes 1.2 KiB until the answer
//!   is made, so this bounds memory at 60 MB; programs have a few hundred.
//! - Samples beyond 16,000 distinct stacks go to a file in the folder for temporary files, which has to be writable.
//! - Code that was loaded after the first profile (`dlopen`) is not walked through.
//! - Each profile makes such files, the last of them for the next profile. When one cannot be made (no folder, no
//!   descriptor), no more profiles are taken until the program starts again: requests get a 500, and the log says why.
//! - The profiler owns `SIGPROF`. The first profile, or [`warm_up`], takes the place of a handler of the program's own,
//!   which does not come back: between profiles the signal is ignored. A program that uses the signal has to do without
//!   these profiles.
//! - A program that takes profiles with `pprof` itself does so at other times: while its own one runs, the answer here is
//!   a 429, and once there was a profile from here, a 500 whose line in the log names this reason too.

#[cfg(all(any(target_os = "linux", target_os = "macos"), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod cpu;
#[cfg(not(all(any(target_os = "linux", target_os = "macos"), any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "cpu_absent.rs"]
mod cpu;
#[cfg(feature = "jemalloc")]
mod heap;
#[cfg(not(feature = "jemalloc"))]
#[path = "heap_absent.rs"]
mod heap;
mod outcome;
mod query;
#[cfg(all(any(target_os = "linux", target_os = "macos"), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod report;
mod routes;
mod scope;
mod turn;

pub(crate) use self::routes::routes;
pub(crate) use self::scope::Scopes;
pub use self::scope::{Scope, scope};
pub(crate) use self::turn::end_early;

/// The forms that a CPU profile comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    FlameGraph,
    Folded,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
enum ProfileError {
    /// The program's own profiler runs.
    #[error("the program takes a profile of its own")]
    Busy,
    /// This program or system cannot.
    #[error("{0}")]
    Unsupported(&'static str),
    #[error("{0}")]
    Failed(String),
}

/// Loads what the first CPU profile of a process needs: symbols and unwind tables, some tenths of a second of one
/// processor, and memory that stays: see [its cost](self#how-it-samples-and-what-that-costs). Later calls do nothing.
///
/// Without it, the first request for a profile does the same. It blocks: call it before the runtime starts, or through
/// `tokio::task::spawn_blocking`. Does nothing while a profile is under way, and on systems that have none.
///
/// ```
/// std::thread::spawn(outrigger::profile::warm_up);
/// ```
pub fn warm_up() {
    if let Ok(_turn) = turn::Turn::take(std::time::Duration::from_secs(1))
        && let Err(error) = cpu::warm_up()
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "the profiler is not ready");
    }
}

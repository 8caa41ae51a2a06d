//! The sampler: pprof, with what it needs around it.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::available_parallelism;

use nix::sys::signal::{Signal, raise};
use pprof::{Frames, ProfilerGuard, ProfilerGuardBuilder, Report, UnresolvedReport};
use tokio::runtime::Handle;

use super::outcome::Active;
use super::query::Query;
use super::turn::Turn;
use super::{Form, ProfileError, report};
use crate::Metrics;

/// A profile that is being taken. Dropped, it ends.
pub(super) struct Sampling(Option<Held>);

struct Held {
    guard: ProfilerGuard<'static>,
    _active: Active,
    // Behind the guard, as whoever comes next must find the profiler stopped.
    turn: Turn,
}

impl Sampling {
    /// Starts to sample. It blocks, the first time for some tenths of a second.
    pub(super) fn start(query: Query, turn: Turn, metrics: &Metrics) -> Result<Self, ProfileError> {
        warm_up()?;
        let rate = query.rate(available_parallelism().map_or(1, NonZero::get));
        let guard = build(rate.cast_signed())?;
        Ok(Self(Some(Held { guard, _active: Active::new(metrics), turn })))
    }

    /// Ends it, and makes the answer. It blocks for as long as names take to be found: tens of milliseconds, as a rule.
    pub(super) fn finish(mut self, form: Form) -> Result<Vec<u8>, ProfileError> {
        let Some(held) = self.0.take() else { return Ok(Vec::new()) };
        // Whole until here, so that what fails or panics drops it in the order of its fields.
        let samples = held.guard.report().build_unresolved()?;
        let Held { guard, _active: active, turn } = held;
        // Sampling has ended before the costly half begins; the turn is kept, as answers take memory while they are made.
        drop((guard, active));
        let report = named(samples);
        let answer = match form {
            Form::Protobuf => report::protobuf(&report),
            Form::FlameGraph => report::flame_graph(&report),
            Form::Folded => Ok(report::folded(&report).into_bytes()),
        };
        drop(turn);
        answer
    }
}

/// Giving up what was sampled takes milliseconds, which are not the runtime's to give.
impl Drop for Sampling {
    fn drop(&mut self) {
        if let Some(held) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(held));
        }
    }
}

fn named(samples: UnresolvedReport) -> Report {
    let mut report = Report { data: Default::default(), timing: samples.timing };
    for (stack, count) in samples.data {
        *report.data.entry(Frames::from(stack)).or_default() += count;
    }
    report
}

/// Makes the unwinder ready, once; whoever calls it has the turn.
///
/// pprof does it inside the first signal, where nothing may be allocated or locked: the signal may have met its thread
/// within malloc. So the first signal is one that this thread raises, in no such place, and while no timer runs.
pub(super) fn warm_up() -> Result<(), ProfileError> {
    static READY: AtomicBool = AtomicBool::new(false);
    if !READY.load(Relaxed) {
        let guard = build(NO_TIMER)?;
        raise(Signal::SIGPROF).map_err(|error| ProfileError::Failed(error.to_string()))?;
        drop(guard);
        READY.store(true, Relaxed);
    }
    Ok(())
}

/// Starts pprof; whoever calls it has the turn.
fn build(rate: i32) -> Result<ProfilerGuard<'static>, ProfileError> {
    /// One of ours was built before, and is dropped by now: the turn is given back after it.
    static BUILT: AtomicBool = AtomicBool::new(false);
    match ProfilerGuardBuilder::default().frequency(rate).build() {
        Ok(guard) => {
            BUILT.store(true, Relaxed);
            Ok(guard)
        }
        // Dropped, a guard makes a file for the next one. Where it cannot, pprof takes itself to be running for ever.
        Err(pprof::Error::Running) if BUILT.load(Relaxed) => Err(ProfileError::Failed(NOT_STOPPED.to_owned())),
        Err(error) => Err(error.into()),
    }
}

const NOT_STOPPED: &str = "the profiler still runs: either the program takes a profile with pprof itself, or the last \
     profile could make no file in the folder for temporary files, which TMPDIR names, and none will be taken until the \
     program starts again with a folder that is writable and descriptors to spare";

/// The kernel refuses a negative interval, and pprof does without the timer then.
const NO_TIMER: i32 = -1;

impl From<pprof::Error> for ProfileError {
    fn from(error: pprof::Error) -> Self {
        match error {
            pprof::Error::Running => Self::Busy,
            pprof::Error::CreatingError | pprof::Error::IoError(_) => Self::Failed(format!(
                "{error}: profiles need a writable folder for temporary files, which TMPDIR names, from the first one on"
            )),
            other => Self::Failed(other.to_string()),
        }
    }
}

//! One run of a task: as a future, and as a guard.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;

use super::Task;
use super::outcome::Judge;
use super::series::Ending;

/// A run that has begun. It ends with one of the three methods; dropped before, it was cancelled, or has panicked where
/// the drop is the thread's unwinding.
///
/// ```
/// # fn main() -> Result<(), outrigger::InstallError> {
/// # let metrics = outrigger::standalone()?;
/// let import = metrics.task("import");
/// std::thread::spawn(move || {
///     let running = import.start();
///     // ...
///     running.success();
/// });
/// # Ok(())
/// # }
/// ```
#[must_use = "dropped, the run counts as cancelled"]
pub struct Running {
    task: Task,
    /// When it began; `None` before and after the run.
    since: Option<Instant>,
    /// Whether the gauge that was incremented is the one that the task keeps.
    kept: bool,
    place: Place,
}

/// Where a run takes place: it says what a drop means.
#[derive(Clone, Copy)]
enum Place {
    /// In whoever holds the guard: a panic unwinds through it.
    Guarded,
    /// In a future, which waits. A panic that unwinds the thread is another's.
    Waiting,
    /// In a future, which is polled. Dropped so, it has panicked, also where the drop comes after the unwinding.
    Polled,
}

impl Running {
    pub(super) fn start(task: Task) -> Self {
        let mut running = Self { task, since: None, kept: false, place: Place::Guarded };
        running.begin();
        running
    }

    #[inline]
    fn begin(&mut self) {
        self.kept = self.task.began();
        self.since = Some(Instant::now());
    }

    /// It did what it should.
    pub fn success(mut self) {
        self.end(Ending::Success);
    }

    /// It failed: with what, in a word out of a small set.
    pub fn failure(mut self, error_type: &'static str) {
        self.end(Ending::Failure(error_type));
    }

    /// It was given up.
    pub fn cancelled(mut self) {
        self.end(Ending::Cancelled);
    }

    #[inline]
    fn end(&mut self, ending: Ending) {
        if let Some(since) = self.since.take() {
            self.task.ended(ending, since.elapsed(), self.kept);
        }
    }

    #[cold]
    fn dropped(&mut self) {
        let panicked = match self.place {
            Place::Guarded => std::thread::panicking(),
            Place::Waiting => false,
            Place::Polled => true,
        };
        self.end(if panicked { Ending::Panic } else { Ending::Cancelled });
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        if self.since.is_some() {
            self.dropped();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("task", &self.task.name()).finish_non_exhaustive()
    }
}

pin_project! {
    /// A future whose run is counted: what [`Task::run`] returns.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Run<F, C> {
        #[pin]
        future: F,
        judge: C,
        running: Running,
    }
}

impl<F, C> Run<F, C> {
    pub(super) fn new(future: F, judge: C, task: Task) -> Self {
        Self { future, judge, running: Running { task, since: None, kept: false, place: Place::Waiting } }
    }

    /// Begins the run before the first poll.
    pub(super) fn begun(mut self) -> Self {
        self.running.begin();
        self
    }
}

impl<F: Future, C: Judge<F::Output>> Future for Run<F, C> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let running = this.running;
        if running.since.is_none() {
            running.begin();
        }
        running.place = Place::Polled;
        let polled = this.future.poll(context);
        if let Poll::Ready(output) = &polled {
            // What judges is the caller's, and may panic too.
            running.end(this.judge.failure(output).map_or(Ending::Success, Ending::Failure));
        }
        running.place = Place::Waiting;
        polled
    }
}

impl<F, C> fmt::Debug for Run<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("running", &self.running).finish_non_exhaustive()
    }
}

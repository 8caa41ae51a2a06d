//! Tasks that consume a queue.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::caught::Caught;
use super::failure_log::FailureLog;
use super::{Outcome, Task};

/// How often [`Task::consume`] looks at its queue, also while an item is worked on.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// What waits in a queue at one moment. What it does not know stays out of the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    depth: Option<usize>,
    oldest_age: Option<Duration>,
}

impl QueueState {
    /// Items that wait.
    #[must_use]
    pub const fn depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }

    /// How long the oldest of them has waited; zero where none does.
    #[must_use]
    pub const fn oldest_age(mut self, age: Duration) -> Self {
        self.oldest_age = Some(age);
        self
    }
}

/// A queue that [`Task::consume`] takes from: Tokio's receivers, or one's own.
pub trait Queue {
    /// What is taken.
    type Item;

    /// The next item; `None` when there will be none. Dropped before it is ready, it must lose nothing.
    fn next(&mut self) -> impl Future<Output = Option<Self::Item>> + Send;

    /// What waits. Defaults to knowing nothing.
    fn state(&self) -> QueueState {
        QueueState::default()
    }
}

impl<T: Send> Queue for mpsc::Receiver<T> {
    type Item = T;

    fn next(&mut self) -> impl Future<Output = Option<T>> + Send {
        self.recv()
    }

    fn state(&self) -> QueueState {
        QueueState::default().depth(self.len())
    }
}

impl<T: Send> Queue for mpsc::UnboundedReceiver<T> {
    type Item = T;

    fn next(&mut self) -> impl Future<Output = Option<T>> + Send {
        self.recv()
    }

    fn state(&self) -> QueueState {
        QueueState::default().depth(self.len())
    }
}

impl Task {
    /// Takes one item after the other and runs a future for each, until the queue ends. Each is a run of this task; a
    /// failure or a panic of one is counted and logged, and the next one is taken. Of a failure only its name is known here:
    /// see [`consume_with`](Self::consume_with).
    ///
    /// The queue is looked at with each item and each second. Where several consumers share a name, give the queue to
    /// [`watch_queue`](Self::watch_queue) and count the items by [`run`](Self::run): they would overwrite each other's
    /// depth here.
    ///
    /// When the queue ends, its gauges go to zero. Where this is dropped or aborted before, they stay as they are: nobody
    /// takes what waits.
    pub async fn consume<Q, F>(&self, queue: Q, handle: impl FnMut(Q::Item) -> F)
    where
        Q: Queue,
        F: Future<Output: Outcome>,
    {
        self.consume_with(queue, handle, |output: &F::Output| output.failure()).await;
    }

    /// Like [`consume`](Self::consume), for any output: the closure names its failure, out of a small set, or says `None`, as
    /// with [`run_with`](Self::run_with). It sees what nobody else will, and can log it.
    pub async fn consume_with<Q, F, C>(&self, mut queue: Q, mut handle: impl FnMut(Q::Item) -> F, failure: C)
    where
        Q: Queue,
        F: Future,
        C: Fn(&F::Output) -> Option<&'static str>,
    {
        let log = FailureLog::default();
        let judge = |output: &F::Output| log.of(self, failure(output));
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.show_queue(queue.state());
            let item = tokio::select! {
                item = queue.next() => item,
                _ = ticks.tick() => continue,
            };
            let Some(item) = item else { return self.queue_gone() };
            // The call of the closure is part of the run, and of what may panic.
            let mut run = pin!(Caught { future: self.run_with(async { handle(item).await }, &judge) });
            loop {
                self.show_queue(queue.state());
                tokio::select! {
                    ended = &mut run => {
                        if ended.is_err() {
                            log.panic(self, "an item of the queue made its task panic");
                        }
                        break;
                    }
                    _ = ticks.tick() => {}
                }
            }
        }
    }

    /// Looks at a queue that lives elsewhere, in a channel or in a server, now and then. It ends with the drop of what is
    /// returned; the gauges then go to zero. A look that takes long delays the next. One that panics is logged, and leaves
    /// the gauges as they are until the next.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn example(metrics: outrigger::Metrics, mails: tokio::sync::mpsc::Sender<u32>) {
    /// use outrigger::task::QueueState;
    ///
    /// let mails = mails.downgrade(); // shall not keep the queue open
    /// let watch = metrics.task("mailer").watch_queue(Duration::from_secs(1), move || {
    ///     let waiting = mails.upgrade().map_or(0, |mails| mails.max_capacity() - mails.capacity());
    ///     async move { QueueState::default().depth(waiting) }
    /// });
    /// # drop(watch);
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a Tokio runtime, as [`tokio::spawn`].
    pub fn watch_queue<F>(&self, every: Duration, mut look: impl FnMut() -> F + Send + 'static) -> QueueWatch
    where
        F: Future<Output = QueueState> + Send + 'static,
    {
        let task = self.clone();
        let (stop, mut stopped) = oneshot::channel();
        tokio::spawn(async move {
            let log = FailureLog::default();
            let mut ticks = tokio::time::interval(every.max(SHORTEST));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let looked = async {
                    ticks.tick().await;
                    Caught { future: async { look().await } }.await
                };
                tokio::select! {
                    biased;
                    _ = &mut stopped => return task.queue_gone(),
                    looked = looked => match looked {
                        Ok(state) => task.show_queue(state),
                        Err(_) => log.panic(&task, "a look at the queue panicked; there will be another"),
                    },
                }
            }
        });
        QueueWatch { _stop: stop }
    }

    fn show_queue(&self, state: QueueState) {
        if let Some(depth) = state.depth {
            self.queue_depth().set(f64::from(u32::try_from(depth).unwrap_or(u32::MAX)));
        }
        if let Some(age) = state.oldest_age {
            self.queue_oldest_age().set(age.as_secs_f64());
        }
    }
}

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// Keeps [`Task::watch_queue`] going until it is dropped.
#[must_use = "dropped, the queue is no longer looked at"]
pub struct QueueWatch {
    _stop: oneshot::Sender<()>,
}

impl fmt::Debug for QueueWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueWatch").finish_non_exhaustive()
    }
}

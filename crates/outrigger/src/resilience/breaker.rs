//! Circuit breakers: as a layer, and for any future.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::machine::{Machine, Ticket};
use super::series::Verdict;
use super::{BoxError, Classify, Dependency, OnError};

/// When a breaker opens, and how it closes again. See [`Dependency::breaker`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSettings {
    pub(super) failure_ratio: f64,
    pub(super) minimum_calls: u32,
    pub(super) window: Duration,
    pub(super) open_for: Duration,
    pub(super) probes: u32,
}

/// Opens when half of at least 20 calls within 10 s failed, for 10 s, and closes after 3 probes.
impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failure_ratio: FAILURE_RATIO,
            minimum_calls: 20,
            window: Duration::from_secs(10),
            open_for: Duration::from_secs(10),
            probes: 3,
        }
    }
}

const FAILURE_RATIO: f64 = 0.5;

impl BreakerSettings {
    /// The share of calls, between 0 and 1, whose failure opens it. What lies outside counts as the nearer of the two, and
    /// what is no number as the default; with 0, one failure is enough once there were calls to judge by. Defaults to 0.5.
    #[must_use]
    pub const fn failure_ratio(mut self, ratio: f64) -> Self {
        self.failure_ratio = if ratio.is_nan() { FAILURE_RATIO } else { ratio.clamp(0.0, 1.0) };
        self
    }

    /// The fewest calls within the window that it judges by. Defaults to 20.
    #[must_use]
    pub const fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = calls;
        self
    }

    /// How far back it looks; the window moves on by a tenth at a time. Defaults to 10 s.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How long it stays open, before it lets probes through; and how long it waits for a probe that does not come back,
    /// before it sends others. Defaults to 10 s.
    #[must_use]
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// How many calls it lets through half open, all of which must go well for it to close; one failure opens it again. 0
    /// counts as 1. Defaults to 3.
    #[must_use]
    pub const fn probes(mut self, probes: u32) -> Self {
        self.probes = if probes == 0 { 1 } else { probes };
        self
    }
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go through and are judged.
    Closed,
    /// Calls are rejected, for a while.
    Open,
    /// A few calls go through, to see whether the dependency is back; the others are rejected.
    HalfOpen,
}

impl State {
    pub(super) const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// As the label `breaker_state` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl Dependency {
    /// A circuit breaker, closed. Its clones and layers share its state.
    #[must_use]
    pub fn breaker(&self, settings: BreakerSettings) -> Breaker<OnError> {
        self.breaker_on(settings, OnError)
    }

    /// Like [`breaker`](Self::breaker), with what counts as a failure said by a closure over the result. See [`Classify`].
    #[must_use]
    pub fn breaker_on<C>(&self, settings: BreakerSettings, failure: C) -> Breaker<C> {
        let shared = Shared {
            dependency: self.clone(),
            begin: Instant::now(),
            machine: Mutex::new(Machine::new(settings)),
            is_shown: AtomicBool::new(false),
            failure,
        };
        // Known from now on: counters at zero.
        for verdict in [Verdict::Success, Verdict::Failure, Verdict::Rejected, Verdict::Cancelled] {
            self.calls(verdict).increment(0);
        }
        for state in State::ALL {
            self.transitions(state).increment(0);
        }
        shared.show(&shared.lock());
        Breaker { shared: Arc::new(shared) }
    }
}

/// A circuit breaker: what [`Dependency::breaker`] returns. A cheap clone, all of one state.
pub struct Breaker<C = OnError> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    dependency: Dependency,
    begin: Instant,
    machine: Mutex<Machine>,
    /// Whether the gauges show the state: a recorder may come later.
    is_shown: AtomicBool,
    failure: C,
}

impl<C> Breaker<C> {
    /// The state that it is in. An open one whose time is over becomes half open with the next call.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.lock().state()
    }

    /// Awaits a future where the breaker lets it, and judges by its result. The future is dropped unpolled where not.
    ///
    /// Dropped before its end, it counts as no failure; a probe leaves its place to another then.
    ///
    /// # Errors
    /// [`CallError::Rejected`], or the future's.
    pub async fn call<T, E>(&self, future: impl Future<Output = Result<T, E>>) -> Result<T, CallError<E>>
    where
        C: Classify<T, E>,
    {
        let Some(permit) = self.admit() else { return Err(CallError::Rejected(self.rejected())) };
        let result = future.await;
        permit.end(&result);
        result.map_err(CallError::Inner)
    }

    /// A layer whose services all share this breaker.
    #[must_use]
    pub fn layer(&self) -> BreakerLayer<C> {
        BreakerLayer { breaker: self.clone() }
    }

    fn admit(&self) -> Option<Permit<C>> {
        let permit = self.permit();
        if permit.is_none() {
            self.shared.dependency.calls(Verdict::Rejected).increment(1);
        }
        permit
    }

    fn permit(&self) -> Option<Permit<C>> {
        let ticket = self.shared.change(|machine, now| machine.admit(now))?;
        Some(Permit { shared: Arc::clone(&self.shared), ticket: Some(ticket) })
    }

    fn would_admit(&self) -> bool {
        self.shared.lock().would_admit(self.shared.begin.elapsed())
    }

    fn rejected(&self) -> Rejected {
        Rejected { dependency: self.shared.dependency.clone() }
    }
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the machine, and shows its new state where it has one: under its lock, so that the last one stays.
    fn change<T>(&self, ask: impl FnOnce(&mut Machine, Duration) -> T) -> T {
        let now = self.begin.elapsed();
        let mut machine = self.lock();
        let before = machine.state();
        let answer = ask(&mut machine, now);
        let after = machine.state();
        if before != after {
            self.dependency.transitions(after).increment(1);
        }
        if before != after || !self.is_shown.load(Relaxed) {
            self.show(&machine);
        }
        drop(machine);
        if before != after {
            let (name, state) = (self.dependency.name(), after.as_str());
            match after {
                State::Open => tracing::warn!(dependency = name, state, "circuit breaker"),
                State::Closed | State::HalfOpen => tracing::info!(dependency = name, state, "circuit breaker"),
            }
        }
        answer
    }

    fn show(&self, machine: &MutexGuard<'_, Machine>) {
        self.is_shown.store(self.dependency.set_state(machine.state()), Relaxed);
    }
}

// Derived, it would ask for `C: Clone`.
impl<C> Clone for Breaker<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for Breaker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("dependency", &self.shared.dependency.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A call that was let in. Dropped before its end, it was cancelled.
struct Permit<C> {
    shared: Arc<Shared<C>>,
    ticket: Option<Ticket>,
}

impl<C> Permit<C> {
    fn end<T, E>(mut self, result: &Result<T, E>)
    where
        C: Classify<T, E>,
    {
        let failed = self.shared.failure.is_failure(result);
        self.judged(failed);
    }

    fn judged(&mut self, failed: bool) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.change(|machine, now| machine.ended(ticket, failed, now));
            self.shared.dependency.calls(if failed { Verdict::Failure } else { Verdict::Success }).increment(1);
        }
    }
}

impl<C> Drop for Permit<C> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.change(|machine, _| machine.cancelled(ticket));
            self.shared.dependency.calls(Verdict::Cancelled).increment(1);
        }
    }
}

/// Why [`Breaker::call`] gave no value.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E> {
    /// The breaker did not let the call in.
    #[error(transparent)]
    Rejected(Rejected),
    /// The call failed.
    #[error(transparent)]
    Inner(E),
}

/// A call that a breaker did not let in.
#[derive(Clone, Debug)]
pub struct Rejected {
    dependency: Dependency,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the circuit breaker of {} is open", self.dependency.name())
    }
}

impl std::error::Error for Rejected {}

/// Makes [`BreakerService`]s: what [`Breaker::layer`] returns.
pub struct BreakerLayer<C = OnError> {
    breaker: Breaker<C>,
}

impl<C> Clone for BreakerLayer<C> {
    fn clone(&self) -> Self {
        Self { breaker: self.breaker.clone() }
    }
}

impl<C> fmt::Debug for BreakerLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("breaker", &self.breaker).finish()
    }
}

impl<S, C> Layer<S> for BreakerLayer<C> {
    type Service = BreakerService<S, C>;

    fn layer(&self, inner: S) -> BreakerService<S, C> {
        BreakerService { inner, breaker: self.breaker.clone(), inner_is_ready: false }
    }
}

/// A service behind a breaker. Its error becomes a boxed one: [`Rejected`] where the breaker did not let the call in.
///
/// Who asks while the breaker is open finds it ready at once, however long the service itself would take, and learns of it
/// at once. Who was waiting for the service when the breaker opened, through another clone, goes on waiting until the service
/// is ready or has failed: put a limit on that wait where the service itself has none.
pub struct BreakerService<S, C = OnError> {
    inner: S,
    breaker: Breaker<C>,
    /// Whether this clone of the service has said so, and may be called.
    inner_is_ready: bool,
}

/// A clone has yet to become ready.
impl<S: Clone, C> Clone for BreakerService<S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), breaker: self.breaker.clone(), inner_is_ready: false }
    }
}

impl<S, C> fmt::Debug for BreakerService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerService").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl<R, S, C> Service<R> for BreakerService<S, C>
where
    S: Service<R, Error: Into<BoxError>>,
    C: Classify<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BreakerFuture<S::Future, C>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.inner_is_ready || !self.breaker.would_admit() {
            return Poll::Ready(Ok(()));
        }
        let ready = ready!(self.inner.poll_ready(context));
        if let Err(error) = ready {
            // A service that cannot even become ready has failed as one that cannot answer; where the breaker has no place
            // for it by now, it is no call and nothing was rejected.
            if let Some(mut permit) = self.breaker.permit() {
                permit.judged(true);
            }
            return Poll::Ready(Err(error.into()));
        }
        self.inner_is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let admitted = if self.inner_is_ready { self.breaker.admit() } else { None };
        let Some(permit) = admitted else {
            if !self.inner_is_ready {
                // The breaker was open when this was ready, whatever it is by now.
                self.breaker.shared.dependency.calls(Verdict::Rejected).increment(1);
            }
            return BreakerFuture { call: None, permit: None, rejected: Some(self.breaker.rejected()) };
        };
        self.inner_is_ready = false;
        BreakerFuture { call: Some(self.inner.call(request)), permit: Some(permit), rejected: None }
    }
}

pin_project! {
    /// A call of a [`BreakerService`].
    pub struct BreakerFuture<F, C = OnError> {
        #[pin]
        call: Option<F>,
        permit: Option<Permit<C>>,
        rejected: Option<Rejected>,
    }
}

impl<F, C, T, E> Future for BreakerFuture<F, C>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(rejected) = this.rejected.take() {
            return Poll::Ready(Err(rejected.into()));
        }
        // Polled after its end, it is pending for ever.
        let Some(call) = this.call.as_pin_mut() else { return Poll::Pending };
        let result = ready!(call.poll(context));
        if let Some(permit) = this.permit.take() {
            permit.end(&result);
        }
        Poll::Ready(result.map_err(Into::into))
    }
}

impl<F, C> fmt::Debug for BreakerFuture<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerFuture").field("rejected", &self.rejected).finish_non_exhaustive()
    }
}

//! N+1: the same statement again and again within one request.
//!
//! A scope stands for a request. It is in a thread-local while the request's future is polled, so that an operation
//! finds it without an argument; tasks that the request spawns are given it explicitly.

#[cfg(feature = "http")]
mod layer;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use ::metrics::{Counter, Label};
use outrigger_semconv::{db_findings, label};
use pin_project_lite::pin_project;

#[cfg(feature = "http")]
pub use self::layer::{NPlusOne, NPlusOneFuture, NPlusOneLayer};

use super::Statement;
use super::insight::{Finished, Insight};
use crate::Metrics;
use crate::series::{LabelSet, Table};

/// A request, or another piece of work, within which repeated statements are counted. A cheap clone: clones are the same
/// request.
///
/// The [layer](NPlusOneLayer) opens one for each request. Where there is no such layer, as for gRPC methods, consumers
/// of a queue and periodic jobs, open one by name; and a task that a request spawns is given the request's:
///
/// ```
/// use outrigger::db::{InRequest, RequestScope};
///
/// # async fn work() {}
/// # async fn run(metrics: outrigger::Metrics) {
/// let order = async {
///     tokio::spawn(work().in_current_request()); // what the task asks counts with the request
/// };
/// order.in_request(RequestScope::new(&metrics, "orders.Orders/Place")).await;
/// # }
/// ```
///
/// It ends, and is logged if something was repeated, when the last clone is dropped.
#[derive(Clone)]
pub struct RequestScope(Option<Arc<Request>>);

impl RequestScope {
    /// Opens a scope. The name becomes the value of `http_route`: choose from a small, fixed set, and put no id into it.
    #[must_use]
    pub fn new(metrics: &Metrics, name: impl Into<Cow<'static, str>>) -> Self {
        Self::open(metrics, Route::Named(name.into()), THRESHOLD)
    }

    /// How often a statement may come within this request; one more is reported. Defaults to 10. Zero reports nothing.
    #[must_use]
    pub fn threshold(self, statements: u32) -> Self {
        if let Some(request) = &self.0 {
            request.threshold.store(statements, Ordering::Relaxed);
        }
        self
    }

    /// The scope that the code runs in; where there is none, one that counts nothing.
    #[must_use]
    pub fn current() -> Self {
        Self(CURRENT.try_with(|current| current.try_borrow().ok()?.clone()).ok().flatten())
    }

    /// Runs a function within the scope, for code that is not asynchronous.
    pub fn run<T>(&self, function: impl FnOnce() -> T) -> T {
        let mut slot = self.0.clone();
        let _entered = Entered::new(&mut slot);
        function()
    }

    fn open(metrics: &Metrics, route: Route, threshold: u32) -> Self {
        let seen = Mutex::default();
        Self(Some(Arc::new(Request { metrics: metrics.clone(), route, threshold: AtomicU32::new(threshold), seen })))
    }
}

impl fmt::Debug for RequestScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestScope").field(&self.0.as_ref().map(|request| request.route.as_str())).finish()
    }
}

/// Puts a future into a [`RequestScope`].
pub trait InRequest: Future + Sized {
    /// The future, which runs within the scope.
    fn in_request(self, scope: RequestScope) -> InScope<Self> {
        InScope { scope, inner: self }
    }

    /// The future, which runs within the scope that is current now: `tokio::spawn(work().in_current_request())`.
    fn in_current_request(self) -> InScope<Self> {
        self.in_request(RequestScope::current())
    }
}

impl<F: Future> InRequest for F {}

pin_project! {
    /// A future within a [`RequestScope`]; made by [`InRequest`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InScope<F> {
        scope: RequestScope,
        #[pin]
        inner: F,
    }
}

impl<F: Future> Future for InScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Entered::new(&mut this.scope.0);
        this.inner.poll(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for InScope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InScope").field("scope", &self.scope).field("inner", &self.inner).finish()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Request>>> = const { RefCell::new(None) };
}

/// While it lives, the scope in `slot` is current, and `slot` holds the one that was before. Dropping it, by a panic too,
/// puts both back.
struct Entered<'a>(&'a mut Option<Arc<Request>>);

impl<'a> Entered<'a> {
    fn new(slot: &'a mut Option<Arc<Request>>) -> Self {
        swap(slot);
        Self(slot)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        swap(self.0);
    }
}

fn swap(slot: &mut Option<Arc<Request>>) {
    // It fails while the thread ends, both times.
    let _ = CURRENT.try_with(|current| current.try_borrow_mut().map(|mut current| mem::swap(&mut *current, slot)));
}

/// Counts an operation that has ended with the current request, if there is one.
#[inline]
pub(super) fn count(finished: &Finished<'_>) {
    let _ = CURRENT.try_with(|current| {
        if let Ok(Some(request)) = current.try_borrow().as_deref() {
            request.count(finished);
        }
    });
}

struct Request {
    metrics: Metrics,
    route: Route,
    threshold: AtomicU32,
    seen: Mutex<Vec<Seen>>,
}

enum Route {
    Named(Cow<'static, str>),
    #[cfg(feature = "http")]
    Matched(axum::extract::MatchedPath),
}

impl Route {
    fn as_str(&self) -> &str {
        match self {
            Self::Named(name) => name,
            #[cfg(feature = "http")]
            Self::Matched(path) => path.as_str(),
        }
    }
}

/// A shape, and how often it came.
struct Seen {
    hash: u64,
    count: u32,
    statement: Arc<Statement>,
}

impl Request {
    fn count(&self, finished: &Finished<'_>) {
        let statement = finished.statement;
        if !repeats_matter(statement.operation()) {
            return;
        }
        // A batch has been here, and is no repetition.
        let more = u32::from(!statement.is_batch());
        let count = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let hash = statement.shape_hash();
            if let Some(known) = seen.iter_mut().find(|known| known.hash == hash) {
                known.count = known.count.saturating_add(more);
                Some(known.count * more)
            } else if seen.len() < SHAPES {
                seen.push(Seen { hash, count: more, statement: Arc::clone(statement) });
                Some(more)
            } else {
                None
            }
        };
        let threshold = self.threshold.load(Ordering::Relaxed);
        match count {
            None => self.metrics.insight().n_plus_one.untracked(&self.metrics),
            Some(count) if threshold > 0 && count == threshold.saturating_add(1) => {
                let insight = self.metrics.insight();
                let row = insight.n_plus_one.raised.row(self.route.as_str());
                insight.n_plus_one.raised.record(&self.metrics, &row, NoMore, 1.0);
            }
            Some(_) => {}
        }
    }

    fn log(&self, insight: &Insight, seen: &Seen) {
        let Some(suppressed) = insight.n_plus_one.log.admit(Instant::now()) else { return };
        tracing::warn!(
            target: "outrigger::db",
            route = self.route.as_str(),
            count = seen.count,
            statement = seen.statement.shape().map(tracing::field::display),
            fix = fix(seen.statement.operation()),
            suppressed,
            "the same statement again and again in one request (N+1)"
        );
    }
}

/// The end of the request: only now the counts are final.
impl Drop for Request {
    fn drop(&mut self) {
        let seen = mem::take(self.seen.get_mut().unwrap_or_else(PoisonError::into_inner));
        if seen.is_empty() {
            return;
        }
        let insight = self.metrics.insight();
        // There at zero as soon as the route has asked a database at all.
        let row = insight.n_plus_one.raised.row(self.route.as_str());
        if let Some(counter) = insight.n_plus_one.raised.handle(&self.metrics, &row, NoMore) {
            counter.increment(0);
        }
        let threshold = *self.threshold.get_mut();
        for seen in seen.iter().filter(|seen| threshold > 0 && seen.count > threshold) {
            self.log(insight, seen);
        }
    }
}

/// What a program has to do once for each transaction or connection is no N+1.
fn repeats_matter(operation: &str) -> bool {
    matches!(operation, "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "MERGE" | "VALUES" | "TABLE" | "CALL")
}

fn fix(operation: &str) -> &'static str {
    match operation {
        "INSERT" | "REPLACE" | "MERGE" => {
            "insert all rows with one statement: a list of VALUES, or arrays through UNNEST"
        }
        "UPDATE" | "DELETE" => "change all rows with one statement: WHERE id IN (...), or = ANY($1) with an array",
        _ => "load all rows with one query before the loop: WHERE id IN (...), = ANY($1) with an array, or a JOIN",
    }
}

/// The series of what is found here.
pub(super) struct Series {
    raised: Table<NoMore, Counter>,
    untracked: crate::late::Late<Counter>,
    log: crate::log_limit::LogLimit,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            raised: Table::new(&db_findings::CLIENT_N_PLUS_ONE, SERIES_LIMIT),
            untracked: Default::default(),
            log: Default::default(),
        }
    }
}

impl Series {
    fn untracked(&self, metrics: &Metrics) {
        let register = |recorder: &dyn ::metrics::Recorder| {
            crate::metrics::register_counter(recorder, &db_findings::CLIENT_N_PLUS_ONE_UNTRACKED, Vec::new())
        };
        self.untracked.get(metrics, register).increment(1);
    }
}

/// The route is the only label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct NoMore;

impl LabelSet for NoMore {
    fn labels(self, route: &str) -> Vec<Label> {
        vec![Label::new(label::HTTP_ROUTE, route.to_owned())]
    }

    fn folded(self) -> Self {
        self
    }
}

/// How often a statement may come within a request.
const THRESHOLD: u32 = 10;
/// Shapes that are counted for one request. A request that asks 64 different questions has more to be told apart than
/// these, and what comes later is counted as untracked.
const SHAPES: usize = 64;
/// Routes that have a series.
const SERIES_LIMIT: usize = 1000;

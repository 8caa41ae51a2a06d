//! Operations of any client, named by the program.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::labels::{ErrorType, OpenLabels, OperationLabels};
use super::observation::{Observation, Subject};
use super::statement::{Statement, Way};
use crate::Metrics;

/// What a call to a database does: the labels of its series. Made once, or for each call; a clone is cheap.
///
/// The collection, namespace, role and shard may be anything that has few values, of up to 64 bytes; together they are
/// capped. See the [module](super).
#[derive(Clone, Debug)]
pub struct Operation {
    system: &'static str,
    what: What,
    collection: Option<Arc<str>>,
    open: OpenLabels,
    /// The series' row, by name.
    row: Arc<str>,
}

#[derive(Clone, Debug)]
enum What {
    Name(&'static str),
    Sql(Arc<str>),
}

impl Operation {
    /// An operation by the system's name in [OpenTelemetry's list], such as `redis`, and its own, such as `GET`.
    ///
    /// [OpenTelemetry's list]: https://opentelemetry.io/docs/specs/semconv/registry/attributes/db/#db-system-name
    #[must_use]
    pub fn new(system: &'static str, name: &'static str) -> Self {
        Self::of(system, What::Name(name))
    }

    /// An operation that is a SQL statement, whose verb and first table become the labels, and whose values do not.
    ///
    /// Text and outcome go the way of sqlx's statements, the slow log included. With a namespace, role or shard the text
    /// is scanned each time; without, known texts are remembered.
    #[must_use]
    pub fn sql(system: &'static str, text: &str) -> Self {
        Self::of(system, What::Sql(text.into()))
    }

    fn of(system: &'static str, what: What) -> Self {
        Self { system, what, collection: None, open: OpenLabels::default(), row: Arc::default() }
    }

    /// The table, collection or kind of key. Of a [`sql`](Self::sql) operation it is told by the statement.
    #[must_use]
    pub fn collection(self, name: impl AsRef<str>) -> Self {
        Self { collection: Some(name.as_ref().into()), ..self }.joined()
    }

    /// The database, as the label `db_namespace`.
    #[must_use]
    pub fn namespace(mut self, name: impl AsRef<str>) -> Self {
        self.open.namespace(name.as_ref());
        self.joined()
    }

    /// What the server does among its like, such as `primary` or `replica`, as the label `db_role`.
    #[must_use]
    pub fn role(mut self, role: impl AsRef<str>) -> Self {
        self.open.role(role.as_ref());
        self.joined()
    }

    /// The part of the data that the server holds, as the label `db_shard`.
    #[must_use]
    pub fn shard(mut self, shard: impl AsRef<str>) -> Self {
        self.open.shard(shard.as_ref());
        self.joined()
    }

    /// The same under another name: `GET` after `SET`, with all labels beside. Allocates nothing.
    #[must_use]
    pub fn named(&self, name: &'static str) -> Self {
        Self { what: What::Name(name), ..self.clone() }
    }

    fn joined(mut self) -> Self {
        self.row = self.open.row(self.collection.as_deref().unwrap_or_default()).into();
        self
    }

    /// The operation begins now, and ends with [`Running::finish`].
    ///
    /// ```
    /// use outrigger::db::{ErrorType, Operation};
    ///
    /// # fn main() -> Result<(), outrigger::InstallError> {
    /// # let metrics = outrigger::standalone()?;
    /// # let call = || Err::<(), std::io::Error>(std::io::ErrorKind::ConnectionRefused.into());
    /// let get = Operation::new("redis", "GET").collection("session");
    /// let running = get.start(&metrics);
    /// let answer = call();
    /// running.finish(answer.as_ref().err().map(|_| ErrorType::IO));
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(&self, metrics: &Metrics) -> Running {
        let mut observation = self.observation(metrics);
        observation.start();
        Running(observation)
    }

    fn observation(&self, metrics: &Metrics) -> Observation {
        Observation::new(metrics, self.subject(metrics))
    }

    fn subject(&self, metrics: &Metrics) -> Subject {
        match &self.what {
            What::Name(operation) => {
                let labels = OperationLabels { system: self.system, operation, error: None };
                Subject::Named(metrics.db().durations.row(&self.row), labels)
            }
            What::Sql(text) => {
                let plain = metrics.db().plain(self.system);
                Subject::Statement(if self.row.is_empty() && plain.system == self.system {
                    plain.statement(metrics, text)
                } else {
                    let way = Way::new(self.system, self.open.clone(), Arc::default());
                    Arc::new(Statement::new(metrics, &way, text))
                })
            }
        }
    }
}

/// An operation under way. Dropped without a word it was given up: `error_type` is `cancelled`, or `panic` while the
/// thread unwinds.
#[must_use = "dropped at once, the operation counts as cancelled"]
pub struct Running(Observation);

impl Running {
    /// The operation has ended, and failed where an error is given.
    pub fn finish(mut self, error: Option<ErrorType>) {
        self.0.finish(error);
    }

    /// As [`finish`](Self::finish) with success, having given so many rows to its caller; they are in
    /// `db_client_response_returned_rows` for an operation made by [`Operation::sql`].
    pub fn finish_with_rows(mut self, rows: usize) {
        self.0.count_rows(rows);
        self.0.finish(None);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// Times any future that gives a `Result`: that of tokio-postgres, diesel-async, a driver of your own.
///
/// ```
/// use outrigger::db::{ErrorType, Operation, TimedExt};
///
/// # async fn find() -> Result<u64, std::io::Error> { Ok(1) }
/// # async fn example() -> Result<(), std::io::Error> {
/// let find_user = Operation::new("mongodb", "find").collection("users");
/// let user = find().timed(&find_user).await?; // to the global recorder
/// let user = find().timed(&find_user).error_type(|error| match error.kind() {
///     std::io::ErrorKind::TimedOut => Some(ErrorType::TIMEOUT),
///     _ => Some(ErrorType::IO),
/// });
/// # Ok(())
/// # }
/// ```
pub trait TimedExt<T, E>: Future<Output = Result<T, E>> + Sized {
    /// Times this future as an operation, written to the global recorder.
    fn timed(self, operation: &Operation) -> TimedFuture<Self, E> {
        self.timed_by(&Metrics::global(), operation)
    }

    /// Times this future as an operation, written to these metrics.
    fn timed_by(self, metrics: &Metrics, operation: &Operation) -> TimedFuture<Self, E> {
        let observation = Some(operation.observation(metrics));
        TimedFuture { inner: self, observation, error_type: |_| Some(ErrorType::OTHER) }
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> TimedExt<T, E> for F {}

pin_project! {
    /// A future that is timed from its first poll to its end: what [`TimedExt::timed`] makes.
    #[must_use = "futures do nothing unless polled"]
    pub struct TimedFuture<F, E> {
        #[pin]
        inner: F,
        // `None` once it has ended.
        observation: Option<Observation>,
        error_type: fn(&E) -> Option<ErrorType>,
    }
}

impl<F, E> TimedFuture<F, E> {
    /// What an error is called; `None` says that it is a proper answer. Defaults to `_OTHER` for all.
    pub fn error_type(mut self, error_type: fn(&E) -> Option<ErrorType>) -> Self {
        self.error_type = error_type;
        self
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for TimedFuture<F, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(observation) = this.observation.as_mut() else {
            return this.inner.poll(cx);
        };
        let output = ready!(observation.watch(|| this.inner.poll(cx)));
        observation.finish(output.as_ref().err().and_then(*this.error_type));
        *this.observation = None;
        Poll::Ready(output)
    }
}

impl<F, E> fmt::Debug for TimedFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedFuture").finish_non_exhaustive()
    }
}

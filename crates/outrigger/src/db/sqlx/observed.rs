//! What an executor returns, with an observation inside.
//!
//! Each is one concrete future over the driver's stream. sqlx's own provided methods put a box round each step (a stream
//! of both, a stream of rows, a collection), so that ours in one box is cheaper than theirs, observation included.
//!
//! Written out rather than as `async` blocks: there, a drop guard's `Copy` fields may be captured one by one, and the
//! guard itself would be dropped before the query runs.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx::{Database, Either, Error};

use super::error::error_type;
use crate::db::observation::Observation;

#[allow(unreachable_pub, reason = "it stands in the methods of a public bound")]
pub type Done<DB> = <DB as Database>::QueryResult;
#[allow(unreachable_pub, reason = "it stands in the methods of a public bound")]
pub type Row<DB> = <DB as Database>::Row;
#[allow(unreachable_pub, reason = "it stands in the methods of a public bound")]
pub type Step<DB> = Either<Done<DB>, Row<DB>>;

/// Takes the steps of a query until its end, and gives what they add up to.
pub(super) struct Collected<'e, DB: Database, C> {
    steps: BoxStream<'e, Result<Step<DB>, Error>>,
    collected: C,
    observation: Observation,
}

/// What the steps of a query add up to.
pub(super) trait Collect<DB: Database>: Default + Unpin {
    type Output;

    fn take(&mut self, step: Step<DB>);
    /// How many rows its caller is given; `None` for a caller who wants none.
    fn rows(&self) -> Option<usize>;
    fn output(self) -> Self::Output;
}

/// The result of a query; its rows are not wanted.
pub(super) struct Executed<DB: Database>(Done<DB>);

impl<DB: Database> Default for Executed<DB> {
    fn default() -> Self {
        Self(Done::<DB>::default())
    }
}

// Nothing is pinned in place.
impl<DB: Database> Unpin for Executed<DB> {}

impl<DB: Database> Collect<DB> for Executed<DB> {
    type Output = Done<DB>;

    fn take(&mut self, step: Step<DB>) {
        if let Either::Left(done) = step {
            self.0.extend(Some(done));
        }
    }

    fn rows(&self) -> Option<usize> {
        None
    }

    fn output(self) -> Done<DB> {
        self.0
    }
}

/// All rows.
pub(super) struct Rows<DB: Database>(Vec<Row<DB>>);

impl<DB: Database> Default for Rows<DB> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<DB: Database> Collect<DB> for Rows<DB> {
    type Output = Vec<Row<DB>>;

    fn take(&mut self, step: Step<DB>) {
        if let Either::Right(row) = step {
            self.0.push(row);
        }
    }

    fn rows(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn output(self) -> Vec<Row<DB>> {
        self.0
    }
}

impl<'e, DB: Database, C: Collect<DB>> Collected<'e, DB, C> {
    pub(super) fn new(steps: BoxStream<'e, Result<Step<DB>, Error>>, observation: Observation) -> Self {
        Self { steps, collected: C::default(), observation }
    }
}

impl<DB: Database, C: Collect<DB>> Future for Collected<'_, DB, C> {
    type Output = Result<C::Output, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { steps, collected, observation } = &mut *self;
        loop {
            match ready!(observation.watch(|| steps.as_mut().poll_next(cx))) {
                Some(Ok(step)) => collected.take(step),
                Some(Err(error)) => {
                    observation.finish(error_type(&error));
                    return Poll::Ready(Err(error));
                }
                None => break,
            }
        }
        if let Some(rows) = collected.rows() {
            observation.count_rows(rows);
        }
        observation.finish(None);
        Poll::Ready(Ok(std::mem::take(collected).output()))
    }
}

/// A future of the driver's, with one answer.
pub(super) struct Answered<'e, T, O> {
    inner: BoxFuture<'e, Result<T, Error>>,
    observation: Observation,
    /// What is made of the answer, and how many rows it has.
    answer: fn(T) -> Counted<O>,
}

/// How many rows an answer has, where it has any, and what the caller gets.
type Counted<O> = (Option<usize>, Result<O, Error>);

impl<'e, T> Answered<'e, Option<T>, Option<T>> {
    /// At most one row.
    pub(super) fn optional(inner: BoxFuture<'e, Result<Option<T>, Error>>, observation: Observation) -> Self {
        Self { inner, observation, answer: |row| (Some(usize::from(row.is_some())), Ok(row)) }
    }
}

impl<'e, T> Answered<'e, Option<T>, T> {
    /// One row, or an error.
    pub(super) fn one(inner: BoxFuture<'e, Result<Option<T>, Error>>, observation: Observation) -> Self {
        Self { inner, observation, answer: |row| (Some(usize::from(row.is_some())), row.ok_or(Error::RowNotFound)) }
    }
}

impl<'e, T> Answered<'e, T, T> {
    /// Anything that is no row.
    pub(super) fn other(inner: BoxFuture<'e, Result<T, Error>>, observation: Observation) -> Self {
        Self { inner, observation, answer: |answer| (None, Ok(answer)) }
    }
}

impl<T, O> Future for Answered<'_, T, O> {
    type Output = Result<O, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, observation, answer } = &mut *self;
        let (rows, output) = match ready!(observation.watch(|| inner.as_mut().poll(cx))) {
            Ok(answered) => answer(answered),
            Err(error) => (None, Err(error)),
        };
        if let Some(rows) = rows {
            observation.count_rows(rows);
        }
        observation.finish(output.as_ref().err().and_then(error_type));
        Poll::Ready(output)
    }
}

/// The steps of a query, or what its caller wants of them.
pub(super) struct Steps<'e, DB: Database, T> {
    steps: BoxStream<'e, Result<Step<DB>, Error>>,
    /// `None` once it has ended.
    observation: Option<Observation>,
    wanted: fn(Step<DB>) -> Option<T>,
}

impl<'e, DB: Database> Steps<'e, DB, Step<DB>> {
    pub(super) fn all(steps: BoxStream<'e, Result<Step<DB>, Error>>, observation: Observation) -> Self {
        Self { steps, observation: Some(observation), wanted: Some }
    }
}

impl<'e, DB: Database> Steps<'e, DB, Row<DB>> {
    pub(super) fn rows(steps: BoxStream<'e, Result<Step<DB>, Error>>, observation: Observation) -> Self {
        Self { steps, observation: Some(observation), wanted: Either::right }
    }
}

impl<'e, DB: Database> Steps<'e, DB, Done<DB>> {
    pub(super) fn results(steps: BoxStream<'e, Result<Step<DB>, Error>>, observation: Observation) -> Self {
        Self { steps, observation: Some(observation), wanted: Either::left }
    }
}

impl<DB: Database, T> Stream for Steps<'_, DB, T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { steps, observation, wanted } = &mut *self;
        loop {
            let step = match observation {
                Some(observation) => ready!(observation.watch_step(|| steps.as_mut().poll_next(cx))),
                None => ready!(steps.as_mut().poll_next(cx)),
            };
            match step {
                Some(Ok(step)) => {
                    let is_row = step.is_right();
                    if let Some(item) = wanted(step) {
                        if let Some(observation) = observation.as_mut().filter(|_| is_row) {
                            observation.count_rows(1);
                        }
                        return Poll::Ready(Some(Ok(item)));
                    }
                }
                Some(Err(error)) => {
                    if let Some(mut observation) = observation.take() {
                        observation.finish(error_type(&error));
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    // Dropped while idle, it ends as a success.
                    *observation = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

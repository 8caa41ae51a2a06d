//! The connections and transactions of a [`TimedPool`](super::TimedPool).

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx::pool::PoolConnection;
use sqlx::{Acquire, Connection, Database, Describe, Error, Execute, Executor, SqlSafeStr, SqlStr, Transaction};

use super::driver::{Driver, Raw};
use super::error::error_type;
use super::observed::{Answered, Collected, Done, Executed, Row, Rows, Step, Steps};
use super::pool::{Asked, Shared};
use super::via::{Taken, executor_methods};
use crate::db::observation::Observation;
use crate::pool::{Held, Use};

/// A connection whose queries are timed: what [`TimedPoolConnection`] and [`TimedTransaction`] deref to, so that
/// `&mut *connection` and `&mut *tx` are executors that time. A function that asks for a connection by its type takes
/// `&mut TimedConnection<'_, DB>`.
pub struct TimedConnection<'c, DB: Database> {
    inner: Inner<'c, DB>,
    shared: Arc<Shared<DB>>,
}

enum Inner<'c, DB: Database> {
    Held(Held<PoolConnection<DB>>),
    /// The time of use ends after the transaction.
    Transaction(Transaction<'c, DB>, Option<Use>),
}

impl<'c, DB: Database> TimedConnection<'c, DB> {
    pub(super) fn of_transaction(transaction: Transaction<'c, DB>, used: Option<Use>, shared: Arc<Shared<DB>>) -> Self {
        Self { inner: Inner::Transaction(transaction, used), shared }
    }

    /// The connection itself, for what is no query, and for whoever asks for it by its type. What goes through it is not
    /// timed.
    pub fn untimed(&mut self) -> &mut DB::Connection {
        match &mut self.inner {
            Inner::Held(connection) => connection,
            Inner::Transaction(transaction, _) => transaction,
        }
    }

    /// Begins a transaction, or a savepoint within one, as [`Connection::begin`].
    ///
    /// # Errors
    /// Those of [`Connection::begin`].
    pub async fn begin(&mut self) -> Result<TimedTransaction<'_, DB>, Error> {
        self.begin_by(None).await
    }

    /// As [`begin`](Self::begin) with a statement of your own, as [`Connection::begin_with`].
    ///
    /// # Errors
    /// Those of [`Connection::begin_with`].
    pub async fn begin_with(&mut self, statement: impl SqlSafeStr) -> Result<TimedTransaction<'_, DB>, Error> {
        self.begin_by(Some(statement.into_sql_str())).await
    }

    async fn begin_by(&mut self, statement: Option<SqlStr>) -> Result<TimedTransaction<'_, DB>, Error> {
        let shared = Arc::clone(&self.shared);
        // Asked itself, the driver may not have come to the rollback of one that was dropped.
        let nested = matches!(self.inner, Inner::Transaction(..));
        let raw = self.untimed();
        let observation = shared.observe(Asked::Control(if nested { "SAVEPOINT" } else { "BEGIN" }));
        let begun = Answered::other(Transaction::begin(raw, statement), observation).await?;
        Ok(TimedTransaction::new(TimedConnection::of_transaction(begun, None, shared), nested))
    }

    /// Whether the connection lives, as [`Connection::ping`]. It is no operation.
    ///
    /// # Errors
    /// Those of [`Connection::ping`].
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.untimed().ping().await
    }

    fn begin_query<'a, 'q>(&'a mut self, query: impl Execute<'q, DB>) -> (Raw<'a, DB>, Taken<DB>, Observation) {
        let query = Taken::new(query);
        let observation = self.shared.observe(Asked::Query(query.text.as_str()));
        (Raw(self.untimed()), query, observation)
    }

    fn begin_prepare(&mut self, text: &str) -> (Raw<'_, DB>, Observation) {
        let observation = self.shared.observe(Asked::Prepare(text));
        (Raw(self.untimed()), observation)
    }
}

impl<'c, DB: Driver> Executor<'c> for &'c mut TimedConnection<'_, DB> {
    type Database = DB;

    executor_methods!('c);

    // Part of the trait because sqlx's `macros` feature is on, as this crate asks. It runs at compile time only.
    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'c: 'e,
    {
        DB::describe(self.untimed(), sql)
    }
}

/// For code that asks for any [`Acquire`]: queries are not timed, since the trait gives away the connection itself.
impl<'t, DB: Database> Acquire<'t> for &'t mut TimedConnection<'_, DB> {
    type Database = DB;

    type Connection = &'t mut DB::Connection;

    fn acquire(self) -> BoxFuture<'t, Result<Self::Connection, Error>> {
        Box::pin(std::future::ready(Ok(self.untimed())))
    }

    fn begin(self) -> BoxFuture<'t, Result<Transaction<'t, DB>, Error>> {
        Transaction::begin(self.untimed(), None)
    }
}

impl<DB: Database> fmt::Debug for TimedConnection<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedConnection").finish_non_exhaustive()
    }
}

/// A connection of a [`TimedPool`](super::TimedPool), given back when it is dropped.
pub struct TimedPoolConnection<DB: Database> {
    connection: TimedConnection<'static, DB>,
}

impl<DB: Database> TimedPoolConnection<DB> {
    pub(super) fn new(held: Held<PoolConnection<DB>>, shared: Arc<Shared<DB>>) -> Self {
        Self { connection: TimedConnection { inner: Inner::Held(held), shared } }
    }

    // By name as well as through the deref: on this type, `Acquire::begin` would come first.

    /// As [`TimedConnection::begin`].
    ///
    /// # Errors
    /// Those of [`Connection::begin`].
    pub async fn begin(&mut self) -> Result<TimedTransaction<'_, DB>, Error> {
        self.connection.begin().await
    }

    /// As [`TimedConnection::begin_with`].
    ///
    /// # Errors
    /// Those of [`Connection::begin_with`].
    pub async fn begin_with(&mut self, statement: impl SqlSafeStr) -> Result<TimedTransaction<'_, DB>, Error> {
        self.connection.begin_with(statement).await
    }
}

impl<DB: Database> Deref for TimedPoolConnection<DB> {
    type Target = TimedConnection<'static, DB>;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<DB: Database> DerefMut for TimedPoolConnection<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl<DB: Database> fmt::Debug for TimedPoolConnection<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedPoolConnection").finish_non_exhaustive()
    }
}

/// A transaction whose queries and whose end are timed: used as sqlx's own, rolled back when it is dropped.
pub struct TimedTransaction<'c, DB: Database> {
    // Fields drop in this order: a rollback by drop is counted before the connection goes.
    unfinished: Unfinished<DB>,
    connection: TimedConnection<'c, DB>,
}

impl<'c, DB: Database> TimedTransaction<'c, DB> {
    pub(super) fn new(connection: TimedConnection<'c, DB>, nested: bool) -> Self {
        let unfinished = Unfinished { shared: Some(Arc::clone(&connection.shared)), nested };
        Self { unfinished, connection }
    }

    /// As [`TimedConnection::begin`].
    ///
    /// # Errors
    /// Those of [`Connection::begin`].
    pub async fn begin(&mut self) -> Result<TimedTransaction<'_, DB>, Error> {
        self.connection.begin().await
    }

    /// As [`TimedConnection::begin_with`].
    ///
    /// # Errors
    /// Those of [`Connection::begin_with`].
    pub async fn begin_with(&mut self, statement: impl SqlSafeStr) -> Result<TimedTransaction<'_, DB>, Error> {
        self.connection.begin_with(statement).await
    }

    /// Commits, as [`Transaction::commit`].
    ///
    /// # Errors
    /// Those of [`Transaction::commit`].
    pub async fn commit(self) -> Result<(), Error> {
        let ending = self.end(|nested| if nested { "RELEASE" } else { "COMMIT" });
        ending.run(Transaction::commit).await
    }

    /// Rolls back, as [`Transaction::rollback`]; so does the drop, later.
    ///
    /// # Errors
    /// Those of [`Transaction::rollback`].
    pub async fn rollback(self) -> Result<(), Error> {
        let ending = self.end(|_| "ROLLBACK");
        ending.run(Transaction::rollback).await
    }

    fn end(self, operation: impl FnOnce(bool) -> &'static str) -> Ending<'c, DB> {
        let Self { unfinished, connection } = self;
        let observation = connection.shared.observe(Asked::Control(operation(unfinished.nested)));
        Ending { unfinished, connection, observation }
    }
}

/// A transaction that is told to end.
struct Ending<'c, DB: Database> {
    unfinished: Unfinished<DB>,
    connection: TimedConnection<'c, DB>,
    observation: Observation,
}

impl<'c, DB: Database> Ending<'c, DB> {
    async fn run<F: Future<Output = Result<(), Error>>>(
        self,
        end: impl FnOnce(Transaction<'c, DB>) -> F,
    ) -> Result<(), Error> {
        let Self { mut unfinished, connection, mut observation } = self;
        let Inner::Transaction(transaction, _used) = connection.inner else { return Ok(()) };
        let mut ending = pin!(end(transaction));
        let ended = poll_fn(|cx| observation.watch(|| ending.as_mut().poll(cx))).await;
        observation.finish(ended.as_ref().err().and_then(error_type));
        // Where it failed, or was given up, sqlx rolls back.
        if ended.is_ok() {
            unfinished.shared = None;
        }
        ended
    }
}

/// Counts the rollback of a transaction that is dropped. sqlx queues the statement then, and sends it with the next one on
/// its connection: how long it takes is not to be seen.
struct Unfinished<DB: Database> {
    shared: Option<Arc<Shared<DB>>>,
    nested: bool,
}

impl<DB: Database> Drop for Unfinished<DB> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            let mut observation = shared.observe(Asked::Control("ROLLBACK"));
            observation.start();
            observation.finish(None);
        }
    }
}

impl<'c, DB: Database> Deref for TimedTransaction<'c, DB> {
    type Target = TimedConnection<'c, DB>;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<DB: Database> DerefMut for TimedTransaction<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl<DB: Database> fmt::Debug for TimedTransaction<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedTransaction").finish_non_exhaustive()
    }
}

/// For code that asks for any [`Acquire`]: queries are not timed, since the trait gives away the connection itself.
impl<'t, DB: Database> Acquire<'t> for &'t mut TimedTransaction<'_, DB> {
    type Database = DB;

    type Connection = &'t mut DB::Connection;

    fn acquire(self) -> BoxFuture<'t, Result<Self::Connection, Error>> {
        Acquire::acquire(&mut self.connection)
    }

    fn begin(self) -> BoxFuture<'t, Result<Transaction<'t, DB>, Error>> {
        Acquire::begin(&mut self.connection)
    }
}

/// For code that asks for any [`Acquire`]: queries are not timed, since the trait gives away the connection itself.
impl<'t, DB: Database> Acquire<'t> for &'t mut TimedPoolConnection<DB> {
    type Database = DB;

    type Connection = &'t mut DB::Connection;

    fn acquire(self) -> BoxFuture<'t, Result<Self::Connection, Error>> {
        Acquire::acquire(&mut self.connection)
    }

    fn begin(self) -> BoxFuture<'t, Result<Transaction<'t, DB>, Error>> {
        Acquire::begin(&mut self.connection)
    }
}

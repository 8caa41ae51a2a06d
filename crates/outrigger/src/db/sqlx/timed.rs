//! Any executor, with its queries timed.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx::{Database, Describe, Error, Execute, Executor, SqlStr};

use super::observed::{Answered, Collected, Done, Executed, Row, Rows, Step, Steps};
use super::via::{self, Taken, executor_methods};
use crate::Metrics;
use crate::db::observation::Observation;
use crate::db::statement::Way;

/// An executor whose queries are timed, written to the global recorder. See the [module](crate::db).
///
/// Its settings are those of [`Metrics::global`]. Around a [`TimedPool`](super::TimedPool) or what it gives, each query
/// counts twice.
#[derive(Clone, Copy, Debug)]
pub struct Timed<X>(pub X);

/// An executor whose queries are timed: what [`Metrics::timed`] returns. Around a [`TimedPool`](super::TimedPool) or what
/// it gives, each query counts twice.
#[derive(Clone, Debug)]
pub struct TimedBy<X> {
    executor: X,
    metrics: Metrics,
    mariadb: bool,
}

impl Metrics {
    /// An executor whose queries are timed, written to these metrics.
    ///
    /// ```
    /// # async fn example(metrics: outrigger::Metrics, pool: sqlx::SqlitePool) -> sqlx::Result<()> {
    /// sqlx::query("DELETE FROM carts").execute(metrics.timed(&pool)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timed<X>(&self, executor: X) -> TimedBy<X> {
        TimedBy { executor, metrics: self.clone(), mariadb: false }
    }
}

impl<X> TimedBy<X> {
    /// Says that the server behind the driver for MySQL is MariaDB, which the driver does not tell: `db_system_name` is
    /// `mariadb`. A [`TimedPool`](super::TimedPool) finds it out by itself.
    #[must_use]
    pub fn mariadb(self) -> Self {
        Self { mariadb: true, ..self }
    }

    fn way<DB: Database>(&self) -> &Way {
        if self.mariadb { self.metrics.db().plain("mariadb") } else { via::plain::<DB>(&self.metrics) }
    }
}

impl<'c, X: Executor<'c>> TimedBy<X> {
    fn begin_query<'q>(self, query: impl Execute<'q, X::Database>) -> (X, Taken<X::Database>, Observation) {
        let query = Taken::new(query);
        let observation = via::observe(&self.metrics, self.way::<X::Database>(), query.text.as_str());
        (self.executor, query, observation)
    }

    fn begin_prepare(self, text: &str) -> (X, Observation) {
        let observation = via::observe_prepare(&self.metrics, self.way::<X::Database>(), text);
        (self.executor, observation)
    }
}

impl<'c, X: Executor<'c>> Executor<'c> for TimedBy<X> {
    type Database = X::Database;

    executor_methods!('c);

    // Part of the trait because sqlx's `macros` feature is on, as this crate asks. It runs at compile time only.
    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Self::Database>, Error>>
    where
        'c: 'e,
    {
        self.executor.describe(sql)
    }
}

impl<'c, X: Executor<'c>> Timed<X> {
    fn begin_query<'q>(self, query: impl Execute<'q, X::Database>) -> (X, Taken<X::Database>, Observation) {
        Metrics::global().timed(self.0).begin_query(query)
    }

    fn begin_prepare(self, text: &str) -> (X, Observation) {
        Metrics::global().timed(self.0).begin_prepare(text)
    }
}

impl<'c, X: Executor<'c>> Executor<'c> for Timed<X> {
    type Database = X::Database;

    executor_methods!('c);

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Self::Database>, Error>>
    where
        'c: 'e,
    {
        self.0.describe(sql)
    }
}

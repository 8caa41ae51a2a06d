//! The way that a query takes: apart, looked up by its text, to the driver, observed.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::{Database, Execute, SqlStr};

use super::error::system_name;
use crate::Metrics;
use crate::db::observation::{Observation, Subject};
use crate::db::statement::Way;

/// A query whose parts have been taken out and put together again: `Execute::sql` consumes it, so that what the driver
/// needs must be taken out first.
#[allow(unreachable_pub, reason = "it stands in the methods of a public bound")]
pub struct Taken<DB: Database> {
    pub(super) text: SqlStr,
    statement: Option<DB::Statement>,
    arguments: Option<Result<Option<DB::Arguments>, BoxDynError>>,
    persistent: bool,
}

impl<DB: Database> Taken<DB> {
    pub(super) fn new<'q>(mut query: impl Execute<'q, DB>) -> Self {
        let arguments = Some(query.take_arguments());
        let statement = query.statement().cloned();
        let persistent = query.persistent();
        Self { text: query.sql(), statement, arguments, persistent }
    }
}

impl<DB: Database> Execute<'_, DB> for Taken<DB> {
    fn sql(self) -> SqlStr {
        self.text
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        self.arguments.take().unwrap_or(Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

pub(super) fn observe(metrics: &Metrics, way: &Way, text: &str) -> Observation {
    Observation::new(metrics, Subject::Statement(way.statement(metrics, text)))
}

/// Preparing a statement reaches the same collection, but is not the operation itself.
pub(super) fn observe_prepare(metrics: &Metrics, way: &Way, text: &str) -> Observation {
    let statement = way.statement(metrics, text);
    let labels = statement.labels_of("PREPARE");
    Observation::new(metrics, Subject::Named(Arc::clone(&statement.durations), labels))
}

/// The way of a driver's statements that have none of their own.
pub(super) fn plain<DB: Database>(metrics: &Metrics) -> &Way {
    metrics.db().plain(system_name(DB::NAME))
}

/// The methods of `Executor` for a type with `begin_query` and `begin_prepare`, which give the executor that does the work
/// and the observation of it.
macro_rules! executor_methods {
    ($c:lifetime) => {
        fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Done<Self::Database>, Error>>
        where
            $c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (executor, query, observation) = self.begin_query(query);
            Box::pin(Collected::<Self::Database, Executed<Self::Database>>::new(
                executor.fetch_many(query),
                observation,
            ))
        }

        fn execute_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Done<Self::Database>, Error>>
        where
            $c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (executor, query, observation) = self.begin_query(query);
            Box::pin(Steps::<Self::Database, _>::results(executor.fetch_many(query), observation))
        }

        fn fetch<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Row<Self::Database>, Error>>
        where
            $c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (executor, query, observation) = self.begin_query(query);
            Box::pin(Steps::<Self::Database, _>::rows(executor.fetch_many(query), observation))
        }

        fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<Self::Database>, Error>>
        where
            $c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (executor, query, observation) = self.begin_query(query);
            Box::pin(Steps::<Self::Database, _>::all(executor.fetch_many(query), observation))
        }

        fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<Row<Self::Database>>, Error>>
        where
            $c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (executor, query, observation) = self.begin_query(query);
            Box::pin(Collected::<Self::Database, Rows<Self::Database>>::new(executor.fetch_many(query), observation))
        }

        fn fetch_one<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Row<Self::Database>, Error>>
        where
            $c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (executor, query, observation) = self.begin_query(query);
            Box::pin(Answered::one(executor.fetch_optional(query), observation))
        }

        fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<Row<Self::Database>>, Error>>
        where
            $c: 'e,
            E: 'q + Execute<'q, Self::Database>,
        {
            let (executor, query, observation) = self.begin_query(query);
            Box::pin(Answered::optional(executor.fetch_optional(query), observation))
        }

        fn prepare_with<'e>(
            self,
            sql: SqlStr,
            parameters: &'e [<Self::Database as Database>::TypeInfo],
        ) -> BoxFuture<'e, Result<<Self::Database as Database>::Statement, Error>>
        where
            $c: 'e,
        {
            let (executor, observation) = self.begin_prepare(sql.as_str());
            Box::pin(Answered::other(executor.prepare_with(sql, parameters), observation))
        }
    };
}

pub(super) use executor_methods;

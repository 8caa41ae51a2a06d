//! A connection as an executor, without asking the compiler to look for one in circles.
//!
//! `impl Executor for &mut TimedConnection<DB> where &mut DB::Connection: Executor` would be its own premise: looking for any
//! `&mut _: Executor`, the compiler would come back to it for ever, in programs that never heard of it. Behind a trait of
//! the database, which is not a reference to anything, it stops.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx::{Database, Describe, Error, Executor, SqlStr};

use super::observed::{Row, Step};
use super::via::Taken;

/// Every database whose connections are executors: all of sqlx's.
#[allow(unreachable_pub, reason = "it stands in public bounds, and is nobody else's to implement")]
pub trait Driver: Database {
    #[doc(hidden)]
    fn fetch_many(connection: &mut Self::Connection, query: Taken<Self>) -> BoxStream<'_, Result<Step<Self>, Error>>;

    #[doc(hidden)]
    fn fetch_optional(
        connection: &mut Self::Connection,
        query: Taken<Self>,
    ) -> BoxFuture<'_, Result<Option<Row<Self>>, Error>>;

    #[doc(hidden)]
    fn prepare_with<'c>(
        connection: &'c mut Self::Connection,
        sql: SqlStr,
        parameters: &'c [Self::TypeInfo],
    ) -> BoxFuture<'c, Result<Self::Statement, Error>>;

    #[doc(hidden)]
    fn describe(connection: &mut Self::Connection, sql: SqlStr) -> BoxFuture<'_, Result<Describe<Self>, Error>>;
}

impl<DB: Database> Driver for DB
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    fn fetch_many(connection: &mut DB::Connection, query: Taken<DB>) -> BoxStream<'_, Result<Step<DB>, Error>> {
        Executor::fetch_many(connection, query)
    }

    fn fetch_optional(
        connection: &mut DB::Connection,
        query: Taken<DB>,
    ) -> BoxFuture<'_, Result<Option<Row<DB>>, Error>> {
        Executor::fetch_optional(connection, query)
    }

    fn prepare_with<'c>(
        connection: &'c mut DB::Connection,
        sql: SqlStr,
        parameters: &'c [DB::TypeInfo],
    ) -> BoxFuture<'c, Result<DB::Statement, Error>> {
        Executor::prepare_with(connection, sql, parameters)
    }

    fn describe(connection: &mut DB::Connection, sql: SqlStr) -> BoxFuture<'_, Result<Describe<DB>, Error>> {
        Executor::describe(connection, sql)
    }
}

/// What a timed connection hands its queries to.
pub(super) struct Raw<'c, DB: Database>(pub(super) &'c mut DB::Connection);

impl<'c, DB: Driver> Raw<'c, DB> {
    pub(super) fn fetch_many(self, query: Taken<DB>) -> BoxStream<'c, Result<Step<DB>, Error>> {
        DB::fetch_many(self.0, query)
    }

    pub(super) fn fetch_optional(self, query: Taken<DB>) -> BoxFuture<'c, Result<Option<Row<DB>>, Error>> {
        DB::fetch_optional(self.0, query)
    }

    pub(super) fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'c: 'e,
    {
        DB::prepare_with(self.0, sql, parameters)
    }
}

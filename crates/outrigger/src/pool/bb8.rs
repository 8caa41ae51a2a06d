//! bb8's pools.

use ::bb8::{ManageConnection, PooledConnection, RunError};

use super::{Counts, Held, Pool, TimedManager, Watched};

/// bb8 counts every timeout itself. It counts who waits too, but keeps those for ever who were cancelled while they did,
/// so that waits are seen where they go through the [`Watched`] pool.
impl<M: ManageConnection> Pool for ::bb8::Pool<M> {
    fn counts(&self) -> Counts {
        let state = self.state();
        let config = self.config();
        let number = |connections: u32| usize::try_from(connections).unwrap_or(usize::MAX);
        let idle = state.idle_connections.min(state.connections);
        let counts = Counts::new(number(idle), number(state.connections - idle))
            .max(number(config.max_size))
            .timeouts(state.statistics.get_timed_out);
        config.min_idle.map_or(counts, |idle_min| counts.idle_min(number(idle_min)))
    }
}

impl<M: ManageConnection> Watched<::bb8::Pool<M>> {
    /// Takes a connection, as [`bb8::Pool::get`](::bb8::Pool::get).
    ///
    /// # Errors
    /// Those of [`bb8::Pool::get`](::bb8::Pool::get).
    pub async fn get(&self) -> Result<Held<PooledConnection<'_, M>>, RunError<M::Error>> {
        self.take(self.pool().get(), |error| matches!(error, RunError::TimedOut)).await
    }

    /// Takes a connection that may outlive the pool's handle, as [`bb8::Pool::get_owned`](::bb8::Pool::get_owned).
    ///
    /// # Errors
    /// Those of [`bb8::Pool::get_owned`](::bb8::Pool::get_owned).
    pub async fn get_owned(&self) -> Result<Held<PooledConnection<'static, M>>, RunError<M::Error>> {
        self.take(self.pool().get_owned(), |error| matches!(error, RunError::TimedOut)).await
    }
}

impl<M: ManageConnection> ManageConnection for TimedManager<M> {
    type Connection = M::Connection;
    type Error = M::Error;

    async fn connect(&self) -> Result<M::Connection, M::Error> {
        self.timed(self.inner().connect()).await
    }

    async fn is_valid(&self, connection: &mut M::Connection) -> Result<(), M::Error> {
        self.inner().is_valid(connection).await
    }

    fn has_broken(&self, connection: &mut M::Connection) -> bool {
        self.inner().has_broken(connection)
    }
}

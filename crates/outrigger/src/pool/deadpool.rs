//! deadpool's managed pools.

use ::deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleResult, Timeouts};

use super::{Counts, Held, Pool, TimedManager, Watched};

/// deadpool knows all of its waiting callers, those too who wait past the [`Watched`] pool.
impl<M, W> Pool for managed::Pool<M, W>
where
    M: Manager + 'static,
    W: From<Object<M>> + 'static,
{
    fn counts(&self) -> Counts {
        let status = self.status();
        let idle = status.available.min(status.size);
        Counts::new(idle, status.size - idle).max(status.max_size).pending(status.waiting)
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }
}

impl<M, W> Watched<managed::Pool<M, W>>
where
    M: Manager + 'static,
    W: From<Object<M>> + 'static,
{
    /// Takes a connection, as [`Pool::get`](managed::Pool::get).
    ///
    /// # Errors
    /// Those of [`Pool::get`](managed::Pool::get). A timeout is one of any stage: waiting, creating, recycling.
    pub async fn get(&self) -> Result<Held<W>, PoolError<M::Error>> {
        self.take(self.pool().get(), is_timeout).await
    }

    /// Takes a connection within other times, as [`Pool::timeout_get`](managed::Pool::timeout_get).
    ///
    /// # Errors
    /// Those of [`Pool::timeout_get`](managed::Pool::timeout_get).
    pub async fn timeout_get(&self, timeouts: &Timeouts) -> Result<Held<W>, PoolError<M::Error>> {
        self.take(self.pool().timeout_get(timeouts), is_timeout).await
    }
}

fn is_timeout<E>(error: &PoolError<E>) -> bool {
    matches!(error, PoolError::Timeout(_))
}

impl<M: Manager> Manager for TimedManager<M> {
    type Type = M::Type;
    type Error = M::Error;

    async fn create(&self) -> Result<M::Type, M::Error> {
        self.timed(self.inner().create()).await
    }

    async fn recycle(&self, connection: &mut M::Type, metrics: &Metrics) -> RecycleResult<M::Error> {
        self.inner().recycle(connection, metrics).await
    }

    fn detach(&self, connection: &mut M::Type) {
        self.inner().detach(connection);
    }
}

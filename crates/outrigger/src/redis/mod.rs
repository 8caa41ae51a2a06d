//! Redis: every command timed, and look-ups counted as those of a cache.
//!
//! ```
//! use redis::AsyncCommands;
//!
//! # async fn example(metrics: outrigger::Metrics) -> redis::RedisResult<()> {
//! let client = redis::Client::open("redis://127.0.0.1/")?;
//! let connection = client.get_multiplexed_async_connection().await?;
//! let mut redis = metrics.timed_redis(connection); // from here on as before
//! let name: Option<String> = redis.get("product:42").await?;
//! # let _ = name;
//! # Ok(())
//! # }
//! ```
//!
//! [`Metrics::timed_redis`] wraps whatever is a [`redis::aio::ConnectionLike`]: a `MultiplexedConnection`, a
//! `ConnectionManager`, deadpool's connection, a cluster's; a connection that only *is borrowed as* one, as bb8's, goes
//! into [`ByDeref`] first. The wrapper is a `ConnectionLike` too, so that commands, pipelines and scripts work on it; it
//! is a clone as cheap as the connection's.
//!
//! # What it emits
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `db_client_operation_duration_seconds` | histogram | `db_system_name` = `redis`, `db_operation_name`, `error_type` on failure |
//! | `cache_requests_total` | counter | `cache_name`, `cache_result`: where [`count_look_ups`](TimedRedis::count_look_ups) asks for it |
//!
//! - `db_operation_name`: the command's name in capitals, out of the list of Redis' own, else `_other`; without its
//!   subcommand. A pipeline is one operation, `PIPELINE`, an atomic one `MULTI`.
//! - `error_type`: the prefix of Redis' error (`WRONGTYPE`, `OOM`, `LOADING`, `READONLY`, `NOAUTH` ... , and `_OTHER` for
//!   one that is not of the list), or a kind of failure of the client: `io`, `timeout`, `auth`, `protocol`, `decode`,
//!   `cluster`, `client`; `cancelled` when the answer was not waited for. Of a pipeline, the first error's.
//!
//! Keys and values are in no label. Through a pool the wait for a connection is not in the duration; through a
//! `ConnectionManager` that reconnects it is.
//!
//! # Cost
//!
//! One boxed future beside the two or three of redis-rs, a search in a list of command names, and an observation.

mod command;
mod error;

use std::fmt;
use std::ops::DerefMut;

use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use outrigger_semconv::label;

pub(crate) use self::error::error_type;

use crate::Metrics;
use crate::cache::CacheMetrics;
use crate::db::{ErrorType, Operation};

/// A connection to Redis whose commands are timed: what [`Metrics::timed_redis`] returns. See the [module](self).
#[derive(Clone)]
pub struct TimedRedis<C> {
    connection: C,
    metrics: Metrics,
    operation: Operation,
    look_ups: Option<CacheMetrics>,
}

impl Metrics {
    /// Times every command of a connection to Redis.
    pub fn timed_redis<C>(&self, connection: C) -> TimedRedis<C> {
        TimedRedis {
            connection,
            metrics: self.clone(),
            operation: Operation::new("redis", label::OTHER), // each command has its own name
            look_ups: None,
        }
    }
}

impl<C> TimedRedis<C> {
    /// Counts what `GET`, `GETEX`, `GETDEL`, `HGET` find as look-ups of this cache, and each key of `MGET` and each field
    /// of `HMGET` as one: a miss where Redis has nothing. In pipelines they are not counted.
    ///
    /// ```
    /// # use outrigger::{Metrics, cache::CacheMetrics};
    /// # fn example(metrics: Metrics, connection: redis::aio::MultiplexedConnection) {
    /// let sessions = CacheMetrics::new(&metrics, "sessions");
    /// let mut redis = metrics.timed_redis(connection).count_look_ups(sessions);
    /// # let _ = redis;
    /// # }
    /// ```
    #[must_use]
    pub fn count_look_ups(mut self, cache: CacheMetrics) -> Self {
        self.look_ups = Some(cache);
        self
    }

    /// What the server holds or is among its like, as labels of each operation: see [`Operation`].
    ///
    /// ```
    /// # fn example(metrics: outrigger::Metrics, connection: redis::aio::MultiplexedConnection) {
    /// let mut redis = metrics.timed_redis(connection).labelled(|operation| operation.shard("eu-1").role("replica"));
    /// # let _ = redis;
    /// # }
    /// ```
    #[must_use]
    pub fn labelled(mut self, label: impl FnOnce(Operation) -> Operation) -> Self {
        self.operation = label(self.operation);
        self
    }

    /// The connection itself; its commands are not timed.
    pub fn inner(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for TimedRedis<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let name = command::name(cmd);
        let (operation, metrics, look_ups) = (self.operation.named(name), &self.metrics, self.look_ups.as_ref());
        let connection = &mut self.connection;
        Box::pin(async move {
            let running = operation.start(metrics);
            let answer = connection.req_packed_command(cmd).await;
            running.finish(failure_of_one(&answer));
            if let (Some(cache), Ok(value)) = (look_ups, &answer) {
                count(cache, name, value);
            }
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let name = if pipeline.is_transaction() { "MULTI" } else { "PIPELINE" };
        let (operation, metrics) = (self.operation.named(name), &self.metrics);
        let connection = &mut self.connection;
        Box::pin(async move {
            let running = operation.start(metrics);
            let answer = connection.req_packed_commands(pipeline, offset, count).await;
            running.finish(failure_of_many(&answer));
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

impl<C> fmt::Debug for TimedRedis<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedRedis").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

/// What can be borrowed as a connection, as a connection: for the guards that pools give, such as bb8's.
///
/// ```
/// use redis::AsyncCommands;
///
/// # async fn example<G>(metrics: outrigger::Metrics, guard: G) -> redis::RedisResult<()>
/// # where G: std::ops::DerefMut<Target = redis::aio::MultiplexedConnection> + Send + Sync {
/// let mut redis = metrics.timed_redis(outrigger::redis::ByDeref(guard));
/// let () = redis.set("answer", 42).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ByDeref<G>(pub G);

impl<G> ConnectionLike for ByDeref<G>
where
    G: DerefMut,
    G::Target: ConnectionLike,
{
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

/// An error of the server may come as a value.
fn failure_of_one(answer: &RedisResult<Value>) -> Option<ErrorType> {
    match answer {
        Ok(value) => failure_in(value),
        Err(error) => Some(ErrorType::kind(error_type(error))),
    }
}

fn failure_of_many(answer: &RedisResult<Vec<Value>>) -> Option<ErrorType> {
    match answer {
        Ok(values) => values.iter().find_map(failure_in),
        Err(error) => Some(ErrorType::kind(error_type(error))),
    }
}

fn failure_in(value: &Value) -> Option<ErrorType> {
    match value {
        Value::ServerError(error) => Some(ErrorType::kind(error::of_server(error.code()))),
        // What an atomic pipeline did comes as one array.
        Value::Array(values) => values.iter().find_map(|value| match value {
            Value::ServerError(error) => Some(ErrorType::kind(error::of_server(error.code()))),
            _ => None,
        }),
        _ => None,
    }
}

fn count(cache: &CacheMetrics, command: &str, answer: &Value) {
    match (command, answer) {
        ("GET" | "GETEX" | "GETDEL" | "HGET", Value::Nil) => cache.miss(),
        ("GET" | "GETEX" | "GETDEL" | "HGET", Value::ServerError(_)) => {}
        ("GET" | "GETEX" | "GETDEL" | "HGET", _) => cache.hit(),
        ("MGET" | "HMGET", Value::Array(values)) => {
            for value in values {
                if matches!(value, Value::Nil) { cache.miss() } else { cache.hit() }
            }
        }
        _ => {}
    }
}

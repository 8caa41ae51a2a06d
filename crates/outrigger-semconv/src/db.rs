//! Database operations and connection pools, as the client sees them.
//! Conventions: [database metrics](https://opentelemetry.io/docs/specs/semconv/database/database-metrics/).

use crate::{Emitter::Library, Kind, Metric, Unit, buckets, label, metric};

const POOL: &[&str] = &[label::DB_CLIENT_CONNECTION_POOL_NAME];

const OPERATION: &[&str] = &[
    label::DB_SYSTEM_NAME,
    label::DB_OPERATION_NAME,
    label::DB_COLLECTION_NAME,
    label::DB_NAMESPACE,
    label::DB_ROLE,
    label::DB_SHARD,
    label::ERROR_TYPE,
];

const QUERY: &[&str] = &[
    label::DB_SYSTEM_NAME,
    label::DB_OPERATION_NAME,
    label::DB_COLLECTION_NAME,
    label::DB_NAMESPACE,
    label::DB_ROLE,
    label::DB_SHARD,
];

/// One call to the database; through `Timed(&pool)`, the wait for a connection included.
pub const CLIENT_OPERATION_DURATION: Metric = metric(
    "db.client.operation.duration",
    "db_client_operation_duration_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    OPERATION,
    Library,
    "Duration of database client operations.",
);

/// Rows that a query gave its caller; queries that failed are not among them.
pub const CLIENT_RESPONSE_RETURNED_ROWS: Metric = metric(
    "db.client.response.returned_rows",
    "db_client_response_returned_rows",
    Kind::Histogram(buckets::ROWS),
    Unit::One,
    QUERY,
    Library,
    "Rows that queries returned.",
);

/// Connections that the pool holds now.
pub const CLIENT_CONNECTION_COUNT: Metric = metric(
    "db.client.connection.count",
    "db_client_connection_count",
    Kind::Gauge,
    Unit::One,
    &[label::DB_CLIENT_CONNECTION_POOL_NAME, label::DB_CLIENT_CONNECTION_STATE],
    Library,
    "Connections in the pool, by state.",
);

/// The most connections that the pool will open.
pub const CLIENT_CONNECTION_MAX: Metric = metric(
    "db.client.connection.max",
    "db_client_connection_max",
    Kind::Gauge,
    Unit::One,
    POOL,
    Library,
    "The most connections that the pool opens.",
);

/// The most idle connections that the pool keeps.
pub const CLIENT_CONNECTION_IDLE_MAX: Metric = metric(
    "db.client.connection.idle.max",
    "db_client_connection_idle_max",
    Kind::Gauge,
    Unit::One,
    POOL,
    Library,
    "The most idle connections that the pool keeps open.",
);

/// The fewest idle connections that the pool keeps.
pub const CLIENT_CONNECTION_IDLE_MIN: Metric = metric(
    "db.client.connection.idle.min",
    "db_client_connection_idle_min",
    Kind::Gauge,
    Unit::One,
    POOL,
    Library,
    "The fewest idle connections that the pool keeps open.",
);

/// Callers that wait for a connection now.
pub const CLIENT_CONNECTION_PENDING_REQUESTS: Metric = metric(
    "db.client.connection.pending_requests",
    "db_client_connection_pending_requests",
    Kind::Gauge,
    Unit::One,
    POOL,
    Library,
    "Callers that wait for a connection.",
);

/// Acquisitions that gave up.
pub const CLIENT_CONNECTION_TIMEOUTS: Metric = metric(
    "db.client.connection.timeouts",
    "db_client_connection_timeouts_total",
    Kind::Counter,
    Unit::One,
    POOL,
    Library,
    "Waits for a connection that ended in the pool's timeout.",
);

/// Making a connection: from asking the server to having it.
pub const CLIENT_CONNECTION_CREATE_TIME: Metric = metric(
    "db.client.connection.create_time",
    "db_client_connection_create_time_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    POOL,
    Library,
    "Time that it took to create a connection.",
);

/// From asking the pool to holding a connection.
pub const CLIENT_CONNECTION_WAIT_TIME: Metric = metric(
    "db.client.connection.wait_time",
    "db_client_connection_wait_time_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    POOL,
    Library,
    "Time from asking the pool to holding a connection.",
);

/// From holding a connection to giving it back.
pub const CLIENT_CONNECTION_USE_TIME: Metric = metric(
    "db.client.connection.use_time",
    "db_client_connection_use_time_seconds",
    Kind::Histogram(buckets::OPERATION_SECONDS),
    Unit::Seconds,
    POOL,
    Library,
    "Time between taking a connection and giving it back.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[
    CLIENT_OPERATION_DURATION,
    CLIENT_RESPONSE_RETURNED_ROWS,
    CLIENT_CONNECTION_COUNT,
    CLIENT_CONNECTION_MAX,
    CLIENT_CONNECTION_IDLE_MAX,
    CLIENT_CONNECTION_IDLE_MIN,
    CLIENT_CONNECTION_PENDING_REQUESTS,
    CLIENT_CONNECTION_TIMEOUTS,
    CLIENT_CONNECTION_CREATE_TIME,
    CLIENT_CONNECTION_WAIT_TIME,
    CLIENT_CONNECTION_USE_TIME,
];

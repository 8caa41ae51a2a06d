//! What the library finds in a service's use of its database. No convention exists: the names are ours.

use crate::{Emitter::Library, Kind, Metric, Unit, label, metric};

/// Operations above the threshold.
pub const CLIENT_SLOW_QUERIES: Metric = metric(
    "db.client.slow_queries",
    "db_client_slow_queries_total",
    Kind::Counter,
    Unit::One,
    &[label::DB_SYSTEM_NAME, label::DB_OPERATION_NAME, label::DB_COLLECTION_NAME],
    Library,
    "Database operations that took longer than the threshold of the slow-query log.",
);

/// Statements that came again and again in one request.
pub const CLIENT_N_PLUS_ONE: Metric = metric(
    "db.client.n_plus_one",
    "db_client_n_plus_one_total",
    Kind::Counter,
    Unit::One,
    &[label::HTTP_ROUTE],
    Library,
    "Statements that one request repeated more often than the threshold (N+1), once for each statement and request.",
);

/// Operations that the detection of N+1 had no room for.
pub const CLIENT_N_PLUS_ONE_UNTRACKED: Metric = metric(
    "db.client.n_plus_one.untracked",
    "db_client_n_plus_one_untracked_total",
    Kind::Counter,
    Unit::One,
    &[],
    Library,
    "Operations that were not held against the N+1 threshold: their request had too many different statements.",
);

/// What query plans were found to suffer from.
pub const CLIENT_PLAN_FINDINGS: Metric = metric(
    "db.client.plan.findings",
    "db_client_plan_findings_total",
    Kind::Counter,
    Unit::One,
    &[label::DB_PLAN_FINDING, label::DB_COLLECTION_NAME],
    Library,
    "Findings in the plans of slow statements, by kind and table.",
);

/// Plans that were asked for.
pub const CLIENT_PLAN_EXPLAINS: Metric = metric(
    "db.client.plan.explains",
    "db_client_plan_explains_total",
    Kind::Counter,
    Unit::One,
    &[label::OUTCOME],
    Library,
    "Plans of slow statements that the database was asked for, by outcome: success or failure.",
);

/// Plans that were not asked for.
pub const CLIENT_PLAN_SKIPPED: Metric = metric(
    "db.client.plan.skipped",
    "db_client_plan_skipped_total",
    Kind::Counter,
    Unit::One,
    &[label::REASON],
    Library,
    "Slow statements whose plan was not asked for: no_idle_connection, not_a_plain_select, parameters, queue_full, rate, too_long.",
);

/// How far a replica is behind.
pub const CLIENT_REPLICA_LAG: Metric = metric(
    "db.client.replica.lag",
    "db_client_replica_lag_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[label::DB_CLIENT_CONNECTION_POOL_NAME],
    Library,
    "Age of the last transaction that the replica has replayed, 0 when it has replayed all that it received; NaN when unknown.",
);

/// Readings of a replica's lag that gave none.
pub const CLIENT_REPLICA_LAG_FAILURES: Metric = metric(
    "db.client.replica.lag.failures",
    "db_client_replica_lag_failures_total",
    Kind::Counter,
    Unit::One,
    &[label::DB_CLIENT_CONNECTION_POOL_NAME, label::REASON],
    Library,
    "Readings of the replica's lag that gave none: error, not_a_replica, nothing_replayed.",
);

/// This module's metrics.
pub const ALL: &[Metric] = &[
    CLIENT_SLOW_QUERIES,
    CLIENT_N_PLUS_ONE,
    CLIENT_N_PLUS_ONE_UNTRACKED,
    CLIENT_PLAN_FINDINGS,
    CLIENT_PLAN_EXPLAINS,
    CLIENT_PLAN_SKIPPED,
    CLIENT_REPLICA_LAG,
    CLIENT_REPLICA_LAG_FAILURES,
];

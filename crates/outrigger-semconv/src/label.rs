//! Label names and their closed value sets.

/// The request method: a well-known one in capitals, or [`OTHER_METHOD`].
pub const HTTP_REQUEST_METHOD: &str = "http_request_method";
/// The route template that matched, such as `/products/{id}`, or [`UNMATCHED_ROUTE`]. Never a raw path.
pub const HTTP_ROUTE: &str = "http_route";
/// The status code that was sent, in three digits; absent when no response was made.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http_response_status_code";
/// `http` or `https`.
pub const URL_SCHEME: &str = "url_scheme";
/// The host that a call went to, or [`OTHER`] past the cap; absent when the request named none.
pub const SERVER_ADDRESS: &str = "server_address";
/// The port that a call went to; absent when neither the request nor its scheme says.
pub const SERVER_PORT: &str = "server_port";
/// The kind of a call, where the caller gives it, such as `/products/{id}`.
pub const URL_TEMPLATE: &str = "url_template";
/// What failed, in few words: a status code, an error class, `cancelled`, `panic`; absent on success.
pub const ERROR_TYPE: &str = "error_type";

/// The numeric gRPC status, such as `14`, on responses whose content type is gRPC.
pub const RPC_GRPC_STATUS_CODE: &str = "rpc_grpc_status_code";
/// Classic names only: the request method.
pub const METHOD: &str = "method";
/// Classic names only: the route template.
pub const ENDPOINT: &str = "endpoint";
/// Classic names only: the status code; 499 when the client left before there was one, 500 after a panic.
pub const STATUS: &str = "status";

/// `postgresql`, `mysql`, `mariadb`, `sqlite`, `redis`, ...
pub const DB_SYSTEM_NAME: &str = "db_system_name";
/// The statement's verb in capitals, such as `SELECT`, or [`OTHER`].
pub const DB_OPERATION_NAME: &str = "db_operation_name";
/// The table or collection, or [`OTHER`] past the cap; absent when the statement names none.
pub const DB_COLLECTION_NAME: &str = "db_collection_name";
/// The database, where the caller names it.
pub const DB_NAMESPACE: &str = "db_namespace";
/// What a server does among its like, where the caller says so, such as `primary` or `replica`.
pub const DB_ROLE: &str = "db_role";
/// The part of the data that a server holds, where the caller names it.
pub const DB_SHARD: &str = "db_shard";
/// The name that the service gave its connection pool.
pub const DB_CLIENT_CONNECTION_POOL_NAME: &str = "db_client_connection_pool_name";
/// `idle` or `used`.
pub const DB_CLIENT_CONNECTION_STATE: &str = "db_client_connection_state";

/// What a query plan suffers from: `missing_index`, `nested_loop`, `row_estimate`, `sequential_scan`, `sort_on_disk`.
pub const DB_PLAN_FINDING: &str = "db_plan_finding";

/// The name that the service gave its cache.
pub const CACHE_NAME: &str = "cache_name";
/// `hit` or `miss`.
pub const CACHE_RESULT: &str = "cache_result";
/// A tier of a cache: `memory` or `redis`.
pub const CACHE_TIER: &str = "cache_tier";
/// Why an entry left: `expired`, `explicit`, `replaced`, `size`.
pub const CACHE_EVICTION_CAUSE: &str = "cache_eviction_cause";

/// The name that the service gave its background task.
pub const TASK_NAME: &str = "task_name";
/// How a run of a task ended: `success`, `failure`, `cancelled`, `panic`.
pub const TASK_OUTCOME: &str = "task_outcome";

/// The name that the service gave to what it calls.
pub const DEPENDENCY: &str = "dependency";
/// A circuit breaker's state: `closed`, `open`, `half_open`.
pub const BREAKER_STATE: &str = "breaker_state";
/// What a circuit breaker made of a call: `success`, `failure`, `rejected`, `cancelled`.
pub const BREAKER_RESULT: &str = "breaker_result";

/// `cpu` or `heap`.
pub const PROFILE_TYPE: &str = "profile_type";
/// What became of a request for a profile: `taken`, `busy`, `invalid`, `cancelled`, `failed`, `unsupported`.
pub const PROFILE_OUTCOME: &str = "profile_outcome";
/// What the agent took a profile for: `incident` or `calm`.
pub const PROFILE_PURPOSE: &str = "profile_purpose";
/// The name that the service gave a function or block, or [`OTHER`] past the cap.
pub const PROFILE_SCOPE: &str = "profile_scope";

/// `user`, `system`.
pub const CPU_MODE: &str = "cpu_mode";
/// `used`, `free`.
pub const SYSTEM_MEMORY_STATE: &str = "system_memory_state";

/// The name that the service gave a Tokio runtime.
pub const TOKIO_RUNTIME_NAME: &str = "tokio_runtime_name";
/// The revision of the source that a program was built from.
pub const REVISION: &str = "revision";
/// The compiler that a program was built with, as `1.95.0`.
pub const RUST_VERSION: &str = "rust_version";
/// `release` or `debug`.
pub const PROFILE: &str = "profile";

/// The name that the service gave one of its checks.
pub const CHECK: &str = "check";
/// `readiness` or `liveness`.
pub const PROBE: &str = "probe";

/// The metric that a bookkeeping counter speaks of.
pub const METRIC: &str = "metric";
/// What the agent scrapes, as `host:port`; [`SELF_TARGET`] is the agent itself.
pub const TARGET: &str = "target";
/// `p50`, `p95` or `p99`.
pub const PERCENTILE: &str = "percentile";
/// `success` or `failure`.
pub const OUTCOME: &str = "outcome";
/// A collector of the agent: `host`, `process`, `scrape`.
pub const COLLECTOR: &str = "collector";
/// A release, as `1.2.3`.
pub const VERSION: &str = "version";
/// What an incident or a verdict is about: `latency`, `errors`, `traffic`, `burn`, `saturation` or `level`.
pub const SIGNAL: &str = "signal";
/// What a verdict is about if it is no route: `the service`, a dependency such as `postgresql SELECT orders`, a resource such
/// as `pool shop`.
pub const SUBJECT: &str = "subject";
/// What a service promises of its requests: `availability` or `latency`.
pub const OBJECTIVE: &str = "objective";
/// How far back a figure looks: `5m`, `1h`, `6h` or `3d`.
pub const WINDOW: &str = "window";
/// Who is told of incidents: `alertmanager`, `webhook`, `slack`.
pub const DESTINATION: &str = "destination";
/// A reason out of a closed set that the metric's help names.
pub const REASON: &str = "reason";
/// The service's name, from `OTEL_SERVICE_NAME` or the program's name.
pub const SERVICE_NAME: &str = "service_name";
/// The service's release.
pub const SERVICE_VERSION: &str = "service_version";

/// Every label name of the catalogue.
pub const ALL: &[&str] = &[
    HTTP_REQUEST_METHOD,
    HTTP_ROUTE,
    HTTP_RESPONSE_STATUS_CODE,
    URL_SCHEME,
    SERVER_ADDRESS,
    SERVER_PORT,
    URL_TEMPLATE,
    ERROR_TYPE,
    RPC_GRPC_STATUS_CODE,
    METHOD,
    ENDPOINT,
    STATUS,
    DB_SYSTEM_NAME,
    DB_OPERATION_NAME,
    DB_COLLECTION_NAME,
    DB_NAMESPACE,
    DB_ROLE,
    DB_SHARD,
    DB_CLIENT_CONNECTION_POOL_NAME,
    DB_CLIENT_CONNECTION_STATE,
    DB_PLAN_FINDING,
    CACHE_NAME,
    CACHE_RESULT,
    CACHE_TIER,
    CACHE_EVICTION_CAUSE,
    TASK_NAME,
    TASK_OUTCOME,
    DEPENDENCY,
    BREAKER_STATE,
    BREAKER_RESULT,
    PROFILE_TYPE,
    PROFILE_OUTCOME,
    PROFILE_PURPOSE,
    PROFILE_SCOPE,
    CPU_MODE,
    SYSTEM_MEMORY_STATE,
    TOKIO_RUNTIME_NAME,
    REVISION,
    RUST_VERSION,
    PROFILE,
    CHECK,
    PROBE,
    METRIC,
    TARGET,
    PERCENTILE,
    OUTCOME,
    COLLECTOR,
    VERSION,
    SIGNAL,
    SUBJECT,
    OBJECTIVE,
    WINDOW,
    DESTINATION,
    REASON,
    SERVICE_NAME,
    SERVICE_VERSION,
];

/// The OpenTelemetry attribute that a label of the catalogue spells, such as `http.route` for `http_route`. A label that
/// is Outrigger's own, or is not of the catalogue, stays as it is.
#[must_use]
pub fn otel(label: &str) -> &str {
    match label {
        HTTP_REQUEST_METHOD => "http.request.method",
        HTTP_ROUTE => "http.route",
        HTTP_RESPONSE_STATUS_CODE => "http.response.status_code",
        URL_SCHEME => "url.scheme",
        SERVER_ADDRESS => "server.address",
        SERVER_PORT => "server.port",
        URL_TEMPLATE => "url.template",
        ERROR_TYPE => "error.type",
        RPC_GRPC_STATUS_CODE => "rpc.grpc.status_code",
        DB_SYSTEM_NAME => "db.system.name",
        DB_OPERATION_NAME => "db.operation.name",
        DB_COLLECTION_NAME => "db.collection.name",
        DB_NAMESPACE => "db.namespace",
        DB_CLIENT_CONNECTION_POOL_NAME => "db.client.connection.pool.name",
        DB_CLIENT_CONNECTION_STATE => "db.client.connection.state",
        DB_PLAN_FINDING => "db.plan.finding",
        CACHE_NAME => "cache.name",
        CACHE_RESULT => "cache.result",
        CACHE_TIER => "cache.tier",
        CACHE_EVICTION_CAUSE => "cache.eviction.cause",
        TASK_NAME => "task.name",
        TASK_OUTCOME => "task.outcome",
        BREAKER_STATE => "breaker.state",
        BREAKER_RESULT => "breaker.result",
        PROFILE_TYPE => "profile.type",
        PROFILE_OUTCOME => "profile.outcome",
        PROFILE_PURPOSE => "profile.purpose",
        PROFILE_SCOPE => "profile.scope",
        CPU_MODE => "cpu.mode",
        SYSTEM_MEMORY_STATE => "system.memory.state",
        SERVICE_NAME => "service.name",
        SERVICE_VERSION => "service.version",
        other => other,
    }
}

/// The route of a request that no route matched.
pub const UNMATCHED_ROUTE: &str = "_unmatched";
/// The method of a request whose method is not a well-known one.
pub const OTHER_METHOD: &str = "_OTHER";
/// The value that stands for all others once a label has reached its cap.
pub const OTHER: &str = "_other";
/// The agent's own entry among its targets.
pub const SELF_TARGET: &str = "self";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_their_labels_again_when_prometheus_spells_them() {
        for label in ALL {
            assert_eq!(otel(label).replace('.', "_"), *label);
        }
        assert_eq!(otel("some_label"), "some_label");
    }
}

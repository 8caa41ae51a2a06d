//! What can be set, by flag or environment variable.

use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "Examples:
  shop                                         a fresh shop in a temporary database, gone when it ends
  shop --database shop.db                      keep users, carts and orders
  shop --database postgres://ada@localhost/shop --redis redis://localhost
  shop --listen 127.0.0.1:0                    a free port; the first line on stdout says which
  shop --slow-query 20ms                       log what takes as long, by its shape
  shop --truth-file truth.jsonl                note when faults were on
  curl -X PUT 127.0.0.1:9464/faults/slow-dependency \\
       -d '{\"share\":0.5,\"strength_ms\":300,\"routes\":[\"/search\"]}'

OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT) turns traces on, OTEL_SERVICE_NAME names the service,
RUST_LOG sets what is logged.";

/// An example shop, instrumented with Outrigger. Faults can be switched on at its admin listener.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Config {
    /// Where customers are served
    #[arg(long, env = "SHOP_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Where /metrics, health and the fault switches are served
    #[arg(long, env = "SHOP_ADMIN_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:9464")]
    pub(crate) admin_listen: SocketAddr,

    /// SQLite file (created if missing) or postgres:// URL [default: a temporary file, removed at the end]
    #[arg(long, env = "SHOP_DATABASE", value_name = "FILE|URL", hide_env_values = true)]
    pub(crate) database: Option<String>,

    /// Redis as the caches' second tier: redis://HOST:6379 [default: the caches are in memory only]
    #[arg(long, env = "SHOP_REDIS", value_name = "URL", hide_env_values = true)]
    pub(crate) redis: Option<String>,

    /// The most database connections
    #[arg(long, env = "SHOP_MAX_CONNECTIONS", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100))]
    pub(crate) max_connections: u32,

    /// A statement that takes as long is logged, and on Postgres its plan is looked at
    #[arg(long, env = "SHOP_SLOW_QUERY", value_name = "DURATION", default_value = "100ms", value_parser = up_to_an_hour)]
    pub(crate) slow_query: Duration,

    /// Append a JSON line here whenever a fault begins or ends
    #[arg(long, env = "SHOP_TRUTH_FILE", value_name = "FILE")]
    pub(crate) truth_file: Option<PathBuf>,

    /// Orders that may wait for payment; a checkout beyond is refused with 503
    #[arg(long, env = "SHOP_QUEUE_CAPACITY", value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) queue_capacity: u32,

    /// Orders that are paid and notified side by side
    #[arg(long, env = "SHOP_WORKERS", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,

    /// How long the payment provider takes on average
    #[arg(long, env = "SHOP_PAYMENT_LATENCY", value_name = "DURATION", default_value = "40ms", value_parser = up_to_an_hour)]
    pub(crate) payment_latency: Duration,

    /// How often deliveries fill the shelves again
    #[arg(long, env = "SHOP_RESTOCK_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub(crate) restock_interval: Duration,

    /// A request that takes longer is answered with 504
    #[arg(long, env = "SHOP_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub(crate) request_timeout: Duration,

    /// Requests in flight; one beyond is answered with 503
    #[arg(long, env = "SHOP_MAX_IN_FLIGHT", value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_in_flight: u32,

    /// Where traces are sent over OTLP (http:// only) [default: nowhere, unless an OTEL_EXPORTER_OTLP_* endpoint is set]
    #[arg(long, env = "SHOP_TRACES_ENDPOINT", value_name = "URL")]
    pub(crate) traces_endpoint: Option<String>,
}

const HOUR: Duration = Duration::from_secs(60 * 60);

fn up_to_an_hour(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= HOUR => Ok(duration),
        Ok(_) => Err("give at most 1h".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match up_to_an_hour(text)? {
        Duration::ZERO => Err("give more than 0s".to_owned()),
        duration => Ok(duration),
    }
}

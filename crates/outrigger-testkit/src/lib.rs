//! Starts real servers for tests, and leaves nothing behind.
//!
//! Each server has its own process group, a free port and a temporary folder. Dropping it kills the group and removes
//! the folder; should the test process itself be killed, its [guardian](process) does so in its place.
//!
//! ```no_run
//! use outrigger_testkit::{Prometheus, PrometheusConfig};
//!
//! # fn test() {
//! // None, after a line that begins with SKIPPED, when Prometheus is not installed.
//! let Some(prometheus) = Prometheus::start(PrometheusConfig::new().scrape("shop", "127.0.0.1:9464")) else { return };
//! println!("{}", prometheus.query("up"));
//! # }
//! ```
//!
//! Set `OUTRIGGER_REQUIRE_SERVERS=1` to make a missing server a failure that says what to install; `cargo verify` does.
//!
//! | what | starts |
//! |---|---|
//! | [`Postgres`], [`Redis`], [`Mariadb`] | databases |
//! | [`Prometheus`], [`Alertmanager`], [`promtool`] | the other side of our pages, rules and alerts |
//! | [`grafana`] | nothing: it reads what a dashboard would ask Prometheus for |
//! | [`OtlpReceiver`] | a decoder of OTLP that shares no code with ours |
//! | [`Chromium`] | a browser that prints a page's DOM or takes its picture |
//! | [`WebhookSink`], [`http::Server`] | plain HTTP peers inside the test |
//! | [`Program`], [`Process`] | our own binaries, found by [`binary`] |
//!
//! Unix only. Everything here panics with what went wrong, for its only callers are tests.
#![cfg(unix)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test support crate: a panic with the reason is how it fails the test that asked"
)]

pub mod grafana;
pub mod http;
pub mod packages;
pub mod process;
pub mod promtool;

mod alertmanager;
mod browser;
mod find;
mod folder;
mod mariadb;
mod otlp;
mod postgres;
mod prometheus;
mod redis;
mod server;
mod wait;
mod webhook;

pub use alertmanager::Alertmanager;
pub use browser::{Chromium, Page};
pub use find::{binary, find_program, python, require};
pub use folder::Folder;
pub use mariadb::Mariadb;
pub use otlp::OtlpReceiver;
pub use postgres::Postgres;
pub use process::{Finished, Process, Program, Signal};
pub use prometheus::{Prometheus, PrometheusConfig};
pub use redis::Redis;
pub use wait::{free_port, wait_for, wait_until};
pub use webhook::WebhookSink;

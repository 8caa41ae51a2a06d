//! Outrigger's agent: a sidecar beside a service that serves Prometheus metrics.
//!
//! It scrapes the service's page and reads its host, computes rate, errors and latency quantiles per route, finds latency
//! and error anomalies by the shape of the histograms, explains them as incidents, and serves everything on one page and
//! as `/metrics`, or pushes it over OTLP. The page of the service is its only contract, so it is as useful beside a Go or
//! Java service as beside a Rust one.
//!
//! Data walks one way, and one task owns what changes:
//!
//! ```text
//! collect (scrape, host, process) -> series -> derive -> watch -> incident -> export (/metrics, OTLP, page)
//!                                                              `-> tell (Alertmanager, webhooks)
//! ```
//!
//! The library exists for its tests and for those who embed the agent; most use the program `outrigger`. Embedding takes
//! [`Settings`] and [`Agent`]:
//!
//! ```no_run
//! use outrigger_agent::{Agent, Settings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::from_toml("targets = ['127.0.0.1:9464']\ninterval = '1s'")?;
//! let agent = Agent::bind(settings).await?;
//! agent.run(async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await;
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]

pub mod cli;
mod client;
mod collect;
mod config;
mod derive;
mod export;
mod health;
mod incident;
mod picture;
mod profile;
mod replay;
mod run;
mod series;
mod serve;
mod state;
mod status;
mod store;
mod target;
mod tell;
mod time;
mod watch;

pub use collect::scrape::Address;
pub use config::{ConfigError, Settings};
pub use export::otlp::OtlpSettings;
pub use incident::{IncidentSettings, Severity};
pub use profile::ProfileSettings;
pub use run::{Agent, StartError};
pub use tell::{QuietHours, Secret, Silence, TellRule, TellSettings, Template, UtcOffset};
pub use watch::{SloSettings, WatchSettings};

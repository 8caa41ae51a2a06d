//! The whole product, as its users run it: the shop, the load generator and the agent as processes of their own, and
//! strangers (Prometheus, promtool, OpenTelemetry's own decoder) as judges of what they say.
//!
//! The agent is the binary that was last built: `cargo build --release --workspace` first, or `cargo verify`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod databases;
mod incident;
mod judges;
mod survival;
mod world;

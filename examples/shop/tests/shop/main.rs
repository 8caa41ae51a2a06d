//! The shop and its load generator as their users meet them: the real binaries, over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod accounts;
mod backend;
mod browsing;
mod caching;
mod faults;
mod findings;
mod journey;
mod lifecycle;
mod limits;
mod load;
mod metrics;
mod orders;
mod support;
mod traces;

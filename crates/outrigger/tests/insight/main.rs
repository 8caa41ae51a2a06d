//! What the library finds in a service's use of its database, on real servers: the bad way raises a finding, the good
//! way raises none. Skipped with a word where a server is not installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/log.rs"]
mod log;
#[path = "../support/mod.rs"]
mod support;

mod n_plus_one;
mod plan;
mod replica;
mod slow;

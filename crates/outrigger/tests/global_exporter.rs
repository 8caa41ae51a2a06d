//! The exporter as the global one. One test, since a process has one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

#[path = "support/global.rs"]
mod shared;

#[tokio::test]
async fn handles_made_before_the_recorder_work_after_it() {
    shared::handles_made_before_the_recorder_work_after_it(|| {
        outrigger::exporter::install(outrigger::prometheus_builder())
    })
    .await;
}

//! What the library promises, held against any recorder: every expectation runs once for each line of `recorders!`, at the end.
//!
//! A recorder joins with one line: a name, and an expression that gives fresh [`outrigger::Metrics`] with a page.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/log.rs"]
mod log;
#[path = "../support/mod.rs"]
mod support;

mod cache;
mod client;
mod db;
mod db_findings;
mod http;
mod http_settings;
mod page;
mod pool;
mod pool_kinds;
mod process;
mod profile;
mod resilience;
mod runtime;
mod task;

use std::sync::Arc;

use outrigger::Metrics;

/// `metrics-exporter-prometheus` as somebody has it who came before us: built by them, given to us.
fn exporter_of_the_user() -> Metrics {
    let recorder = outrigger::prometheus_builder().build_recorder();
    let handle = recorder.handle();
    let metrics = Metrics::with_recorder(Arc::new(recorder)).with_page(move || handle.render());
    metrics.describe();
    metrics
}

/// Makes a module for each recorder, with a test for each expectation.
macro_rules! recorders {
    ($($recorder:ident => $metrics:expr,)+) => {
        $(mod $recorder {
            #[allow(unused_imports, reason = "for the expressions that call a function here")]
            use super::*;

            fn fresh() -> outrigger::Metrics {
                $metrics
            }

            expectations! {
                page::{target_info_names_the_service, names_and_escapes_come_back_as_they_went, promtool_has_no_complaint},
                http::{
                    outcomes_are_told_apart, requests_in_flight_are_seen_while_they_are, streams_are_timed_to_their_headers,
                    unmatched_paths_make_one_series, routes_are_templates_however_routers_are_put_together,
                    series_are_capped_and_the_rest_is_counted,
                },
                http_settings::{
                    until_headers_and_scheme, body_sizes_are_what_was_sent, the_first_byte_is_timed, classes_of_status,
                    classic_names, skipped_routes_leave_nothing, labels_of_ones_own, routes_of_ones_own,
                    grpc_statuses_are_outcomes, slow_requests_are_logged,
                },
                client::{
                    outcomes_are_told_apart, calls_in_flight_are_seen_while_they_are, labels_are_what_the_caller_says,
                    addresses_are_capped_and_the_rest_is_counted, http_2_and_grpc_channels_are_counted_alike,
                    calls_that_are_cut_anywhere_are_counted_once, reqwest_is_counted_too,
                },
                db::{
                    every_way_to_query_is_timed, queries_checked_by_sqlx_are_timed, failures_have_a_type, a_stream_ends_with_its_last_row_or_its_drop,
                    collections_are_capped, a_cancelled_query_says_so, a_timed_pool_changes_no_query,
                    a_timed_pool_tells_its_wait_from_its_queries, a_use_without_an_end_has_no_time, futures_of_any_client_are_timed,
                },
                db_findings::{slow_queries_are_counted, repeated_statements_are_counted_once_for_each_request},
                cache::{
                    look_ups_and_loads_are_counted, moka_loads_once_however_many_ask, values_that_leave_are_counted_by_cause,
                    every_way_to_ask_moka_is_a_look_up, any_cache_is_counted_after_two_lines,
                },
                pool::{gauges_follow_the_pool, waits_and_timeouts_are_counted},
                pool_kinds::{
                    bb8_pools_are_watched, deadpool_pools_are_watched, any_pool_can_be_watched, names_of_pools_are_capped,
                    a_pool_that_replaces_another_has_numbers_of_its_own,
                },
                process::{the_process_is_read},
                profile::{scopes_are_timed_and_their_names_capped},
                runtime::{the_runtime_is_read_until_it_ends, a_worker_that_is_held_up_shows_as_delay},
                resilience::{
                    timeouts_are_counted, retries_are_counted_and_bounded, a_breaker_opens_and_closes_again,
                    a_breaker_round_a_service_keeps_to_towers_contract, a_response_may_be_a_failure,
                    a_client_of_hyper_util_is_protected, what_a_breaker_rejects_is_not_tried_again,
                    a_retry_counts_when_it_is_made, what_does_not_become_ready_is_not_rejected, a_ratio_is_between_0_and_1,
                },
                task::{
                    outcomes_are_told_apart, runs_without_a_future_are_counted, a_panic_elsewhere_is_a_cancellation,
                    retries_are_bounded_and_counted, a_queue_is_consumed_whatever_its_items_do,
                    a_queue_elsewhere_is_looked_at, a_periodic_job_is_late_where_its_runs_are_long,
                    a_panic_does_not_end_the_schedule, kinds_of_failure_are_capped, what_judges_may_panic,
                    a_look_that_panics_is_not_the_last, a_queue_that_is_left_is_not_empty,
                    failures_are_logged_and_seen_by_whoever_asks, a_tick_that_is_caught_up_is_not_missed,
                },
            }
        })+
    };
}

macro_rules! expectations {
    ($($module:ident::{$($expectation:ident),+ $(,)?},)+) => {
        $(mod $module {
            $(#[test]
            fn $expectation() {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(crate::$module::$expectation(super::fresh()));
            })+
        })+
    };
}

recorders! {
    ours => outrigger::standalone().expect("the defaults can be"),
    exporter => outrigger::exporter::standalone(outrigger::prometheus_builder()).expect("the upkeep starts"),
    exporter_of_the_user => exporter_of_the_user(),
}

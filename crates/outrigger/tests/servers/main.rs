//! The HTTP layer behind real servers: what happens on the wire is what is counted, once, and nothing stays in flight.
//!
//! A recorder joins with one line at the end, as in the conformance suite.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod grpc;
mod http1;
mod http2;
mod served;
mod stacks;
mod storm;
mod upgrade;

/// Makes a module for each recorder, with a test for each expectation.
macro_rules! recorders {
    ($($recorder:ident => $metrics:expr,)+) => {
        $(mod $recorder {
            fn fresh() -> outrigger::Metrics {
                $metrics
            }

            expectations! {
                http1::{
                    ordinary_answers_are_no_cancellations, requests_may_wait_to_continue, requests_may_come_in_a_row,
                    a_client_that_leaves_within_the_body_is_counted_once_as_cancelled,
                    a_client_that_leaves_before_the_headers_has_no_status, an_aborted_body_is_an_error,
                    a_panic_closes_the_connection_and_is_counted, events_are_timed_to_their_headers,
                },
                http2::{
                    streams_share_a_connection, streams_are_reset_by_the_client, streams_end_with_their_connection,
                    streams_outlive_the_farewell_of_the_server,
                },
                upgrade::{a_web_socket_is_counted_at_its_handshake, a_refused_web_socket_is_an_answer},
                stacks::{
                    compression_is_counted_inside_and_outside, sizes_are_those_of_the_bytes_on_the_wire, a_caught_panic_is_the_answer_that_it_becomes,
                    bare_hyper_without_a_router_is_counted,
                },
                grpc::{
                    statuses_are_read_from_headers_and_trailers, streams_that_are_cut_are_cancelled,
                    a_status_below_a_body_of_known_length_is_read, a_server_of_tonic_is_counted,
                },
                storm::{
                    cut_connections_leave_nothing_behind, cut_connections_leave_nothing_behind_until_headers,
                    cut_connections_leave_nothing_behind_with_everything_on,
                    cut_streams_leave_nothing_behind, cut_streams_leave_nothing_behind_until_headers,
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
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
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
}

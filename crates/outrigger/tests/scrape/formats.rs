//! Which format is sent, how it is named, and what is done to send it.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use outrigger::Metrics;

use crate::Served;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[test]
fn head_is_answered_without_a_page_and_other_methods_are_not() {
    let made = Arc::new(AtomicUsize::new(0));
    let counting = |made: &Arc<AtomicUsize>| {
        let made = Arc::clone(made);
        move || made.fetch_add(1, Ordering::SeqCst)
    };
    let rendered = counting(&made);
    let of_a_function = Metrics::global().with_page(move || format!("page {}\n", rendered()));

    for metrics in [of_a_function] {
        let served = Served::new(metrics);
        let before = made.load(Ordering::SeqCst);
        for headers in [&[][..], &[("accept-encoding", "gzip")]] {
            let head = served.ask("HEAD", headers);
            assert_eq!((head.status, head.body.len()), (200, 0));
            assert_eq!(head.header("content-type"), Some(TEXT));
            // Either would be untrue.
            assert_eq!((head.header("content-length"), head.header("transfer-encoding")), (None, None));
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = served.ask(method, &[]);
            assert_eq!(answer.status, 405, "{method}");
            assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("HEAD")));
        }
        assert_eq!(made.load(Ordering::SeqCst), before);
        assert_eq!(served.ask("GET", &[]).status, 200);
        assert_eq!(made.load(Ordering::SeqCst), before + 1);
    }
}

#[test]
fn a_page_of_a_function_is_text_whatever_is_asked_for_and_a_panic_in_it_is_said() {
    let page = || "# TYPE up gauge\nup 1\n".repeat(100);
    let served = Served::new(Metrics::global().with_page(page));
    let answer = served.ask("GET", &[("accept", "application/openmetrics-text"), ("accept-encoding", "gzip")]);
    assert_eq!(answer.header("content-type"), Some(TEXT));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut body = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut body).unwrap();
    assert_eq!(body, page());

    let served = Served::new(Metrics::global().with_page(|| panic!("as a page of somebody's own may")));
    let answer = served.ask("GET", &[]);
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("log"), "{}", answer.text());
}

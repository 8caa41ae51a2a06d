//! Which format is sent, how it is named, and what is done to send it.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use outrigger::Metrics;
use outrigger::cache::CacheMetrics;
use outrigger_exposition::{Family, Format, families};
use outrigger_recorder::Recorder;

use crate::Served;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROTOBUF: &str = outrigger_exposition::protobuf::CONTENT_TYPE;

#[test]
fn the_format_is_the_one_that_accept_weighs_highest() {
    let served = Served::new(outrigger::standalone().unwrap());
    CacheMetrics::new(&served.metrics, "names").hit();
    for (accept, content_type) in [
        (None, TEXT),
        (Some("*/*"), TEXT),
        (Some("text/plain"), TEXT),
        (Some("text/html,application/xhtml+xml,*/*;q=0.8"), TEXT),
        (Some("nonsense;;q=,"), TEXT),
        (Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), OPENMETRICS),
        (Some("application/openmetrics-text;q=0.2,text/plain;q=0.5"), TEXT),
        // Prometheus 2.42, without and with native histograms.
        (
            Some(
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            OPENMETRICS,
        ),
        (
            Some(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                 application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            PROTOBUF,
        ),
    ] {
        let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
        let answer = served.ask("GET", &headers);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some(content_type), "{accept:?}");
        assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
        assert_eq!(answer.header("content-encoding"), None);
        if content_type == PROTOBUF {
            // Read by Prometheus itself in other tests here.
            assert!(answer.body.windows(20).any(|bytes| bytes == b"cache_requests_total"), "{}", answer.text());
            continue;
        }
        let read = read(&answer.body, Format::from_content_type(content_type));
        assert!(read.iter().any(|family| family.name == "cache_requests"), "{}", answer.text());
        assert_eq!(answer.text().ends_with("# EOF\n"), content_type == OPENMETRICS);
    }
}

#[test]
fn what_is_asked_for_compressed_is_compressed() {
    let recorder = Recorder::new();
    let served = Served::new(Metrics::from(recorder));
    // More than one piece.
    for number in 0..2_000 {
        CacheMetrics::new(&served.metrics, format!("cache {number}")).hit();
    }
    let plain = served.ask("GET", &[]);
    assert!(plain.body.len() > 64 * 1024, "{}", plain.body.len());
    for accept_encoding in ["gzip", "deflate, gzip;q=0.5, br"] {
        let answer = served.ask("GET", &[("accept-encoding", accept_encoding)]);
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{accept_encoding}");
        assert_eq!(answer.header("content-type"), Some(TEXT));
        assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
        assert!(answer.body.len() * 5 < plain.body.len(), "{} of {}", answer.body.len(), plain.body.len());
        assert!(unzipped(&answer.body) == plain.body, "{accept_encoding}: {} bytes", answer.body.len());
    }
    for accept_encoding in ["identity", "gzip;q=0", "br"] {
        let answer = served.ask("GET", &[("accept-encoding", accept_encoding)]);
        assert_eq!(answer.header("content-encoding"), None, "{accept_encoding}");
        assert!(answer.body == plain.body, "{accept_encoding}");
    }
}

#[test]
fn head_is_answered_without_a_page_and_other_methods_are_not() {
    let made = Arc::new(AtomicUsize::new(0));
    let counting = |made: &Arc<AtomicUsize>| {
        let made = Arc::clone(made);
        move || made.fetch_add(1, Ordering::SeqCst)
    };
    let recorder = Recorder::new();
    let collected = counting(&made);
    recorder.collector(move || {
        collected();
        Vec::new()
    });
    let rendered = counting(&made);
    let of_a_function = Metrics::global().with_page(move || format!("page {}\n", rendered()));

    for metrics in [Metrics::from(recorder), of_a_function] {
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
    assert_eq!(unzipped(&answer.body), page().into_bytes());

    let served = Served::new(Metrics::global().with_page(|| panic!("as a page of somebody's own may")));
    let answer = served.ask("GET", &[]);
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("log"), "{}", answer.text());
}

#[track_caller]
fn read(page: &[u8], format: Format) -> Vec<Family> {
    let read = families(page, format);
    assert!(read.bad_lines.is_empty() && read.problems.is_empty(), "{:?} {:?}", read.bad_lines, read.problems);
    read.families
}

fn unzipped(body: &[u8]) -> Vec<u8> {
    let mut page = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut page).unwrap();
    page
}

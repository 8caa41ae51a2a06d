//! Native histograms, exemplars and the protobuf format.

mod support;

use metrics::{counter, histogram, with_local_recorder};
use outrigger_exposition::{Exemplar, Value};
use outrigger_recorder::exemplar::{self, TraceContext};
use outrigger_recorder::{Matcher, PageFormat, Recorder};
use support::{families_of, sample};

#[test]
fn native_buckets_stand_beside_the_fixed_ones() {
    let recorder = Recorder::builder()
        .buckets("wait_seconds", &[1.0, 4.0])
        .native_histogram(Matcher::Prefix("wait".to_owned()))
        .series_limit(1)
        .build()
        .unwrap();
    with_local_recorder(&recorder, || {
        let wait = histogram!("wait_seconds");
        [0.5, 1.0, 2.0, 8.0, -1.0, 0.0].into_iter().for_each(|value| wait.record(value));
        wait.record_many(2.0, 3);
        wait.record(f64::NAN);
        histogram!("wait_seconds", "beyond" => "the cap").record(3.0);
        histogram!("other_seconds").record(1.0);
    });
    let families = recorder.families();
    let Some(Value::Histogram(wait)) = sample(&families, "wait_seconds", &[]) else { panic!("{families:?}") };
    assert_eq!((wait.counts.as_slice(), wait.sum), (&[4, 4, 1][..], Some(16.5)));
    let native = wait.native.unwrap();
    assert_eq!((native.count(), native.zero_count), (9, 1));
    // Four octaves in 160 buckets.
    assert_eq!(native.schema, 5);
    let at = |index: i32| native.positive.counts[(index - native.positive.offset) as usize];
    assert_eq!((at(-32), at(0), at(32), at(96)), (1, 1, 4, 1));
    assert_eq!((native.negative.offset, native.negative.counts), (0, vec![1]));
    let overflow = sample(&families, "wait_seconds", &[("otel_metric_overflow", "true")]);
    assert!(matches!(overflow, Some(Value::Histogram(wait)) if wait.native.as_ref().unwrap().count() == 1));
    assert!(matches!(sample(&families, "other_seconds", &[]), Some(Value::Histogram(other)) if other.native.is_none()));
}

#[test]
fn protobuf_comes_in_pieces() {
    let recorder = Recorder::builder().native_histogram("wait_seconds").build().unwrap();
    with_local_recorder(&recorder, || {
        counter!("hits_total").increment(1);
        for index in 0..3_000 {
            let wait = histogram!("wait_seconds", "route" => format!("/{index}"));
            [0.001, 0.01, 0.1, 1.0].into_iter().for_each(|value| wait.record(value));
        }
    });
    let pieces: Vec<_> = recorder.page(PageFormat::Protobuf).collect();
    assert!(pieces.len() > 5 && pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= 64 * 1024));
    let page = pieces.concat();
    let mut whole = outrigger_exposition::protobuf::Encoder::new(Vec::new());
    recorder.families().iter().for_each(|family| whole.family(family).unwrap());
    // The cuts between messages differ, what they say does not.
    let metrics = |page: &[u8]| page.windows(5).filter(|part| part == b"route").count();
    assert_eq!((metrics(&page), metrics(&whole.finish().unwrap())), (3_000, 3_000));
    assert_eq!(PageFormat::from_accept(PageFormat::Protobuf.content_type()), PageFormat::Protobuf);
}

fn span(byte: u8) -> TraceContext {
    TraceContext { trace_id: [byte; 16], span_id: [byte; 8] }
}

fn exemplars(recorder: &Recorder, name: &str) -> Vec<(usize, f64, String)> {
    let Some(Value::Histogram(histogram)) = sample(&families_of(recorder), name, &[]) else { return vec![] };
    let read = |Exemplar { labels, value, timestamp_ms }: &Exemplar| {
        assert!(timestamp_ms.is_some_and(|time| time > 1_700_000_000_000));
        assert_eq!((labels.len(), &*labels[0].name, &*labels[1].name), (2, "trace_id", "span_id"));
        (*value, labels[1].value.clone())
    };
    let all = histogram.exemplars.iter().map(|it| (it.bucket, read(&it.exemplar)));
    all.map(|(bucket, (value, span))| (bucket, value, span)).collect()
}

#[test]
fn the_last_exemplar_of_each_bucket() {
    let recorder = Recorder::builder().buckets(Matcher::Suffix(String::new()), &[1.0, 2.0]).build().unwrap();
    let wait = with_local_recorder(&recorder, || histogram!("wait_seconds"));
    wait.record(0.1);
    assert_eq!(exemplars(&recorder, "wait_seconds"), []);
    exemplar::scope(span(1), || {
        wait.record(0.2);
        exemplar::scope(span(2), || wait.record(0.3));
        wait.record(9.0);
        wait.record(f64::NAN);
        let panicked = std::panic::catch_unwind(|| exemplar::scope(span(3), || std::panic::resume_unwind(Box::new(1))));
        assert!(panicked.is_err());
        wait.record_many(8.0, 2);
    });
    wait.record(0.4);
    let expected = [(0, 0.3, "02".repeat(8)), (2, 8.0, "01".repeat(8))];
    assert_eq!(exemplars(&recorder, "wait_seconds"), expected);
    assert!(!recorder.render(PageFormat::Text).contains("trace_id"));
}

#[test]
fn a_source_of_spans() {
    let recorder = Recorder::builder().exemplar_source(|| Some(span(4))).native_histogram("wait").build().unwrap();
    with_local_recorder(&recorder, || {
        histogram!("wait").record(1e9);
        histogram!("bytes").record(1e9);
    });
    let page = recorder.render(PageFormat::OpenMetrics);
    assert_eq!(page.matches(" # {trace_id=\"04040404040404040404040404040404\"").count(), 2, "{page}");
    exemplar::scope(span(5), || with_local_recorder(&recorder, || histogram!("wait").record(1e9)));
    assert!(recorder.render(PageFormat::OpenMetrics).contains("span_id=\"0505050505050505\""));
}

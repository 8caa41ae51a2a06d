//! What the recorder calls may record in turn: who listens to the log, collectors, and the source of exemplars.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use metrics::{counter, histogram, with_local_recorder};
use outrigger_exposition::Value;
use outrigger_recorder::Recorder;
use outrigger_recorder::exemplar::TraceContext;
use support::sample;
use tracing::span;

mod support;

/// Runs `work` on a thread of its own, which a lock that is taken twice would stop for good.
fn must_end(work: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let worker = thread::spawn(move || {
        work();
        let _ = ended.send(());
    });
    assert_ne!(end.recv_timeout(Duration::from_secs(20)), Err(mpsc::RecvTimeoutError::Timeout), "it waits for itself");
    assert!(worker.join().is_ok(), "it failed, see above");
}

/// Counts what is logged, by the metric it is about, also where that is refused or folded.
struct Counting;

impl tracing::Subscriber for Counting {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        counter!("events_total").increment(1);
        counter!("refused_total").increment(1);
        counter!("folded_total", "a" => "1").increment(1);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn who_listens_to_the_log_may_record() {
    must_end(|| {
        let recorder = Recorder::builder().metric_limit(2).series_limit(1).build().unwrap();
        tracing::subscriber::with_default(Counting, || {
            with_local_recorder(&recorder, || {
                counter!("events_total").increment(0);
                counter!("folded_total", "a" => "1").increment(1);
                counter!("refused_total").increment(1);
                counter!("folded_total", "a" => "2").increment(1);
            });
        });
        let families = recorder.families();
        let dropped = |metric| sample(&families, "outrigger_series_dropped", &[("metric", metric)]);
        // The refusal and the cap on series, each logged once.
        assert_eq!(sample(&families, "events", &[]), Some(Value::Counter(2.0)));
        assert_eq!(dropped("refused_total"), Some(Value::Counter(3.0)));
        assert_eq!(dropped("folded_total"), Some(Value::Counter(1.0)));
        assert_eq!(sample(&families, "folded", &[("a", "1")]), Some(Value::Counter(3.0)));
    });
}

#[test]
fn a_collector_may_record() {
    must_end(|| {
        let recorder = Recorder::builder().metric_limit(1).build().unwrap();
        let own = recorder.clone();
        recorder.collector(move || {
            with_local_recorder(&own, || {
                counter!("collected_total").increment(1);
                counter!("refused_total").increment(1);
            });
            own.collector(Vec::new);
            vec![]
        });
        assert_eq!(sample(&recorder.families(), "collected", &[]), None, "made meanwhile");
        assert_eq!(sample(&recorder.families(), "collected", &[]), Some(Value::Counter(2.0)));
    });
}

#[test]
fn a_source_of_exemplars_may_record() {
    thread_local! {
        static ASKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    /// Records in the very histogram that asks, once.
    fn source() -> Option<TraceContext> {
        ASKED.set(ASKED.get() + 1);
        if ASKED.get() == 1 {
            histogram!("wait_seconds").record(0.5);
        }
        Some(TraceContext { trace_id: [1; 16], span_id: [2; 8] })
    }
    for native in [false, true] {
        must_end(move || {
            let builder = Recorder::builder().exemplar_source(source);
            let builder = if native { builder.native_histogram("wait_seconds") } else { builder };
            let recorder = builder.build().unwrap();
            with_local_recorder(&recorder, || histogram!("wait_seconds").record(0.25));
            let Some(Value::Histogram(wait)) = sample(&recorder.families(), "wait_seconds", &[]) else {
                panic!("no histogram")
            };
            assert_eq!((wait.count(), wait.sum, ASKED.get()), (2, Some(0.75), 2));
            let in_native = |native: outrigger_exposition::NativeHistogram| native.positive.counts.iter().sum::<u64>();
            assert_eq!(wait.native.map(in_native), native.then_some(2));
            assert_eq!(wait.exemplars.len(), 2);
        });
    }
}

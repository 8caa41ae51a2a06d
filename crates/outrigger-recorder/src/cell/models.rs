//! Every order in which writers and a reader can meet, tried by loom.

use std::sync::Arc;

use loom::thread;
use metrics::{CounterFn, GaugeFn, HistogramFn};
use outrigger_exposition::Kind;

use super::{Counter, Gauge, Histogram};
use crate::family::Shared;

/// Writers and a reader at once; then all must be there.
fn histograms(prepare: impl Fn(&Histogram) + Send + Sync + 'static) {
    loom::model(move || {
        let shared = Arc::new(Shared::new("x", Kind::Histogram, &[1.0]));
        let histogram = Arc::new(Histogram::new(shared));
        prepare(&histogram);
        let writers = [0.5, 2.0].map(|value| {
            let histogram = Arc::clone(&histogram);
            thread::spawn(move || histogram.record(value))
        });
        let mut counts = Vec::new();
        let sum = histogram.read(&mut counts);
        // What is in the sum is in the counts too.
        let most = 0.5 * counts[0] as f64 + 2.0 * counts[1] as f64;
        assert!([0.0, 0.5, 2.0, 2.5].contains(&sum) && sum <= most, "{sum} {counts:?}");
        assert!(sum < 2.0 || counts[1] == 1, "{sum} {counts:?}");
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!((histogram.read(&mut counts), &*counts), (2.5, &[1, 1][..]));
    });
}

#[test]
fn loom_histogram() {
    histograms(|_| {});
}

#[test]
fn loom_histogram_with_stripes() {
    histograms(Histogram::stripe);
}

#[test]
fn loom_counter_and_gauge() {
    loom::model(|| {
        let (counter, gauge) = (Arc::new(Counter::default()), Arc::new(Gauge::default()));
        let writer = {
            let (counter, gauge) = (Arc::clone(&counter), Arc::clone(&gauge));
            thread::spawn(move || {
                counter.increment(u64::from(u32::MAX) + 1);
                gauge.increment(1.5);
            })
        };
        counter.increment(1);
        gauge.decrement(0.5);
        writer.join().unwrap();
        assert_eq!((counter.value(), gauge.value()), (u64::from(u32::MAX) + 2, 1.0));
    });
}

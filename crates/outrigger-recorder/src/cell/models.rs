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

/// Stripes come into being while somebody records and somebody reads.
#[test]
fn loom_histogram_becoming_striped() {
    loom::model(|| {
        let shared = Arc::new(Shared::new("x", Kind::Histogram, &[1.0]));
        let histogram = Arc::new(Histogram::new(shared));
        let writers = [0.5, 2.0].map(|value| {
            let histogram = Arc::clone(&histogram);
            thread::spawn(move || {
                if value > 1.0 {
                    thread::yield_now();
                    histogram.stripe();
                }
                histogram.record(value);
            })
        });
        let mut counts = Vec::new();
        let sum = histogram.read(&mut counts);
        let most = 0.5 * counts[0] as f64 + 2.0 * counts[1] as f64;
        assert!([0.0, 0.5, 2.0, 2.5].contains(&sum) && sum <= most, "{sum} {counts:?}");
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!((histogram.read(&mut counts), &*counts), (2.5, &[1, 1][..]));
    });
}

/// A page that leaves out what is quiet, beside a writer: whatever is written is on that page or on a later one.
fn no_write_is_lost(was_quiet: bool) {
    loom::model(move || {
        let counter = Arc::new(Counter::default());
        if was_quiet {
            counter.activity.quieten();
        }
        let writer = {
            let counter = Arc::clone(&counter);
            thread::spawn(move || (0..2).for_each(|_| counter.increment(1)))
        };
        let mut shown = 0;
        let mut page = || {
            if !counter.activity.quieten() {
                shown = counter.value();
            }
        };
        page();
        page();
        writer.join().unwrap();
        page();
        assert_eq!(shown, 2);
    });
}

#[test]
fn loom_activity() {
    no_write_is_lost(false);
}

#[test]
fn loom_activity_of_what_was_quiet() {
    no_write_is_lost(true);
}

//! Writers, pages, registration and expiry at once: in the end every observation is there, once.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use metrics::{counter, gauge, histogram, with_local_recorder};
use outrigger_exposition::{Format, Value};
use outrigger_recorder::{PageFormat, Recorder};
use support::{read, sample};

const WRITERS: u64 = 4;
const ROUNDS: u64 = 20_000;

#[test]
fn totals_are_exact() {
    let recorder = Recorder::builder()
        .buckets("wait_seconds", &[1.0, 2.0])
        .idle_timeout(Duration::ZERO)
        .series_limit(50)
        .build()
        .unwrap();
    let done = AtomicBool::new(false);
    let pages = AtomicU64::new(0);
    // Held throughout, so none of these is ever removed.
    let held = with_local_recorder(&recorder, || {
        (counter!("hits_total"), gauge!("depth"), histogram!("wait_seconds"), histogram!("fold", "id" => "held"))
    });
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let recorder = &recorder;
                let held = held.clone();
                scope.spawn(move || {
                    with_local_recorder(recorder, || {
                        for round in 0..ROUNDS {
                            held.0.increment(1);
                            counter!("hits_total").increment(1);
                            held.1.increment(2.0);
                            gauge!("depth").decrement(1.0);
                            held.2.record(0.5);
                            histogram!("wait_seconds").record_many(1.5, 2);
                            // Many more than the cap: folded, removed, made again.
                            histogram!("fold", "id" => (round * WRITERS + writer).to_string()).record(1.0);
                        }
                    });
                })
            })
            .collect();
        for format in [PageFormat::Text, PageFormat::OpenMetrics] {
            let (recorder, done, pages) = (&recorder, &done, &pages);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    check(
                        &recorder.render(format),
                        if format == PageFormat::Text { Format::Text } else { Format::OpenMetrics },
                    );
                    pages.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Release);
    });
    assert!(pages.into_inner() > 2);
    // Whatever is hidden comes back with a write.
    held.0.increment(0);
    held.1.increment(0.0);
    held.2.record(9.0);
    let families = recorder.families();
    let all = WRITERS * ROUNDS;
    assert_eq!(sample(&families, "hits", &[]), Some(Value::Counter((2 * all) as f64)));
    assert_eq!(sample(&families, "depth", &[]), Some(Value::Gauge(all as f64)));
    let Some(Value::Histogram(wait)) = sample(&families, "wait_seconds", &[]) else { panic!("{families:?}") };
    assert_eq!(wait.counts, [all, 2 * all, 1]);
    assert_eq!(wait.sum, Some(3.5 * all as f64 + 9.0));
}

/// What holds for every page, however much is going on.
fn check(page: &str, format: Format) {
    // The reader says so when a series stands twice, or `_count` is not the last bucket.
    for family in read(page, format).families {
        for point in family.points {
            if let Value::Histogram(histogram) = point.value {
                // Each observation of these two is between 0.5 and 1.5: none is in the sum alone.
                assert!(histogram.sum <= Some(1.5 * histogram.count() as f64));
            }
        }
    }
}

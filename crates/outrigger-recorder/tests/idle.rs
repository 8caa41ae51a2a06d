//! Series that are not written for a while, and what their handles write later.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use metrics::{counter, gauge, histogram, with_local_recorder};
use outrigger_exposition::{Family, Value};
use outrigger_recorder::{Builder, PageFormat, Recorder};
use support::sample;

/// Whatever was not written since the page before is idle.
fn impatient() -> Builder {
    Recorder::builder().idle_timeout(Duration::ZERO).series_limit(100)
}

fn names(families: &[Family]) -> Vec<&str> {
    families.iter().map(|family| &*family.name).collect()
}

#[test]
fn nothing_is_idle_unless_asked_for() {
    let recorder = Recorder::new();
    with_local_recorder(&recorder, || gauge!("a").set(1.0));
    let first = recorder.render(PageFormat::Text);
    assert_eq!((recorder.render(PageFormat::Text), recorder.render(PageFormat::Text)), (first.clone(), first));
}

#[test]
fn a_patient_recorder_keeps_what_is_quiet() {
    let recorder = Recorder::builder().idle_timeout(Duration::from_secs(3600)).build().unwrap();
    with_local_recorder(&recorder, || gauge!("a").set(1.0));
    for _ in 0..5 {
        assert_eq!(names(&recorder.families()), ["a"]);
    }
}

#[test]
fn a_series_without_a_handle_is_removed() {
    let recorder = impatient().build().unwrap();
    with_local_recorder(&recorder, || {
        counter!("hits_total", "a" => "1").increment(5);
        counter!("hits_total", "a" => "2").increment(7);
        assert_eq!(recorder.families()[0].points.len(), 2);
        counter!("hits_total", "a" => "2").increment(1);
        assert_eq!(recorder.families()[0].points.len(), 1);
        assert_eq!(recorder.families(), vec![]);
        assert_eq!(recorder.render(PageFormat::Text), "");
        counter!("hits_total", "a" => "1").increment(1);
    });
    assert_eq!(sample(&recorder.families(), "hits", &[("a", "1")]), Some(Value::Counter(1.0)));
}

/// Or else a reader takes the 5 after the 3 for two more.
#[test]
fn a_series_that_comes_back_is_younger() {
    let created = |recorder: &Recorder| {
        let families = recorder.families();
        assert_eq!((families.len(), families[0].points.len()), (1, 1));
        families[0].points[0].created
    };
    let seconds = || UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let recorder = impatient().build().unwrap();
    with_local_recorder(&recorder, || {
        let before = seconds();
        let handle = counter!("hits_total");
        handle.increment(3);
        let first = created(&recorder).unwrap();
        assert!(before <= first && first <= seconds());
        assert_eq!(recorder.families(), vec![], "hidden");
        handle.increment(1);
        assert_eq!(created(&recorder), Some(first), "still the same");
        drop(handle);
        assert_eq!(recorder.families(), vec![], "removed");
        let removed = seconds();
        counter!("hits_total").increment(5);
        let second = created(&recorder).unwrap();
        assert!(removed <= second && first < second);
        counter!("hits_total").increment(1);
        // Pages stay as they were.
        assert_eq!(recorder.render(PageFormat::OpenMetrics), "# TYPE hits counter\nhits_total 6\n# EOF\n");
    });
    let gauges = impatient().build().unwrap();
    with_local_recorder(&gauges, || gauge!("depth").set(3));
    assert_eq!(created(&gauges), None, "a gauge counts nothing");
    let lasting = Recorder::new();
    with_local_recorder(&lasting, || counter!("hits_total").increment(3));
    assert_eq!(created(&lasting), None);
}

#[test]
fn a_removed_series_makes_room() {
    let recorder = impatient().build().unwrap();
    with_local_recorder(&recorder, || {
        for round in 0..20 {
            (0..100).for_each(|index| gauge!("a", "id" => format!("{round}-{index}")).set(1.0));
            assert_eq!(recorder.families()[0].points.len(), 100, "round {round}");
            assert_eq!(recorder.families(), vec![]);
        }
    });
}

#[test]
fn a_cached_handle_brings_its_series_back_whole() {
    let recorder = impatient().build().unwrap();
    let (hits, depth, wait) = with_local_recorder(&recorder, || {
        (counter!("hits_total", "a" => "1"), gauge!("depth"), histogram!("wait_seconds"))
    });
    for round in 1..=3_u32 {
        hits.increment(2);
        // The same value again counts as a write.
        depth.set(4.0);
        wait.record(0.5);
        let families = recorder.families();
        assert_eq!(sample(&families, "hits", &[("a", "1")]), Some(Value::Counter(f64::from(2 * round))));
        assert_eq!(sample(&families, "depth", &[]), Some(Value::Gauge(4.0)));
        let count = u64::from(round);
        assert!(
            matches!(sample(&families, "wait_seconds", &[]), Some(Value::Histogram(wait)) if wait.count() == count)
        );
        for _ in 0..3 {
            assert_eq!(recorder.families(), vec![], "hidden");
        }
    }
    // A macro finds the same series as long as the handle is there.
    with_local_recorder(&recorder, || counter!("hits_total", "a" => "1").increment(1));
    assert_eq!(sample(&recorder.families(), "hits", &[("a", "1")]), Some(Value::Counter(7.0)));
    drop((hits, depth, wait));
    assert_eq!(recorder.families(), vec![], "removed");
    with_local_recorder(&recorder, || counter!("hits_total", "a" => "1").increment(1));
    assert_eq!(sample(&recorder.families(), "hits", &[("a", "1")]), Some(Value::Counter(1.0)));
}

#[test]
fn the_overflow_series_comes_back_too() {
    let recorder = Recorder::builder().idle_timeout(Duration::ZERO).series_limit(0).build().unwrap();
    let overflow = [("otel_metric_overflow", "true")];
    for round in 1..=3 {
        with_local_recorder(&recorder, || counter!("hits_total", "a" => "1").increment(1));
        let families = recorder.families();
        assert_eq!(sample(&families, "hits", &overflow), Some(Value::Counter(f64::from(round))));
        assert_eq!(names(&recorder.families()), ["outrigger_series_dropped"]);
    }
}

/// Writers let go of their handles while pages look for what nobody holds. A series may only be removed after a page has
/// shown all that was written to it.
#[test]
fn removal_loses_nothing_that_no_page_has_shown() {
    const WRITERS: usize = 3;
    const SERIES: usize = 3_000;
    let recorder = Recorder::builder().idle_timeout(Duration::ZERO).series_limit(WRITERS * SERIES).build().unwrap();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let recorder = &recorder;
                scope.spawn(move || {
                    with_local_recorder(recorder, || {
                        for id in 0..SERIES {
                            let handle = counter!("once_total", "id" => format!("{writer}-{id}"));
                            (0..3).for_each(|_| handle.increment(1));
                        }
                    });
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut seen = HashMap::new();
            loop {
                let over = done.load(Ordering::Acquire);
                let families = recorder.families();
                for point in families.iter().flat_map(|family| &family.points) {
                    seen.insert(point.labels.clone(), point.value.clone());
                }
                if over && families.is_empty() {
                    return seen;
                }
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Release);
        reader.join().unwrap()
    });
    assert_eq!(seen.len(), WRITERS * SERIES);
    assert!(seen.values().all(|value| *value == Value::Counter(3.0)), "{seen:?}");
    // They were removed and not merely hidden.
    with_local_recorder(&recorder, || counter!("once_total", "id" => "0-0").increment(1));
    assert_eq!(sample(&recorder.families(), "once", &[("id", "0-0")]), Some(Value::Counter(1.0)));
}

//! What is allocated: nothing by recording, next to nothing by a page, and nothing is kept but series.

#![allow(unsafe_code, reason = "counting allocations takes an allocator of one's own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use metrics::{counter, gauge, histogram, with_local_recorder};
use outrigger_recorder::{Matcher, PageFormat, Recorder};

/// Of one thread alone: the test harness allocates on its own ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    calls: u64,
    live: i64,
    peak: i64,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { calls: 0, live: 0, peak: 0 }) };
}

fn note(calls: u64, bytes: i64) {
    let Counts { calls: before, live, peak } = COUNTS.get();
    COUNTS.set(Counts { calls: before + calls, live: live + bytes, peak: peak.max(live + bytes) });
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size().cast_signed() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size().cast_signed() as i64));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size.cast_signed() as i64 - layout.size().cast_signed() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` allocated, what it kept, and how much it had at once.
fn cost(work: impl FnOnce()) -> Counts {
    let before = COUNTS.get();
    COUNTS.set(Counts { peak: before.live, ..before });
    work();
    let after = COUNTS.get();
    Counts { calls: after.calls - before.calls, live: after.live - before.live, peak: after.peak - before.live }
}

#[test]
fn the_counter_counts() {
    let mut kept = None;
    let counts = cost(|| {
        drop(black_box(vec![0_u8; 1000]));
        kept = Some(black_box(vec![0_u8; 10]));
    });
    assert_eq!(counts, Counts { calls: 2, live: 10, peak: 1000 });
}

#[test]
fn recording_allocates_nothing() {
    let recorder = Recorder::builder().native_histogram("native_seconds").build().unwrap();
    with_local_recorder(&recorder, || {
        let handle = histogram!("wait_seconds", "route" => "/cart");
        let native = histogram!("native_seconds");
        // What has been seen once has its place.
        let record = || {
            handle.record(0.3);
            handle.record(f64::NAN);
            handle.record_many(7.0, 3);
            native.record(0.3);
            histogram!("wait_seconds", "route" => "/cart", "status" => "200").record(0.3);
            counter!("hits_total", "route" => "/cart", "status" => "200").increment(1);
            gauge!("depth").increment(1);
        };
        record();
        assert_eq!(cost(|| (0..100_000).for_each(|_| record())), Counts::default());
    });
}

#[test]
fn ten_million_observations_keep_nothing() {
    let recorder = Recorder::new();
    let wait = with_local_recorder(&recorder, || histogram!("wait_seconds"));
    wait.record(0.1);
    let counts = cost(|| (0..10_000_000_u32).for_each(|index| wait.record(f64::from(index & 1023) * 0.01)));
    assert_eq!(counts, Counts::default());
}

#[test]
fn label_sets_beyond_the_cap_keep_nothing() {
    let recorder = Recorder::builder().series_limit(10).build().unwrap();
    with_local_recorder(&recorder, || {
        let visit = |user: u32| counter!("visits_total", "user" => user.to_string()).increment(1);
        (0..20).for_each(visit);
        let counts = cost(|| (20..100_000).for_each(visit));
        assert_eq!(counts.live, 0);
    });
}

#[test]
fn a_page_of_any_length_takes_two_pieces() {
    let recorder = Recorder::builder()
        .buckets(
            Matcher::Suffix("_seconds".to_owned()),
            &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
        )
        .series_limit(20_000)
        .build()
        .unwrap();
    with_local_recorder(&recorder, || {
        for index in 0..20_000 {
            histogram!("wait_seconds", "method" => "GET", "route" => format!("/{index}"), "status" => "200")
                .record(0.3);
        }
        counter!("hits_total").increment(1);
    });
    for format in [PageFormat::Text, PageFormat::OpenMetrics] {
        for keep_last in [false, true] {
            let mut bytes = 0;
            let counts = cost(|| {
                let mut last = None;
                for piece in recorder.page(format) {
                    bytes += piece.len();
                    // Servers hold a piece until it is sent, while the next one is made.
                    drop(last.replace(piece).filter(|_| keep_last));
                    last = last.filter(|_| keep_last);
                }
            });
            assert!(bytes > 15_000_000);
            assert_eq!(counts.live, 0);
            assert!(counts.peak <= 64 * 1024, "{format:?}: {counts:?}");
            assert!(counts.calls <= 40, "{format:?}: {counts:?}");
        }
    }
}

/// The figures of the README: `cargo test --release -p outrigger-recorder --test memory bytes -- --nocapture`. Each is of a
/// recorder of its own, so that no table grows for two of them.
#[test]
fn bytes_of_a_series() {
    const SERIES: u32 = 8_000;
    const BUCKETS: [f64; 15] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0];
    let route = |index: u32| format!("/api/v1/resource-{index}/{{id}}");
    for (kind, limit, register) in [
        (
            "counter",
            650,
            &(|index| counter!("a_total", "method" => "GET", "route" => route(index), "status" => "200").increment(1))
                as &dyn Fn(u32),
        ),
        ("gauge", 650, &|index| gauge!("b", "method" => "GET", "route" => route(index), "status" => "200").set(1)),
        ("histogram with 16 buckets", 900, &|index| {
            histogram!("c", "method" => "GET", "route" => route(index), "status" => "200").record(1)
        }),
    ] {
        let recorder = Recorder::builder().buckets("c", &BUCKETS).build().unwrap();
        let counts = with_local_recorder(&recorder, || cost(|| (0..SERIES).for_each(register)));
        let bytes = counts.live / i64::from(SERIES);
        println!("{kind}: {bytes} bytes a series");
        assert!(bytes <= limit, "{kind}: {bytes}");
    }
}

//! Reading a page through a visitor allocates nothing, bad lines included. Nor does writing one, once the encoder has
//! seen points as long.

#![allow(unsafe_code, reason = "counting allocations takes an allocator of one's own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use outrigger_exposition::{
    BucketExemplar, EncodeError, Encoder, Exemplar, Extra, Format, Header, Kind, Label, LineError, NativeBuckets,
    NativeHistogram, Quantile, Sample, ValueRef, Visitor, parse, protobuf,
};

thread_local! {
    /// Of this thread alone: the test harness allocates on its own ones.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Looks at all that it is handed without keeping any of it.
#[derive(Default)]
struct Look {
    labels: usize,
    bad_lines: usize,
}

impl Visitor for Look {
    fn sample(&mut self, sample: &Sample<'_>) {
        for (name, value) in sample.labels {
            self.labels += 1;
            black_box((name, value.raw()));
        }
    }

    fn bad_line(&mut self, error: &LineError<'_>) {
        self.bad_lines += 1;
        black_box(error.start);
    }
}

#[test]
fn parsing_allocates_nothing() {
    for page in [
        &include_bytes!("../corpus/go_client.txt")[..],
        include_bytes!("../corpus/openmetrics_exemplars.txt"),
        include_bytes!("../corpus/broken_lines.txt"),
        include_bytes!("../corpus/utf8_names.txt"),
    ] {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut look = Look::default();
            let before = ALLOCATIONS.get();
            let parsed = parse(page, format, &mut look);
            assert_eq!(ALLOCATIONS.get() - before, 0);
            assert!(parsed.samples > 0 && look.labels + look.bad_lines > 0);
        }
    }
    let before = ALLOCATIONS.get();
    drop(black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
}

#[test]
fn encoding_allocates_nothing() -> Result<(), EncodeError> {
    let trace = Exemplar { labels: vec![Label::new("trace_id", "a\"b")], value: 0.3, timestamp_ms: Some(1) };
    let exemplars = [BucketExemplar { bucket: 1, exemplar: trace.clone() }];
    let histogram = |counts| ValueRef::Histogram {
        bounds: &[0.1, 1.0],
        counts,
        sum: Some(1.1 + 2.2),
        exemplars: &exemplars,
        native: None,
    };
    let quantiles = [Quantile { quantile: 0.99, value: 1e-9 }];
    let values = [
        (Kind::Histogram, histogram(&[1, 2, 3])),
        (Kind::Histogram, histogram(&[100_000, u64::MAX, 0])),
        (Kind::Counter, ValueRef::Number(1e300)),
        (Kind::Gauge, ValueRef::Number(-0.1)),
        (Kind::Summary, ValueRef::Summary { quantiles: &quantiles, sum: Some(f64::NAN), count: Some(7) }),
    ];
    let labels = [("route", "/a\\b"), ("http.method", "\n"), ("empty", "")];
    for format in [Format::Text, Format::OpenMetrics] {
        for name in ["plain", "with.dots"] {
            let mut encoder = Encoder::new(format, String::with_capacity(1 << 16)).with_created(true);
            for round in 0..3 {
                let before = ALLOCATIONS.get();
                for (kind, value) in values {
                    let header = Header { name, kind, help: Some("a\nb"), unit: Some("dots") };
                    let extra = Extra { timestamp_ms: Some(1), created: Some(0.1), exemplar: Some(&trace) };
                    encoder.begin(header)?.point(labels, value, extra)?;
                }
                assert!(round == 0 || ALLOCATIONS.get() == before, "{format:?} {name}");
            }
            assert!(encoder.finish()?.len() > 3000);
        }
    }
    Ok(())
}

#[test]
fn encoding_protobuf_allocates_nothing() -> Result<(), EncodeError> {
    let positive = NativeBuckets { offset: -1, counts: vec![1, 0, 0, 0, 2] };
    let native = NativeHistogram { positive, ..NativeHistogram::default() };
    let value = ValueRef::Histogram {
        bounds: &[0.1, 1.0],
        counts: &[1, 2, 0],
        sum: Some(1.0),
        exemplars: &[],
        native: Some(&native),
    };
    let header = Header { name: "wait_seconds", kind: Kind::Histogram, help: Some("a"), unit: Some("seconds") };
    let mut encoder = protobuf::Encoder::new(Vec::with_capacity(1 << 16));
    for round in 0..3 {
        let before = ALLOCATIONS.get();
        let mut points = encoder.resume(header)?;
        for route in ["/a", "/b"] {
            points.point([("route", route), ("method", "GET")], value, Extra::default())?;
        }
        drop(points);
        assert!(round == 0 || ALLOCATIONS.get() == before);
    }
    assert!(encoder.finish()?.len() > 300);
    Ok(())
}

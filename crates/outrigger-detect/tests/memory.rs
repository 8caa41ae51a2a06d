//! What a detector costs: bounded memory, and no allocation once it runs. Alone in its file, since it counts allocations.
#![allow(unsafe_code, reason = "a global allocator that counts is unsafe to implement")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use outrigger_detect::{
    BurnRate, BurnSettings, Forecast, Interval, LatencyDetector, LatencySettings, Phase, PointDetector, PointSettings,
    Toward, TrafficDetector, TrafficSettings,
};

struct Counting;

thread_local! {
    // Of this thread alone: the test harness allocates on its own ones.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get().wrapping_add(layout.size()));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub(layout.size()));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_route_takes_less_than_four_kibibytes_and_allocates_nothing_on_the_way() {
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    let (calm, slow) =
        ([3, 5, 8, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 3, 5, 3, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    let before = BYTES.get();
    let mut detector = LatencyDetector::new(LatencySettings::default());
    let mut feed = |delta: &[u64]| {
        detector.observe(&Interval { at: f64::NAN, bounds: &bounds, delta, sum: 0.5, seconds: 1.0, reset: false }).phase
    };
    assert_eq!(feed(&calm), Phase::WarmingUp);
    let bytes = BYTES.get() - before + size_of::<LatencyDetector>();
    assert!(bytes <= 4096, "{bytes} bytes");
    println!("{bytes} bytes per route with {} bounds", bounds.len());

    let allocations = ALLOCATIONS.get();
    for _ in 0..1000 {
        feed(&calm);
    }
    assert_eq!(ALLOCATIONS.get(), allocations);
    // An anomaly keeps the counts since its onset: one more piece of memory while it is open.
    for _ in 0..1000 {
        feed(&slow);
    }
    assert_eq!(feed(&slow), Phase::Anomalous);
    assert_eq!(ALLOCATIONS.get(), allocations + 1);
}

#[test]
fn a_series_takes_less_than_five_kibibytes_and_allocates_nothing_on_the_way() {
    let before = BYTES.get();
    let mut detector = PointDetector::new(PointSettings::default());
    let bytes = BYTES.get() - before + size_of::<PointDetector>();
    assert!(bytes <= 5 * 1024, "{bytes} bytes");
    println!("{bytes} bytes per series");
    let allocations = ALLOCATIONS.get();
    let mut alerts = 0;
    for row in 0..5000_u32 {
        let value = if row == 3000 { 1e6 } else { f64::from(row % 37) };
        alerts += u32::from(detector.observe(f64::from(row) * 60.0, value).alert);
    }
    assert!(alerts > 0);
    assert_eq!(ALLOCATIONS.get(), allocations);
}

#[test]
fn forecasts_traffic_and_budgets_are_bounded_and_allocate_nothing_on_the_way() {
    let before = BYTES.get();
    let mut forecast = Forecast::new(Toward::Above);
    let forecast_bytes = BYTES.get() - before + size_of::<Forecast>();
    let before = BYTES.get();
    let mut traffic = TrafficDetector::new(TrafficSettings::default());
    let traffic_bytes = BYTES.get() - before + size_of::<TrafficDetector>();
    let before = BYTES.get();
    let mut burn = BurnRate::new(BurnSettings::default());
    let burn_bytes = BYTES.get() - before + size_of::<BurnRate>();
    println!("{forecast_bytes} bytes per forecast, {traffic_bytes} per route's traffic, {burn_bytes} per objective");
    assert!(burn_bytes <= 6 * 1024, "{burn_bytes} bytes");
    assert!(forecast_bytes <= 4096, "{forecast_bytes} bytes");
    assert!(traffic_bytes <= 6 * 1024, "{traffic_bytes} bytes");
    let allocations = ALLOCATIONS.get();
    let (mut outlooks, mut anomalies, mut burns) = (0, 0, 0);
    for row in 0..20_000_u32 {
        let at = 1e9 + f64::from(row) * 15.0;
        outlooks += u32::from(forecast.observe(at, f64::from(row), 25_000.0).is_some());
        burns += u32::from(burn.observe(at, u64::from(row.is_multiple_of(20)), 10).is_some());
        let requests = if row < 10_000 { 300 } else { 0 };
        anomalies += u32::from(traffic.observe(at, requests, 15.0).phase == Phase::Anomalous);
    }
    assert!(outlooks > 0 && anomalies > 0 && burns > 0);
    assert_eq!(ALLOCATIONS.get(), allocations);
}

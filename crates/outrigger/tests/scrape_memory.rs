//! What a scrape costs in memory: pieces, however long the page. A process of its own, whose allocations are counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "a global allocator is unsafe to be; this one hands everything on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use outrigger::Metrics;
use outrigger_recorder::Recorder;
use outrigger_semconv::{cache, label};
use outrigger_testkit::wait_until;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; only sizes are added up beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `memory` came from `alloc` above, that is from the system, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SERIES: usize = 100_000;
/// For one scrape: a piece that is sent, one that is made, the connection's buffers.
const PER_SCRAPE: usize = 256 * 1024;
/// The compressor's window and tables.
const COMPRESSOR: usize = 512 * 1024;
const SOON: Duration = Duration::from_secs(60);

/// One test, so that nothing else is allocated meanwhile.
#[test]
fn a_page_is_never_in_memory_as_a_whole() {
    let recorder = Recorder::builder().series_limit(2 * SERIES).build().unwrap();
    fill(&recorder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = {
        let _inside = runtime.enter();
        Metrics::from(recorder).admin().listen(([127, 0, 0, 1], 0)).serve()
    };
    let address = listener.local_addr().expect("a free port");
    // What is made once and kept.
    let length = scrape(address, "");
    assert!(length > 100_000_000, "{length} bytes");

    // A reader that keeps up, plain and compressed.
    for header in ["", "accept-encoding: gzip\r\n", "accept: application/openmetrics-text\r\n"] {
        settled();
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let length = scrape(address, header);
        let peak = PEAK.load(Ordering::Relaxed) - before;
        println!("{header:?}: {length} bytes sent, {peak} bytes of memory above the registry");
        let bound = PER_SCRAPE + if header.contains("gzip") { COMPRESSOR } else { 0 };
        assert!(peak < bound, "{peak} bytes for a page of {length}");
    }

    // Readers that stop, and leave in the middle.
    const READERS: usize = 8;
    settled();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut stream = request(address, "");
            stream.read_exact(&mut [0; 64 * 1024]).unwrap();
            stream
        })
        .collect();
    // Another is served meanwhile, all of it.
    assert_eq!(scrape(address, ""), length);
    let peak = PEAK.load(Ordering::Relaxed) - before;
    println!("{READERS} readers that stopped and one that read: {peak} bytes of memory above the registry");
    assert!(peak < (READERS + 1) * PER_SCRAPE, "{peak} bytes");
    drop(readers);
    wait_until(SOON, "what they left is freed", || LIVE.load(Ordering::Relaxed) < before + 4096);
}

/// Histograms with twelve buckets, and something in each of them.
fn fill(recorder: &Recorder) {
    let metadata = Metadata::new("test", Level::INFO, None);
    for series in 0..SERIES {
        let labels = vec![Label::new(label::CACHE_NAME, format!("the cache with the number {series}"))];
        let histogram = recorder.register_histogram(&Key::from_parts(cache::LOAD_DURATION.name, labels), &metadata);
        histogram.record(0.001 * series as f64);
    }
}

/// Reads a page to its end without keeping it, and gives its length in bytes.
fn scrape(address: SocketAddr, header: &str) -> usize {
    let mut stream = request(address, header);
    let mut buffer = [0; 64 * 1024];
    let mut length = 0;
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            read => length += read,
        }
    }
    length
}

fn request(address: SocketAddr, header: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{header}\r\n").unwrap();
    stream
}

/// Waits until nothing of an earlier connection is freed any more.
fn settled() {
    let mut last = LIVE.load(Ordering::Relaxed);
    wait_until(SOON, "the memory to settle", || {
        let now = LIVE.load(Ordering::Relaxed);
        std::mem::replace(&mut last, now) == now
    });
}

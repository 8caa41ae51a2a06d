//! Heap profiles, for a program on jemalloc. It takes `make` and a C compiler to build, so it stands behind a feature:
//!
//! ```sh
//! export _RJEM_MALLOC_CONF=prof:true,prof_active:true,lg_prof_sample:19
//! cargo run --release -p heap --features jemalloc
//! go tool pprof -http=: http://127.0.0.1:9464/debug/pprof/heap
//! ```

use std::time::Duration;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;
    metrics.serve_admin();

    let mut held = Vec::new();
    loop {
        if held.len() < 64 {
            held.push(a_leak());
            println!("{} MiB are held", held.len());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A MiB that nobody gives back.
#[inline(never)]
fn a_leak() -> Vec<u8> {
    vec![1; 1024 * 1024]
}

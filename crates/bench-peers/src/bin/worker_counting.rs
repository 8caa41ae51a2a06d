//! One measurement of memory: as the worker, with an allocator that counts.

use bench_peers::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> bench_peers::Result<()> {
    bench_peers::worker::main()
}

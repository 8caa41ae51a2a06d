//! One measurement with the system's allocator, as a service has it.

fn main() -> bench_peers::Result<()> {
    bench_peers::worker::main()
}

//! What a service does, bare and wrapped. To add a pair: a file with two functions, and two lines in [`all`].

mod cache;
mod task;

use crate::Result;

/// Does it once.
pub type Operate = Box<dyn FnMut()>;

pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    pub build: fn() -> Result<Operate>,
}

/// Every case, the bare one before its wrapped ones: `name-bare`, `name`.
pub fn all() -> Vec<Case> {
    vec![
        Case { name: "moka-future-bare", about: "a hit in moka's future cache", build: cache::future_bare },
        Case { name: "moka-future", about: "the same through MokaCache", build: cache::future },
        Case { name: "moka-sync-bare", about: "a hit in moka's sync cache", build: cache::sync_bare },
        Case { name: "moka-sync", about: "the same through MokaSyncCache", build: cache::sync },
        Case { name: "task-bare", about: "a future, polled twice", build: task::awaited_bare },
        Case { name: "task", about: "the same through Task::run", build: task::awaited },
        // The allocator's part in this depends on the size that the runtime rounds a task up to.
        Case { name: "task-spawn-bare", about: "the future spawned and joined", build: task::spawned_bare },
        Case { name: "task-spawn", about: "the same through Task::spawn", build: task::spawned },
    ]
}

pub fn find(name: &str) -> Result<Case> {
    let found = all().into_iter().find(|case| case.name == name);
    found.ok_or_else(|| format!("no operation {name:?} is compiled in").into())
}

/// Operates `count` times. Instructions are counted within this symbol, so it has to exist as such.
#[inline(never)]
#[unsafe(no_mangle)]
pub fn measured_operations(operate: &mut Operate, count: usize) {
    for _ in 0..count {
        operate();
    }
}

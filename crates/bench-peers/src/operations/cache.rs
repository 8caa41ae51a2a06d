//! A hit in a cache of so few numbers that it never has to make room.

use super::Operate;
use crate::Result;
use outrigger::cache::{MokaCache, MokaSyncCache};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const KEYS: u64 = 1 << 10;

pub(super) fn future_bare() -> Result<Operate> {
    let cache = filled_future();
    Ok(each_key(move |key| ready(cache.get(&key))))
}

pub(super) fn future() -> Result<Operate> {
    let cache = MokaCache::new(&outrigger::standalone()?, "numbers", filled_future());
    Ok(each_key(move |key| ready(cache.get(&key))))
}

pub(super) fn sync_bare() -> Result<Operate> {
    let cache = filled_sync();
    Ok(each_key(move |key| cache.get(&key)))
}

pub(super) fn sync() -> Result<Operate> {
    let cache = MokaSyncCache::new(&outrigger::standalone()?, "numbers", filled_sync());
    Ok(each_key(move |key| cache.get(&key)))
}

fn each_key(get: impl Fn(u64) -> Option<u64> + 'static) -> Operate {
    let mut number = 0;
    Box::new(move || {
        number += 1;
        black_box(get(number % KEYS));
    })
}

fn filled_future() -> moka::future::Cache<u64, u64> {
    let cache = moka::future::Cache::new(2 * KEYS);
    (0..KEYS).for_each(|key| ready(cache.insert(key, key)));
    ready(cache.run_pending_tasks());
    cache
}

fn filled_sync() -> moka::sync::Cache<u64, u64> {
    let cache = moka::sync::Cache::new(2 * KEYS);
    (0..KEYS).for_each(|key| cache.insert(key, key));
    cache.run_pending_tasks();
    cache
}

/// Polls to the end: nothing here waits for anybody else.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

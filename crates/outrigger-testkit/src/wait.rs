//! Waiting for conditions, and choosing ports.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(20);

/// Polls until `condition` holds.
///
/// # Panics
/// When it does not within `deadline`; the message names `what` was awaited.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(deadline, what, || condition().then_some(()));
}

/// Polls until `probe` gives a value, and hands that on.
///
/// # Panics
/// When it gives none within `deadline`; the message names `what` was awaited.
#[track_caller]
pub fn wait_for<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        thread::sleep(POLL);
    }
}

/// A port on loopback that is free now and that this process has not been given before.
///
/// It lies below the range from which Linux draws the ports of outgoing connections, so that only another listener
/// can take it meanwhile. Our servers try another one then.
///
/// # Panics
/// When none of many is free.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    const RANGE: std::ops::Range<u16> = 12_000..32_000;

    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    let random = RandomState::new();
    for attempt in 0..2_000_u32 {
        let offset = random.hash_one(attempt) % u64::from(RANGE.end - RANGE.start);
        let port = RANGE.start + u16::try_from(offset).unwrap_or(0);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 in {RANGE:?} after 2,000 tries");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_given_twice() {
        let ports: HashSet<u16> = (0..200).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 200);
        for port in ports {
            TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|error| panic!("{port}: {error}"));
        }
    }

    #[test]
    fn a_condition_is_polled_until_it_holds() {
        let mut left = 3;
        wait_until(Duration::from_secs(5), "three polls", || {
            left -= 1;
            left == 0
        });
        assert_eq!(left, 0);
    }

    #[test]
    #[should_panic(expected = "in vain: the impossible")]
    fn a_condition_that_never_holds_fails_by_name() {
        wait_until(Duration::from_millis(50), "the impossible", || false);
    }
}

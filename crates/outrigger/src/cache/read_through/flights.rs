//! Single flight: one load for all who ask for a key at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The loads that are under way, and who waits for them.
pub(super) struct Flights<K, T> {
    boarding: Mutex<HashMap<K, Flight<T>>>,
    numbers: AtomicU64,
    /// Loads under way, those included that nobody may join any more.
    loads: Count,
    waiters: Count,
}

struct Flight<T> {
    number: u64,
    landed: Landing<T>,
}

/// Where the result will be; closed without one when the load panicked or its runtime ended.
type Landing<T> = watch::Receiver<Option<T>>;

/// What one who asks is to do.
pub(super) enum Boarding<K: Hash + Eq, T> {
    /// Load, and wait for it as the others do.
    Pilot(Pilot<K, T>, Passenger<T>),
    /// Wait.
    Passenger(Passenger<T>),
    /// Too many load (`load`) or wait (`wait`) already.
    Full(&'static str),
}

impl<K: Hash + Eq + Clone, T: Clone> Flights<K, T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            boarding: Mutex::default(),
            numbers: AtomicU64::new(0),
            loads: Count::new(limit),
            waiters: Count::new(limit),
        }
    }

    pub(super) fn board(self: &Arc<Self>, key: &K) -> Boarding<K, T> {
        let Some(waiting) = self.waiters.enter() else { return Boarding::Full("wait") };
        let mut boarding = self.boarding();
        if let Some(flight) = boarding.get(key) {
            return Boarding::Passenger(Passenger { landed: flight.landed.clone(), _waiting: waiting });
        }
        let Some(loading) = self.loads.enter() else { return Boarding::Full("load") };
        let (result, landed) = watch::channel(None);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        boarding.insert(key.clone(), Flight { number, landed: landed.clone() });
        let pilot = Pilot { flights: Arc::clone(self), key: key.clone(), number, result, _loading: loading };
        Boarding::Pilot(pilot, Passenger { landed, _waiting: waiting })
    }

    /// Whoever asks for this key from now on gets a new load.
    pub(super) fn close(&self, key: &K) {
        self.boarding().remove(key);
    }

    /// Whoever asks from now on gets a new load.
    pub(super) fn close_all(&self) {
        self.boarding().clear();
    }

    fn boarding(&self) -> MutexGuard<'_, HashMap<K, Flight<T>>> {
        self.boarding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to bring a load to its end. Dropped before that, those who wait are told.
pub(super) struct Pilot<K: Hash + Eq, T> {
    flights: Arc<Flights<K, T>>,
    key: K,
    number: u64,
    result: watch::Sender<Option<T>>,
    _loading: Entered,
}

impl<K: Hash + Eq, T> Pilot<K, T> {
    pub(super) fn land(self, result: T) {
        // Whoever was brought what is of no use to it shall not board the same flight again.
        self.leave();
        self.result.send_replace(Some(result));
    }

    fn leave(&self) {
        let mut boarding = self.flights.boarding.lock().unwrap_or_else(PoisonError::into_inner);
        if boarding.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            boarding.remove(&self.key);
        }
    }
}

impl<K: Hash + Eq, T> Drop for Pilot<K, T> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// One who waits for a load.
pub(super) struct Passenger<T> {
    landed: Landing<T>,
    _waiting: Entered,
}

impl<T: Clone> Passenger<T> {
    /// The result; `None` when there will be none.
    pub(super) async fn arrive(mut self) -> Option<T> {
        let landed = self.landed.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

/// A number of things that may be under way at a time.
#[derive(Debug)]
pub(super) struct Count {
    now: Arc<AtomicUsize>,
    limit: usize,
}

impl Count {
    pub(super) fn new(limit: usize) -> Self {
        Self { now: Arc::default(), limit }
    }

    pub(super) fn enter(&self) -> Option<Entered> {
        // One that is refused must not count for a moment, or it keeps out another for whom there is room.
        let more = |now: usize| (now < self.limit).then_some(now + 1);
        self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Entered(Arc::clone(&self.now)))
    }
}

/// One of them: no more when dropped.
#[derive(Debug)]
pub(super) struct Entered(Arc<AtomicUsize>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

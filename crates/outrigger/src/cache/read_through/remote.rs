//! What the read-through cache asks of a tier that other processes share.

#![cfg_attr(not(feature = "redis"), allow(dead_code, reason = "Redis is the only one"))]

use std::pin::Pin;

use super::entry::Held;
use super::local::Invalidation;

pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A tier beyond this process. It fails by having nothing: an error is its own to count.
pub(super) trait Remote<K, V>: Send + Sync {
    /// What is there, when it answers.
    fn read<'a>(&'a self, key: &'a K) -> Boxed<'a, Option<Read<V>>>;

    /// Remembers what was loaded after the clock showed `stamp`.
    fn write<'a>(&'a self, key: &'a K, held: &'a Held<V>, stamp: u64) -> Boxed<'a, ()>;

    /// Forgets an entry, for all processes that do not have it in memory.
    fn remove<'a>(&'a self, key: &'a K) -> Boxed<'a, ()>;

    /// Takes on to tell all processes: from now on nothing is believed here before they are told.
    fn keep(&self, what: &Invalidation<K>);

    /// Tells all processes what is kept; later, if it cannot be told now.
    fn tell(&self) -> Boxed<'_, ()>;

    /// Whether what was verified at this clock may be served without asking.
    fn vouches(&self, verified: u64) -> Vouch;

    /// Brings the known clock up to date. Says whether what was verified at this clock may be served.
    fn ask(&self, verified: u64) -> Boxed<'_, bool>;

    /// The clock as it is known here.
    fn clock(&self) -> u64;
}

/// A valid entry or none, and the clock at that time.
pub(super) struct Read<V> {
    pub(super) held: Option<Held<V>>,
    pub(super) clock: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vouch {
    Yes,
    No,
    /// What is known of the clock is too old: [`Remote::ask`] first.
    Ask,
}

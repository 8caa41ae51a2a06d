//! A connection whose use is timed.

use std::fmt;
use std::ops::{Deref, DerefMut};
#[cfg(feature = "sqlx")]
use std::time::Instant;

use super::Use;

/// A connection from a [`Watched`](super::Watched) pool: used like the pool's own, timed until it is dropped.
///
/// It derefs to the connection itself, through the pool's guard: `&mut *held` is what queries run on.
pub struct Held<C> {
    // Fields drop in this order: the time ends before the connection goes back.
    used: Use,
    connection: C,
}

impl<C> Held<C> {
    pub(crate) fn new(used: Use, connection: C) -> Self {
        Self { used, connection }
    }

    /// The pool's own guard. The time of use ends here.
    pub fn into_inner(self) -> C {
        drop(self.used);
        self.connection
    }

    /// Since when it is held.
    #[cfg(feature = "sqlx")]
    pub(crate) fn since(&self) -> Instant {
        self.used.since()
    }

    #[cfg(feature = "sqlx")]
    pub(crate) fn into_parts(self) -> (C, Use) {
        (self.connection, self.used)
    }

    /// The pool's own guard, for what only it can do.
    pub fn guard(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<C: Deref> Deref for Held<C> {
    type Target = C::Target;

    fn deref(&self) -> &C::Target {
        &self.connection
    }
}

impl<C: DerefMut> DerefMut for Held<C> {
    fn deref_mut(&mut self) -> &mut C::Target {
        &mut self.connection
    }
}

impl<C: fmt::Debug> fmt::Debug for Held<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.connection).finish()
    }
}

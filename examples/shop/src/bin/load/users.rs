//! The customers' accounts. A journey has its user to itself: two at one cart would surprise each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// More users than this are not kept for later journeys.
const MAX_IDLE: usize = 10_000;

pub(crate) struct Users {
    idle: Mutex<Vec<User>>,
    next: AtomicU64,
    /// Tells this run's users from those of earlier runs on the same database.
    run: u64,
}

/// An account that the shop knows.
pub(crate) struct User {
    pub(crate) account: Account,
    pub(crate) token: String,
}

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) password: String,
}

impl Users {
    pub(crate) fn new() -> Self {
        Self { idle: Mutex::default(), next: AtomicU64::new(1), run: fastrand::u64(..) }
    }

    /// An account that nobody has yet.
    pub(crate) fn new_account(&self) -> Account {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Account {
            email: format!("customer-{number}-{:016x}@load.example", self.run),
            password: format!("password-{number}"),
        }
    }

    /// A user to travel as, if one is idle.
    pub(crate) fn take(&self, random: &mut fastrand::Rng) -> Option<User> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let count = idle.len();
        (count > 0).then(|| idle.swap_remove(random.usize(..count)))
    }

    pub(crate) fn put_back(&self, user: User) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(user);
        }
    }
}

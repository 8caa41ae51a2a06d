//! sqlx: executors whose queries are timed.

mod error;
mod observed;
mod timed;
mod via;

pub use self::timed::{Timed, TimedBy};

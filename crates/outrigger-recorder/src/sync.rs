//! The atomics of cells: those of the standard library, or loom's, which tries all orders in which threads can meet.
//!
//! `RUSTFLAGS="--cfg outrigger_loom" cargo test --release -p outrigger-recorder --lib loom` runs the models.

#[cfg(outrigger_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
#[cfg(not(outrigger_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

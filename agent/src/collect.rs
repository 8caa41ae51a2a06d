//! What is read from the world: pages of targets, the host, the processes behind the targets.
//!
//! A collector reads and returns values or an error; it names no metrics and keeps nothing that others need. Those that
//! block run on tokio's threads for blocking work, so a reading that hangs costs one sample of its own health and never
//! the tick.

pub(crate) mod host;
pub(crate) mod native;
pub(crate) mod process;
pub(crate) mod scrape;
pub(crate) mod strain;

//! What the library logs on a thread.
//!
//! One subscriber serves the whole process, and hands each line to the log of its thread. With a subscriber for each test,
//! lines went missing: a place that is met for the first time while another thread's subscriber comes up may stay silent.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::OptionalWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// The lines that were logged on the thread that it was put on.
#[derive(Clone)]
pub(crate) struct Log {
    level: Level,
    text: Arc<Mutex<Vec<u8>>>,
}

/// While it lives, the log of its thread is kept.
#[must_use = "the log ends with it"]
pub(crate) struct Kept(());

thread_local! {
    static HERE: RefCell<Option<Log>> = const { RefCell::new(None) };
}

impl Log {
    /// Takes the log of this thread, until the guard is dropped.
    pub(crate) fn here() -> (Self, Kept) {
        Self::from(Level::INFO)
    }

    /// As [`here`](Self::here), with what is there for debugging.
    #[allow(dead_code, reason = "each test binary uses its part")]
    pub(crate) fn for_debugging() -> (Self, Kept) {
        Self::from(Level::DEBUG)
    }

    fn from(level: Level) -> (Self, Kept) {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Here);
            let ours = Targets::new().with_target("outrigger", Level::DEBUG);
            let subscriber = tracing_subscriber::registry().with(lines.with_filter(ours));
            tracing::subscriber::set_global_default(subscriber).expect("no other subscriber for the whole process");
        });
        let log = Self { level, text: Arc::default() };
        HERE.set(Some(log.clone()));
        (log, Kept(()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }

    /// What was logged since the last time that it was taken.
    #[allow(dead_code, reason = "each test binary uses its part")]
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.text.lock().unwrap())).unwrap()
    }

    /// The one line that holds all of these.
    #[allow(dead_code, reason = "each test binary uses its part")]
    #[track_caller]
    pub(crate) fn line(&self, parts: &[&str]) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect();
        let [line] = lines.as_slice() else { panic!("{} lines with {parts:?} in:\n{text}", lines.len()) };
        (*line).to_owned()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

/// Writes to the log of the thread, where it has one.
struct Here;

impl<'a> MakeWriter<'a> for Here {
    type Writer = OptionalWriter<Log>;

    fn make_writer(&'a self) -> Self::Writer {
        OptionalWriter::none()
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        let log = HERE.with_borrow(Clone::clone).filter(|log| *metadata.level() <= log.level);
        log.map_or_else(OptionalWriter::none, OptionalWriter::some)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

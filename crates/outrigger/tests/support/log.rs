//! What was logged.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};

/// The lines that were logged on the threads that it was put on.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes the log of this thread, until the guard is dropped.
    pub(crate) fn here() -> (Self, DefaultGuard) {
        Self::from(Level::INFO)
    }

    /// As [`here`](Self::here), with what is there for debugging.
    pub(crate) fn for_debugging() -> (Self, DefaultGuard) {
        Self::from(Level::DEBUG)
    }

    fn from(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = tracing::dispatcher::set_default(&log.dispatch(level));
        (log, guard)
    }

    fn dispatch(&self, level: Level) -> Dispatch {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(level);
        Dispatch::new(subscriber.with_writer(move || writer.clone()).finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The one line that holds all of these.
    #[track_caller]
    pub(crate) fn line(&self, parts: &[&str]) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect();
        let [line] = lines.as_slice() else { panic!("{} lines with {parts:?} in:\n{text}", lines.len()) };
        (*line).to_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

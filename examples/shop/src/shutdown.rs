//! The signals that end a program.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// SIGINT (Ctrl-C) or SIGTERM, whichever comes first.
pub(crate) struct Signal {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signal {
    /// From here on the signals no longer kill the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

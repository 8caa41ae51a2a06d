//! Redis.

use crate::{
    Folder, Process, Program, Signal,
    find::server_program,
    server::{Ready, Server},
};

/// A Redis server that saves nothing to disk.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    _folder: Folder,
}

impl Redis {
    /// Starts it; `None` when it is not installed (see [`require`](crate::require)).
    ///
    /// # Panics
    /// When it does not become ready; the message ends with its log's tail.
    #[must_use]
    #[track_caller]
    pub fn start() -> Option<Self> {
        let redis = server_program("redis-server")?;
        let folder = Folder::unprivileged("redis");
        let server = Server::start(Ready::Line("Ready to accept connections"), Signal::Term, |port| {
            Program::new(&redis)
                .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
                .arg("--dir")
                .arg(folder.path())
                .current_dir(folder.path())
                .unprivileged()
        });
        Some(Self { server, _folder: folder })
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// The port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The process, for its log, signals and state.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.server.process()
    }

    /// Ends it with SIGTERM.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Ends it if it still runs, and starts it again, empty, on the same port.
    ///
    /// # Panics
    /// When it does not become ready.
    #[track_caller]
    pub fn restart(&mut self) {
        self.server.restart();
    }
}

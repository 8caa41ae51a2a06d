//! PostgreSQL.

use crate::{
    Folder, Process, Program, Signal,
    find::{find_program, server_program},
    server::{Ready, Server},
};
use std::{fs, path::Path, time::Duration};

/// A PostgreSQL server with an empty cluster, without passwords; fast, for nothing is ever synced to disk.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    // Dropped after the server.
    folder: Folder,
}

impl Postgres {
    /// Starts it; `None` when it is not installed (see [`require`](crate::require)).
    ///
    /// # Panics
    /// When it does not become ready; the message ends with its log's tail.
    #[must_use]
    #[track_caller]
    pub fn start() -> Option<Self> {
        let postgres = server_program("postgres")?;
        let initdb = postgres.with_file_name("initdb");
        let folder = Folder::unprivileged("postgres");

        let made = Program::new(initdb)
            .args(["--username=outrigger", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"])
            .arg("-D")
            .arg(folder.path().join("data"))
            .env("LC_ALL", "C")
            .current_dir(folder.path())
            .unprivileged()
            .run(Duration::from_secs(120));
        assert!(made.status.success(), "initdb failed:\n{}", made.log);

        Some(Self::serve(&postgres, folder, Ready::Line("database system is ready to accept connections")))
    }

    /// Copies this server and starts the copy as a replica that streams from it, ready for reading.
    ///
    /// # Panics
    /// When `pg_basebackup` fails, or the replica does not become ready.
    #[must_use]
    #[track_caller]
    pub fn replica(&self) -> Self {
        let postgres = server_program("postgres").expect("it runs already");
        // Beside the server itself: what stands in its place on PATH may be a link, or a wrapper.
        let postgres = fs::canonicalize(postgres).expect("it is there");
        let folder = Folder::unprivileged("postgres-replica");
        let copied = Program::new(postgres.with_file_name("pg_basebackup"))
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .args(["-h", "127.0.0.1", "-U", "outrigger", "-p", &self.port().to_string()])
            .arg("-D")
            .arg(folder.path().join("data"))
            .env("LC_ALL", "C")
            .current_dir(folder.path())
            .unprivileged()
            .run(Duration::from_secs(120));
        assert!(copied.status.success(), "pg_basebackup failed:\n{}", copied.log);
        Self::serve(&postgres, folder, Ready::Line("database system is ready to accept read-only connections"))
    }

    #[track_caller]
    fn serve(postgres: &Path, folder: Folder, ready: Ready) -> Self {
        let data = folder.path().join("data");
        // SIGINT is the fast shutdown, which does not wait for clients.
        let server = Server::start(ready, Signal::Int, |port| {
            Program::new(postgres)
                .arg("-D")
                .arg(&data)
                .arg("-k")
                .arg(folder.path())
                .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F"])
                .args(["-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB"])
                // Shared memory in the data folder goes when that goes, even after SIGKILL.
                .args(["-c", "dynamic_shared_memory_type=mmap", "-c", "max_connections=100"])
                .env("LC_ALL", "C")
                .current_dir(folder.path())
                .unprivileged()
        });
        Self { server, folder }
    }

    /// `postgres://outrigger@127.0.0.1:port/postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://outrigger@127.0.0.1:{}/postgres", self.port())
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

    /// Runs SQL with `psql` and gives what it prints, columns separated by `|`.
    ///
    /// # Panics
    /// When `psql` is missing or fails.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        let psql = find_program("psql").expect("psql: apt-get install postgresql-client-15");
        let finished = Program::new(psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-f", "-"])
            .run_with_input(statements.as_bytes(), Duration::from_secs(60));
        assert!(finished.status.success(), "psql failed:\n{}", finished.log);
        finished.stdout
    }

    /// Shuts it down without waiting for its clients.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Ends it if it still runs, and starts it again on the same port with the same data.
    ///
    /// # Panics
    /// When it does not become ready.
    #[track_caller]
    pub fn restart(&mut self) {
        self.server.restart();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server.stop();
        self.free_shared_memory();
    }
}

impl Postgres {
    /// After SIGKILL the small System V segment that guards the data folder stays until the next start: free it.
    #[allow(unsafe_code, reason = "shmctl(2) has no safe wrapper in std")]
    fn free_shared_memory(&self) {
        let pid_file = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap_or_default();
        // Line 7 holds key and id; the file is gone after a clean end.
        let id = pid_file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        if let Some(id) = id {
            // SAFETY: IPC_RMID ignores the buffer, and the segment belongs to a server that has just ended.
            let _ = unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
}

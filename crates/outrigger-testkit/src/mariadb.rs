//! MariaDB.

use crate::{
    Folder, Process, Program, Signal,
    find::{find_program, server_program},
    server::{Ready, Server},
};
use std::time::Duration;

const USER: &str = "
CREATE DATABASE IF NOT EXISTS outrigger;
CREATE USER IF NOT EXISTS outrigger@'127.0.0.1' IDENTIFIED BY 'outrigger';
GRANT ALL ON *.* TO outrigger@'127.0.0.1';
";

/// A MariaDB server with one empty database; fast, for nothing is ever synced to disk.
#[derive(Debug)]
pub struct Mariadb {
    server: Server,
    _folder: Folder,
}

impl Mariadb {
    /// Starts it; `None` when it is not installed (see [`require`](crate::require)).
    ///
    /// # Panics
    /// When it does not become ready; the message ends with its log's tail.
    #[must_use]
    #[track_caller]
    pub fn start() -> Option<Self> {
        let mariadbd = server_program("mariadbd")?;
        let install = server_program("mariadb-install-db")?;
        let folder = Folder::unprivileged("mariadb");
        let data = format!("--datadir={}", folder.path().join("data").display());
        // A server that starts deletes what others left in the folder for temporary tables, also of those that still run.
        let temporary = format!("--tmpdir={}", folder.path().display());
        let user = folder.write("user.sql", USER);

        let made = Program::new(install)
            .args(["--no-defaults", &data, &temporary, "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(["--skip-name-resolve", "--innodb-flush-method=nosync"])
            .current_dir(folder.path())
            .unprivileged()
            .run(Duration::from_secs(180));
        assert!(made.status.success(), "mariadb-install-db failed:\n{}", made.log);

        let server = Server::start(Ready::Line("ready for connections"), Signal::Term, |port| {
            Program::new(&mariadbd)
                .args(["--no-defaults", &data, "--bind-address=127.0.0.1", &format!("--port={port}")])
                .arg(format!("--socket={}", folder.path().join("socket").display()))
                .arg(format!("--pid-file={}", folder.path().join("pid").display()))
                .args([temporary.clone(), format!("--init-file={}", user.display())])
                .args(["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"])
                .args(["--innodb-buffer-pool-size=32M", "--sync-binlog=0"])
                .current_dir(folder.path())
                .unprivileged()
        });
        Some(Self { server, _folder: folder })
    }

    /// `mysql://outrigger:outrigger@127.0.0.1:port/outrigger`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://outrigger:outrigger@127.0.0.1:{}/outrigger", self.port())
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

    /// Runs SQL with the `mariadb` client and gives what it prints, columns separated by tabs.
    ///
    /// # Panics
    /// When the client is missing or fails.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        let client = find_program("mariadb").expect("mariadb: apt-get install mariadb-client");
        let finished = Program::new(client)
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=outrigger", "--password=outrigger"])
            .args([&format!("--port={}", self.port()), "--batch", "--skip-column-names", "outrigger"])
            .run_with_input(statements.as_bytes(), Duration::from_secs(60));
        assert!(finished.status.success(), "mariadb failed:\n{}", finished.log);
        finished.stdout
    }

    /// Ends it with SIGTERM.
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

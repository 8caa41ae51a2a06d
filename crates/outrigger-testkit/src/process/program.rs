//! A program and how to start it.

use super::{Process, guardian, user};
use std::{
    ffi::{OsStr, OsString},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// A program with its arguments and environment. Start it as often as needed: a restart is a second [`Program::start`].
///
/// Variables that begin with `OUTRIGGER_` or `OTEL_` are not inherited, so that a developer's own settings change no test.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    unprivileged: bool,
}

/// What is left of a program that ran to its end.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// Both streams, line by line as they came.
    pub log: String,
}

impl Program {
    /// The program at `path`, or found on `PATH` when it is a bare name.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), args: Vec::new(), env: Vec::new(), folder: None, unprivileged: false }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working folder. Defaults to that of the test.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Runs as `nobody` when the tests run as root; changes nothing otherwise.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// Starts it in a process group of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(&self) -> Process {
        self.start_with(Stdio::null())
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started, or still runs after `deadline`.
    #[track_caller]
    pub fn run(&self, deadline: Duration) -> Finished {
        Self::finish(&self.start(), deadline)
    }

    /// Runs it to its end with `input` on standard input.
    ///
    /// # Panics
    /// When it cannot be started, or still runs after `deadline`.
    #[track_caller]
    pub fn run_with_input(&self, input: &[u8], deadline: Duration) -> Finished {
        let process = self.start_with(Stdio::piped());
        let mut stdin = process.child().stdin.take().expect("stdin was asked for");
        let input = input.to_vec();
        // A thread, for the program may write before it has read everything. It may also end early: its status tells.
        let writer = thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let finished = Self::finish(&process, deadline);
        let _ = writer.join();
        finished
    }

    #[track_caller]
    fn finish(process: &Process, deadline: Duration) -> Finished {
        let status = process.wait_exit(deadline);
        Finished { status, stdout: process.stdout(), log: process.log() }
    }

    #[track_caller]
    fn start_with(&self, stdin: Stdio) -> Process {
        let mut command = Command::new(&self.path);
        command.args(&self.args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("OUTRIGGER_") || name.starts_with("OTEL_") {
                command.env_remove(&key);
            }
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if self.unprivileged
            && let Some(user) = user::to_drop_to()
        {
            command.uid(user.uid).gid(user.gid);
        }
        report_to_guardian(&mut command);
        match command.spawn() {
            Ok(child) => Process::adopt(self.name(), child),
            Err(error) => panic!("cannot start {}: {error}", self.path.display()),
        }
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// The child tells the guardian its group before it becomes the program.
#[allow(unsafe_code, reason = "pre_exec is the only way to act between fork and exec")]
fn report_to_guardian(command: &mut Command) {
    let pipe = guardian::pipe();
    let report = move || {
        // Neither this buffer nor the formatting of an integer allocates, which is forbidden after a fork.
        let mut line = [0_u8; 16];
        let mut rest = &mut line[..];
        // The group was made just before, so its id is our process id.
        writeln!(rest, "+ {}", std::process::id())?;
        let unused = rest.len();
        // SAFETY: writes from a live buffer of that length to a descriptor that the parent keeps open for ever.
        unsafe { libc::write(pipe, line.as_ptr().cast(), line.len() - unused) };
        Ok(())
    };
    // SAFETY: the closure calls only getpid and write, which are safe after a fork.
    unsafe { command.pre_exec(report) };
}

//! Child processes: started in their own group, heard, signalled, and never left behind.
//!
//! A parent-death signal is not enough here: it follows the *thread* that spawned, which in tests is a short-lived one,
//! it is not inherited by grandchildren, and it removes no folders. A guardian does all three: a shell, started with the
//! first process, that waits for our end of a pipe to close, whatever closes it.

pub(crate) mod guardian;
mod log;
mod program;
mod tree;
pub(crate) mod user;

use crate::{http, wait::wait_for};
use log::Log;
pub use program::{Finished, Program};
use std::{
    process::{Child, ExitStatus},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What can be sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as by Ctrl-C.
    Int,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
    /// SIGHUP.
    Hup,
    /// SIGQUIT.
    Quit,
    /// SIGSTOP: the process hangs until [`Signal::Cont`].
    Stop,
    /// SIGCONT.
    Cont,
}

impl Signal {
    fn number(self) -> i32 {
        match self {
            Self::Int => libc::SIGINT,
            Self::Term => libc::SIGTERM,
            Self::Kill => libc::SIGKILL,
            Self::Hup => libc::SIGHUP,
            Self::Quit => libc::SIGQUIT,
            Self::Stop => libc::SIGSTOP,
            Self::Cont => libc::SIGCONT,
        }
    }
}

/// A running program, killed with all its descendants when dropped. Made by [`Program::start`].
#[derive(Debug)]
pub struct Process {
    name: String,
    id: u32,
    child: Mutex<Child>,
    log: Log,
}

impl Process {
    fn adopt(name: String, mut child: Child) -> Self {
        let log = Log::follow(child.stdout.take(), child.stderr.take());
        Self { name, id: child.id(), child: Mutex::new(child), log }
    }

    /// The process id, which is also the id of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether it still runs.
    #[must_use]
    pub fn running(&self) -> bool {
        self.exit_status().is_none()
    }

    /// How it ended, or `None` while it runs.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("our own child can be waited for")
    }

    /// All lines so far, standard output and standard error as they came. Bounded: the oldest go first, and a note says so.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text(|_| true)
    }

    /// The lines of standard output alone.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.log.text(|stream| stream == log::Stream::Out)
    }

    /// Waits for a line that contains `part`, and gives the line. Lines that came before the call count.
    ///
    /// # Panics
    /// When none comes within `deadline`, or the process ends first; the message ends with the log's tail.
    #[track_caller]
    pub fn wait_line(&self, deadline: Duration, part: &str) -> String {
        self.await_or_explain(deadline, &format!("a line with {part:?}"), || self.log.find(part))
    }

    /// Waits until `url` answers with a status of 2xx.
    ///
    /// # Panics
    /// When it does not within `deadline`, or the process ends first; the message ends with the log's tail.
    #[track_caller]
    pub fn wait_url(&self, deadline: Duration, url: &str) {
        self.await_or_explain(deadline, url, || {
            http::get(url).ok().filter(|answer| (200..300).contains(&answer.status)).map(|_| ())
        });
    }

    /// Sends a signal to the process itself. A process that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child();
        // Once reaped, the number may belong to a stranger: look while nobody else can reap.
        if child.try_wait().is_ok_and(|status| status.is_none()) {
            tree::send(self.id, signal.number());
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `deadline`; the message ends with the log's tail.
    #[track_caller]
    pub fn wait_exit(&self, deadline: Duration) -> ExitStatus {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.exit_status() {
                self.log.drain(Duration::from_secs(2));
                return status;
            }
            assert!(Instant::now() < end, "{} still runs after {deadline:?}{}", self.name, self.tail());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGTERM and waits for the end; after `patience`, SIGKILL.
    pub fn stop(&self, patience: Duration) -> Option<ExitStatus> {
        self.stop_by(Signal::Term, patience)
    }

    pub(crate) fn stop_by(&self, signal: Signal, patience: Duration) -> Option<ExitStatus> {
        self.signal(signal);
        let end = Instant::now() + patience;
        while self.running() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        self.exit_status()
    }

    /// Kills it and all its descendants with SIGKILL, and waits until they are gone.
    pub fn kill(&self) {
        let mut child = self.child();
        let running = child.try_wait().is_ok_and(|status| status.is_none());
        let descendants = if running { tree::descendants(self.id) } else { Vec::new() };
        tree::send_group(self.id, libc::SIGKILL);
        // Postgres and browsers put some of their children in groups of their own.
        for pid in &descendants {
            tree::send(*pid, libc::SIGKILL);
        }
        if running {
            let _ = child.wait();
        }
        drop(child);
        let end = Instant::now() + Duration::from_secs(10);
        while (tree::group_lives(self.id) || descendants.iter().any(|pid| tree::lives(*pid))) && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
        self.log.drain(Duration::from_secs(1));
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn await_or_explain<T>(&self, deadline: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + deadline;
        wait_for(deadline + Duration::from_secs(60), what, || {
            // Asked before the probe, so that what a process said or served before its end still counts.
            let ended = self.exit_status();
            if ended.is_some() {
                self.log.drain(Duration::from_secs(1));
            }
            let found = probe();
            if found.is_none() {
                assert!(ended.is_none(), "{} ended ({ended:?}) before {what}{}", self.name, self.tail());
                assert!(Instant::now() < end, "{}: no {what} after {deadline:?}{}", self.name, self.tail());
            }
            found
        })
    }

    /// The end of the log, for messages.
    pub(crate) fn tail(&self) -> String {
        format!("; its last lines:\n{}", self.log.tail(30))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        guardian::forget(self.id);
    }
}

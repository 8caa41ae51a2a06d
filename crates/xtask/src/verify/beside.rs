//! Steps beside the tests: tests mostly wait for something, and a compiler at the lowest priority takes what they leave.

use super::Context;
use crate::sh::{self, Result};
use outrigger_testkit::find_program;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Steps that run in a process of their own while tests run.
pub(super) struct Beside {
    starter: JoinHandle<io::Result<Child>>,
    tests_are_over: Arc<AtomicBool>,
    log: PathBuf,
}

impl Beside {
    /// Waits until the tests are built, as cargo builds one thing at a time, and starts the steps then.
    pub(super) fn start(context: &Context, steps: &[&str], test_log: PathBuf) -> Result<Self> {
        // What an earlier run left would tell that tests run.
        fs::write(&test_log, "")?;
        let log = context.logs.join("beside.log");
        let this = std::env::current_exe()?;
        let mut command = if find_program("nice").is_some() {
            let mut command = sh::program("nice");
            command.args(["-n", "19"]).arg(this);
            command
        } else {
            sh::program(this)
        };
        command.args(["verify", "--no-install"]);
        for step in steps {
            command.args(["--only", step]);
        }
        let file = fs::File::create(&log)?;
        command.stderr(file.try_clone()?).stdout(file);
        let tests_are_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&tests_are_over);
        let starter = thread::spawn(move || {
            let runs = || fs::read_to_string(&test_log).is_ok_and(|text| text.contains("\n     Running "));
            while !over.load(Ordering::Relaxed) && !runs() {
                thread::sleep(Duration::from_millis(500));
            }
            command.spawn()
        });
        Ok(Self { starter, tests_are_over, log })
    }

    /// Waits until the steps have ended.
    pub(super) fn finish(self) -> Result<String> {
        self.tests_are_over.store(true, Ordering::Relaxed);
        let mut child = self.starter.join().map_err(|_| "the thread that starts the steps panicked")??;
        let passed = child.wait()?.success();
        let text = fs::read_to_string(&self.log)?;
        if passed { Ok(text) } else { Err(text.into()) }
    }
}

//! What a server leaves behind, looked for from outside: through `/proc`, the port and the file system.
#![allow(dead_code, reason = "each test file uses its part")]

use outrigger_testkit::{Process, wait_until};
use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) struct Traces {
    port: u16,
    folder: PathBuf,
    processes: Vec<u32>,
}

impl Traces {
    pub(crate) fn of(process: &Process, port: u16) -> Self {
        let folder = fs::read_link(format!("/proc/{}/cwd", process.id())).expect("the server runs");
        let folder = server_folder(&folder);
        let processes = processes_that_mention(&folder);
        assert!(processes.contains(&process.id()), "{processes:?}");
        TcpStream::connect(("127.0.0.1", port)).expect("the port accepts");
        Self { port, folder, processes }
    }

    pub(crate) fn assert_port_closed(&self) {
        assert!(TcpStream::connect(("127.0.0.1", self.port)).is_err(), "{} still accepts", self.port);
    }

    /// Everything is gone the moment the server has been dropped.
    pub(crate) fn assert_nothing_left(&self) {
        self.assert_port_closed();
        assert!(!self.folder.exists(), "{} is left", self.folder.display());
        for pid in &self.processes {
            assert!(!lives(*pid), "process {pid} is left");
        }
        assert_eq!(processes_that_mention(&self.folder), Vec::<u32>::new());
    }

    /// Everything goes within a while, when the guardian has to do it.
    pub(crate) fn wait_nothing_left(&self) {
        wait_until(Duration::from_secs(20), "the guardian to clear up", || {
            !self.folder.exists() && processes_that_mention(&self.folder).is_empty()
        });
        self.assert_nothing_left();
    }
}

/// `outrigger-test-x/name-1` of any path below it.
fn server_folder(path: &Path) -> PathBuf {
    let at = path
        .ancestors()
        .position(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("outrigger-test-")))
        .unwrap_or_else(|| panic!("{} is in no folder of ours", path.display()));
    path.ancestors().nth(at - 1).expect("a server's folder is in ours").to_owned()
}

/// Processes whose working folder or arguments are within `folder`.
pub(crate) fn processes_that_mention(folder: &Path) -> Vec<u32> {
    let folder = folder.to_string_lossy();
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| *pid != std::process::id())
        .filter(|pid| {
            let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            String::from_utf8_lossy(&args).contains(&*folder) || cwd.to_string_lossy().contains(&*folder)
        })
        .collect()
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

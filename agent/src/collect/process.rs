//! The process behind a target: found as the owner of the listening socket, then read from `/proc`.
//!
//! Only Linux tells whose a socket is, so elsewhere (and where `/proc` hides other users' processes, or the service runs in
//! another container without a shared process namespace) the figures are absent and the collector's error says why.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::strain::Strain;

#[cfg(target_os = "linux")]
#[path = "process/linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "process/other.rs"]
mod system;

/// What one reading of a process found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Process {
    /// CPU time spent in the program itself, in seconds.
    pub(crate) cpu_user: f64,
    /// CPU time that the kernel spent for it, in seconds.
    pub(crate) cpu_system: f64,
    /// Physical memory, in bytes.
    pub(crate) resident_memory: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Open file descriptors; absent where only the owner may count them.
    pub(crate) open_fds: Option<u64>,
    /// The most file descriptors that it may open; absent where it has no limit or hides it.
    pub(crate) max_fds: Option<u64>,
    /// Memory that its control group uses and cannot give back (the working set), and the group's limit, in bytes; absent
    /// where it has none.
    pub(crate) memory_of_group: Option<(u64, u64)>,
    /// Start, in seconds since the Unix epoch.
    pub(crate) start_time: f64,
    /// What held it up, if anything did.
    pub(crate) strain: Strain,
}

/// Reads the agent's own process and those behind the targets.
pub(crate) struct ProcessCollector {
    targets: Vec<Watched>,
}

/// All readings of one tick.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    /// The agent.
    pub(crate) own: Option<Result<Process, String>>,
    /// One for each target, in their order; `None` for targets that do not answer or are not on this machine.
    pub(crate) targets: Vec<Option<Result<Process, String>>>,
}

struct Watched {
    host: String,
    port: u16,
    pid: Option<Pid>,
    searched_at: Option<Instant>,
    /// Why the last search found nothing.
    missing: Option<String>,
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pid {
    number: u32,
    start_ticks: u64,
}

impl ProcessCollector {
    /// Watches the processes that listen on these hosts and ports.
    pub(crate) fn new(targets: impl IntoIterator<Item = (String, u16)>) -> Self {
        let watched = |(host, port)| Watched { host, port, pid: None, searched_at: None, missing: None };
        Self { targets: targets.into_iter().map(watched).collect() }
    }

    /// Reads all. `answered` tells which targets' last scrapes worked: a failed one casts doubt on the process.
    pub(crate) fn read(&mut self, answered: &[bool]) -> Processes {
        let answered = answered.iter().copied().chain(std::iter::repeat(false));
        Processes {
            own: Some(system::read(std::process::id()).map(|(_, process)| process)),
            targets: self.targets.iter_mut().zip(answered).map(|(target, answered)| target.read(answered)).collect(),
        }
    }
}

impl Watched {
    fn read(&mut self, answered: bool) -> Option<Result<Process, String>> {
        if !answered {
            // Nobody knows which process it will be when it answers again.
            self.pid = None;
            self.searched_at = None;
            return None;
        }
        if let Some(pid) = self.pid {
            match system::read(pid.number) {
                Ok((start_ticks, process)) if start_ticks == pid.start_ticks => return Some(Ok(process)),
                _ => self.pid = None,
            }
        }
        // A search walks all of /proc, so one that failed is not repeated at every tick.
        if self.searched_at.is_none_or(|at| at.elapsed() >= SEARCH_EVERY) {
            self.searched_at = Some(Instant::now());
            let addresses = loopback_addresses(&self.host, self.port)?;
            match system::listener(&addresses) {
                Ok(number) => {
                    let read = system::read(number);
                    self.pid = read.as_ref().ok().map(|(start_ticks, _)| Pid { number, start_ticks: *start_ticks });
                    return Some(read.map(|(_, process)| process));
                }
                Err(reason) => self.missing = Some(reason),
            }
        }
        self.missing.clone().map(Err)
    }
}

const SEARCH_EVERY: Duration = Duration::from_secs(30);

/// The addresses of a target on this machine; `None` if it is elsewhere.
fn loopback_addresses(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        // Other names are not looked up: a name that is on this machine is called so.
        Err(_) if host.eq_ignore_ascii_case("localhost") => (host, port).to_socket_addrs().ok()?.collect(),
        Err(_) => Vec::new(),
    };
    let local: Vec<_> = addresses.into_iter().filter(|address| address.ip().is_loopback()).collect();
    if local.is_empty() { None } else { Some(local) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_this_process_leads_to_this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut collector = ProcessCollector::new([("127.0.0.1".to_owned(), port), ("192.0.2.1".to_owned(), 80)]);

        let processes = collector.read(&[true, true]);
        let found = processes.targets[0].clone().unwrap().unwrap();
        let own = processes.own.unwrap().unwrap();
        assert_eq!(found.start_time, own.start_time);
        assert!(found.resident_memory > 0 && found.threads > 0 && found.open_fds > Some(2), "{found:?}");
        assert_eq!(processes.targets[1], None, "a target elsewhere has no process here");
        assert_eq!(collector.targets[0].pid.unwrap().number, std::process::id());

        let processes = collector.read(&[false, true]);
        assert_eq!(processes.targets[0], None, "a silent target's process is not reported");
        assert_eq!(collector.targets[0].pid, None, "and is searched afresh");
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_an_error_with_words() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut collector = ProcessCollector::new([("localhost".to_owned(), port)]);
        let error = collector.read(&[true]).targets[0].clone().unwrap().unwrap_err();
        assert!(error.contains("nobody listens"), "{error}");
    }
}

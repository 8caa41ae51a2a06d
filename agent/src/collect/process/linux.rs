//! Linux: `/proc/net/tcp` knows the socket, `/proc/PID/fd` its owner, `/proc/PID/{stat,status,limits}` the figures.
//! Formats: proc(5).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::OnceLock;

use super::Process;
use crate::collect::strain;

/// The process that listens on one of `addresses`, or on the wildcard address and one of their ports.
pub(super) fn listener(addresses: &[SocketAddr]) -> Result<u32, String> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        // A kernel without IPv6 has no second file.
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening_inodes(&table, addresses))
        .collect();
    if inodes.is_empty() {
        return Err("nobody listens on the target's port in this network namespace".to_owned());
    }
    let mut denied = false;
    for entry in fs::read_dir("/proc").map_err(|error| format!("/proc cannot be read: {error}"))?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        match owns_socket(pid, &inodes) {
            Ok(true) => return Ok(pid),
            Ok(false) => {}
            Err(error) => denied |= error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
    Err(if denied {
        "the target's process belongs to another user; run the agent as the same user or with CAP_SYS_PTRACE".to_owned()
    } else {
        "the target's process is not in /proc: it runs in another process namespace (in Kubernetes: shareProcessNamespace)"
            .to_owned()
    })
}

/// The process' start in clock ticks since boot, by which a reused number is told apart, and its figures.
pub(super) fn read(pid: u32) -> Result<(u64, Process), String> {
    let file = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    };
    let stat = Stat::parse(&file("stat")?).ok_or_else(|| format!("/proc/{pid}/stat has an unknown form"))?;
    let status = file("status")?;
    let boot = boot_time().ok_or("/proc/stat tells no boot time")?;
    let process = Process {
        cpu_user: seconds(stat.user_ticks),
        cpu_system: seconds(stat.system_ticks),
        resident_memory: field(&status, "VmRSS:").unwrap_or(0) * 1024,
        threads: stat.threads,
        open_fds: fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|entries| entries.count() as u64),
        max_fds: file("limits").ok().and_then(|limits| max_fds(&limits)),
        memory_of_group: file("cgroup").ok().and_then(|groups| memory_of_group(&groups, Path::new(CGROUPS))),
        start_time: boot + seconds(stat.start_ticks),
        strain: strain::read(pid),
    };
    Ok((stat.start_ticks, process))
}

/// Where control groups of version 2 are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Working set and limit of the group that `/proc/PID/cgroup` names: usage without the pages that the kernel can drop at
/// once, as kubelet counts it. The nearest group upwards with a limit counts.
fn memory_of_group(groups: &str, mount: &Path) -> Option<(u64, u64)> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // Another namespace's path leads out of this one's mount.
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let mut group = mount.join(path);
    while group.starts_with(mount) {
        let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        if let Some(limit) = number("memory.max") {
            let stat = fs::read_to_string(group.join("memory.stat")).ok()?;
            let inactive = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
            return Some((number("memory.current")?.saturating_sub(inactive.unwrap_or(0)), limit));
        }
        if !group.pop() {
            return None;
        }
    }
    None
}

/// Clock ticks per second. Its user-space value is 100 on every Linux that Rust knows, whatever the kernel's own rate.
const USER_HZ: f64 = 100.0;

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / USER_HZ
}

struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    threads: u64,
    start_ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Field 3 of the manual page is the first one here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { user_ticks: field(14)?, system_ticks: field(15)?, threads: field(20)?, start_ticks: field(22)? })
    }
}

/// Seconds between the Unix epoch and the machine's start. Read once: the kernel recomputes it when the clock is set,
/// and start times must not wander.
fn boot_time() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| fs::read_to_string("/proc/stat").ok().and_then(|stat| field(&stat, "btime")).map(|s| s as f64))
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn max_fds(limits: &str) -> Option<u64> {
    field(limits, "Max open files")
}

fn owns_socket(pid: u32, inodes: &[u64]) -> io::Result<bool> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let Ok(link) = fs::read_link(entry.path()) else { continue };
        let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        if inode.is_some_and(|inode: u64| inodes.contains(&inode)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The inodes of sockets in state LISTEN that answer on one of `addresses`.
fn listening_inodes(table: &str, addresses: &[SocketAddr]) -> Vec<u64> {
    let matches = |local: SocketAddr| {
        addresses.iter().any(|address| {
            address.port() == local.port() && (local.ip().is_unspecified() || local.ip().to_canonical() == address.ip())
        })
    };
    let inode = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = socket_address(fields.nth(1)?)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        (state == LISTEN && matches(local)).then_some(inode)
    };
    table.lines().skip(1).filter_map(inode).collect()
}

const LISTEN: &str = "0A";

/// `0100007F:24F8`: the address in words of the machine's byte order, the port in plain hexadecimal.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (chunk, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                chunk.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_any_program_name() {
        let line =
            "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 12345 1000000 500 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.user_ticks, stat.system_ticks, stat.threads, stat.start_ticks), (250, 50, 7, 12345));
        assert!(Stat::parse("42 (x) S 1").is_none());
        assert!(Stat::parse("").is_none());
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn listeners_are_found_by_address_or_wildcard() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:24F8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0
   1: 00000000:24F9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0
   2: 0100007F:24F8 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0
   3: 0200007F:24F8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 104 1 0
   broken line";
        let address = |port| [SocketAddr::from(([127, 0, 0, 1], port))];
        assert_eq!(listening_inodes(table, &address(9464)), [101]);
        assert_eq!(listening_inodes(table, &address(9465)), [102]);
        assert!(listening_inodes(table, &address(9466)).is_empty());
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn ipv6_addresses_are_words_in_machine_order() {
        let loopback = socket_address("00000000000000000000000001000000:24F8").unwrap();
        assert_eq!(loopback, "[::1]:9464".parse().unwrap());
        assert_eq!(
            socket_address("0000000000000000FFFF00000100007F:0050").unwrap().ip().to_canonical().to_string(),
            "127.0.0.1"
        );
        for bad in ["", "1:2", "0100007F", "0100007F:XXXX", "é100007:24F8"] {
            assert_eq!(socket_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn limits_may_be_unlimited() {
        assert_eq!(
            max_fds("Limit  Soft Limit\nMax open files            1024                 4096                 files\n"),
            Some(1024)
        );
        assert_eq!(max_fds("Max open files            unlimited            unlimited            files\n"), None);
    }
}

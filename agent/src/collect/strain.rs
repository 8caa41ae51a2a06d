//! What held programs up: waiting for processors, memory and disks, and for the next period of a CPU limit.
//!
//! Linux only, from files of the kernel (Pressure Stall Information, Control Group v1 and v2, proc(5)). A service in a control
//! group of its own has its own figures there, if the agent can see them; otherwise pressure is the machine's, and the rest
//! is not known.

use std::fs;
use std::path::{Path, PathBuf};

/// How long something has been held up until now, in seconds since the machine or the container was started; absent where
/// the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Strain {
    /// Periods of the CPU limit, in seconds, in which the container had used it up.
    pub(crate) throttled: Option<f64>,
    /// At least one program waited for a processor.
    pub(crate) cpu: Option<f64>,
    /// At least one waited for memory.
    pub(crate) memory: Option<f64>,
    /// At least one waited for a disk.
    pub(crate) disk: Option<f64>,
    /// CPU seconds of all programs of the machine.
    pub(crate) busy: Option<f64>,
    /// The container's memory that cannot be had back without effort, and its limit, in bytes.
    pub(crate) working_set: Option<(u64, u64)>,
}

/// Reads what concerns a process.
pub(super) fn read(pid: u32) -> Strain {
    let groups = |process: &str| fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    let (own, groups) = (groups("self"), groups(&pid.to_string()));
    let root = Path::new("/sys/fs/cgroup");
    let folder = |root: &Path, controller: &str| inside(root, group(&groups, controller)?, group(&own, controller));
    let v2 = folder(root, "").filter(|path| path.join("cpu.stat").is_file());
    let v1 = |controller: &str| folder(&root.join(controller), controller);
    let file = |path: Option<PathBuf>, name: &str| fs::read_to_string(path?.join(name)).ok();
    let pressure = |what: &str| {
        let own = file(v2.clone(), &format!("{what}.pressure"));
        let text = own.or_else(|| fs::read_to_string(format!("/proc/pressure/{what}")).ok())?;
        stalled(&text)
    };
    let (cpu_stat, period) = match &v2 {
        Some(_) => {
            let period = file(v2.clone(), "cpu.max").and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
            (file(v2.clone(), "cpu.stat"), period)
        }
        None => {
            let period = file(v1("cpu"), "cpu.cfs_period_us").and_then(|text| text.trim().parse().ok());
            (file(v1("cpu"), "cpu.stat"), period)
        }
    };
    let throttled = cpu_stat.as_deref().and_then(|stat| number(stat, "nr_throttled"));
    let memory = |used: &str, limit: &str, path: Option<PathBuf>| {
        let used: u64 = file(path.clone(), used)?.trim().parse().ok()?;
        // `max`, or a number beyond any machine, where there is none.
        let limit = file(path.clone(), limit)?.trim().parse().ok().filter(|limit| *limit < UNLIMITED)?;
        let idle = file(path, "memory.stat").and_then(|stat| number(&stat, "inactive_file")).unwrap_or(0.0);
        Some((used.saturating_sub(idle as u64), limit))
    };
    let working_set = memory("memory.current", "memory.max", v2.clone())
        .or_else(|| memory("memory.usage_in_bytes", "memory.limit_in_bytes", v1("memory")));
    Strain {
        throttled: throttled.map(|periods| periods * period.unwrap_or(DEFAULT_PERIOD) * 1e-6),
        cpu: pressure("cpu"),
        memory: pressure("memory"),
        disk: pressure("io"),
        busy: fs::read_to_string("/proc/stat").ok().and_then(|stat| busy(&stat)),
        working_set,
    }
}

/// The kernel's default period of a CPU limit, in microseconds.
const DEFAULT_PERIOD: f64 = 100_000.0;
/// Control Group v1 writes no limit as the largest number of pages.
const UNLIMITED: u64 = 1 << 60;
/// Ticks of `/proc/stat` in a second, on every Linux that Rust knows.
const USER_HZ: f64 = 100.0;

/// The path of a process's group, from lines such as `4:cpu,cpuacct:/path` and `0::/path`.
fn group<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|one| one == controller).then_some(path)
    })
}

/// A group's folder, if the agent sees it. In a container the agent sees its own group at the root, whatever its path; that of
/// the container beside it lies outside, and none stands for it.
fn inside(root: &Path, path: &str, own: Option<&str>) -> Option<PathBuf> {
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let folder = root.join(path.trim_start_matches('/'));
    if folder.is_dir() { Some(folder) } else { (own == Some(path)).then(|| root.to_owned()) }
}

/// The number behind a word at the start of a line.
fn number(text: &str, word: &str) -> Option<f64> {
    let of = |line: &str| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(of)
}

/// Seconds in which something waited: `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234567`, in microseconds.
fn stalled(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split_whitespace().find_map(|word| word.strip_prefix("total="))?;
    Some(total.parse::<u64>().ok()? as f64 * 1e-6)
}

/// CPU seconds of all processors that were not idle: the first line of `/proc/stat`.
fn busy(stat: &str) -> Option<f64> {
    let ticks: Vec<f64> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; what guests use is in user and nice already.
    let [user, nice, system, _, _, irq, softirq, ..] = ticks.as_slice() else { return None };
    Some((user + nice + system + irq + softirq) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_and_strange_ones_are_nothing() {
        let pressure = "some avg10=99.46 avg60=97.70 avg300=61.27 total=18803511585\nfull avg10=0.00 total=7\n";
        assert_eq!(stalled(pressure), Some(18803.511585));
        assert_eq!(busy("cpu  100 50 30 9000 400 10 10 5 0 0\ncpu0 1 1\n"), Some(2.0));
        assert_eq!(number("nr_periods 9\nnr_throttled 4\n", "nr_throttled"), Some(4.0));
        for strange in ["", "some", "some total=", "some total=x", "cpu", "cpu  1 2", "nr_throttled"] {
            assert_eq!(
                (stalled(strange), busy(strange), number(strange, "nr_throttled")),
                (None, None, None),
                "{strange:?}"
            );
        }
    }

    #[test]
    fn groups_are_found_by_controller_and_never_outside() {
        let groups = "5:memory:/a:b\n4:cpu,cpuacct:/limited\n0::/unified\n";
        assert_eq!(group(groups, ""), Some("/unified"));
        assert_eq!(group(groups, "cpu"), Some("/limited"));
        assert_eq!(group(groups, "memory"), Some("/a:b"));
        assert_eq!(group("strange\n", "cpu"), None);
        let root = Path::new("/");
        assert_eq!(inside(root, "/../../etc", Some("/")), None, "the container beside this one");
        assert_eq!(inside(root, "/no/such/folder", Some("/")), None);
        assert_eq!(inside(root, "/no/such/folder", Some("/no/such/folder")), Some(root.into()), "this very container");
        assert_eq!(inside(root, "/proc/self", None), Some("/proc/self".into()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_has_its_machine() {
        let (strain, busy) = (read(std::process::id()), fs::read_to_string("/proc/stat").unwrap());
        assert!(strain.busy.unwrap() > 0.0, "{strain:?} {busy}");
    }
}

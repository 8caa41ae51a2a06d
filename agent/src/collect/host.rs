//! CPU, memory and file systems of the host, by sysinfo.

use std::time::{Duration, Instant};

use sysinfo::{DiskRefreshKind, Disks, MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, System};

use crate::watch::{Gauge, Kind};

/// Reads the host's figures. CPU use is the share since the previous reading, so the first reading has none.
pub(crate) struct HostCollector {
    system: System,
    cpu_read_at: Option<Instant>,
    disks: Vec<Disk>,
    disks_read_at: Option<Instant>,
}

/// A file system that can be written to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Disk {
    /// Where it is mounted.
    pub(crate) path: String,
    /// Bytes in use, counting those that only root may have, and in all.
    pub(crate) used: u64,
    pub(crate) size: u64,
}

/// File systems fill slowly, and asking for them may wait for one that hangs.
const DISKS_EVERY: Duration = Duration::from_secs(60);
/// The most of them.
const MAX_DISKS: usize = 16;

/// What one reading found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Host {
    /// Share of all processors in use since the previous reading, 0 to 1.
    pub(crate) cpu_utilization: Option<f64>,
    /// Memory in all, in bytes.
    pub(crate) memory_limit: u64,
    /// Memory that a new program could not have, in bytes.
    pub(crate) memory_used: u64,
    /// Its file systems, each once.
    pub(crate) disks: Vec<Disk>,
}

impl Host {
    /// What of it can run full.
    pub(crate) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |kind, name: &str, used: u64, limit: u64| {
            let (used, limit) = (used as f64, limit as f64);
            Gauge { kind, name: name.to_owned(), used, limit, waiting: None }
        };
        let memory = gauge(Kind::Memory, "", self.memory_used, self.memory_limit);
        let disks = self.disks.iter().map(|disk| gauge(Kind::Disk, &disk.path, disk.used, disk.size));
        std::iter::once(memory).chain(disks).collect()
    }
}

impl HostCollector {
    pub(crate) fn new() -> Result<Self, String> {
        let system = System::new().map_err(|error| format!("the host's figures cannot be read: {error}"))?;
        Ok(Self { system, cpu_read_at: None, disks: Vec::new(), disks_read_at: None })
    }

    pub(crate) fn read(&mut self) -> Result<Host, String> {
        let cpu_utilization = self.cpu_utilization();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let memory_limit = self.system.total_memory();
        if memory_limit == 0 {
            return Err("the host's memory cannot be read on this system".to_owned());
        }
        let memory_used = memory_limit.saturating_sub(self.system.available_memory());
        if self.disks_read_at.is_none_or(|at| at.elapsed() >= DISKS_EVERY) {
            self.disks = disks().unwrap_or_else(|| std::mem::take(&mut self.disks));
            self.disks_read_at = Some(Instant::now());
        }
        Ok(Host { cpu_utilization, memory_limit, memory_used, disks: self.disks.clone() })
    }

    fn cpu_utilization(&mut self) -> Option<f64> {
        // sysinfo ignores a refresh that comes too soon; its old value would look like a new one.
        let since = self.cpu_read_at.map(|at| at.elapsed());
        if since.is_some_and(|elapsed| elapsed < MINIMUM_CPU_UPDATE_INTERVAL + Duration::from_millis(1)) {
            return None;
        }
        self.system.refresh_cpu_usage();
        self.cpu_read_at = Some(Instant::now());
        since?;
        Some((f64::from(self.system.global_cpu_usage()) / 100.0).clamp(0.0, 1.0))
    }
}

/// The file systems that can be written to. One that is mounted in several places is named by the shortest path.
fn disks() -> Option<Vec<Disk>> {
    let read = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage()).ok()?;
    let mut found: Vec<_> = read.iter().filter(|disk| disk.total_space() > 0 && !disk.is_read_only()).collect();
    found.sort_by_key(|disk| (disk.name(), disk.mount_point().as_os_str().len()));
    found.dedup_by_key(|disk| disk.name());
    let disk = |disk: &sysinfo::Disk| Disk {
        path: disk.mount_point().display().to_string(),
        used: disk.total_space().saturating_sub(disk.available_space()),
        size: disk.total_space(),
    };
    Some(found.into_iter().take(MAX_DISKS).map(disk).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reading_has_memory_but_no_cpu_share() {
        let host = HostCollector::new().unwrap().read().unwrap();
        assert_eq!(host.cpu_utilization, None);
        assert!(host.memory_used > 0 && host.memory_used < host.memory_limit, "{host:?}");
        assert!(host.disks.iter().all(|disk| disk.used <= disk.size && !disk.path.is_empty()), "{host:?}");
        assert_eq!(host.gauges().len(), 1 + host.disks.len());
    }

    #[test]
    fn a_later_reading_has_a_cpu_share() {
        let mut collector = HostCollector::new().unwrap();
        collector.read().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let share = loop {
            if let Some(share) = collector.read().unwrap().cpu_utilization {
                break share;
            }
            assert!(Instant::now() < deadline, "no CPU share within ten seconds");
            std::thread::yield_now();
        };
        assert!((0.0..=1.0).contains(&share) && share > 0.0, "this very loop uses a processor: {share}");
    }
}

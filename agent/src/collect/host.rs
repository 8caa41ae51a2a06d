//! CPU and memory of the host, by sysinfo.

use std::time::{Duration, Instant};

use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, System};

/// Reads the host's figures. CPU use is the share since the previous reading, so the first reading has none.
pub(crate) struct HostCollector {
    system: System,
    cpu_read_at: Option<Instant>,
}

/// What one reading found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Host {
    /// Share of all processors in use since the previous reading, 0 to 1.
    pub(crate) cpu_utilization: Option<f64>,
    /// Memory in all, in bytes.
    pub(crate) memory_limit: u64,
    /// Memory that a new program could not have, in bytes.
    pub(crate) memory_used: u64,
}

impl HostCollector {
    pub(crate) fn new() -> Result<Self, String> {
        let system = System::new().map_err(|error| format!("the host's figures cannot be read: {error}"))?;
        Ok(Self { system, cpu_read_at: None })
    }

    pub(crate) fn read(&mut self) -> Result<Host, String> {
        let cpu_utilization = self.cpu_utilization();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let memory_limit = self.system.total_memory();
        if memory_limit == 0 {
            return Err("the host's memory cannot be read on this system".to_owned());
        }
        let memory_used = memory_limit.saturating_sub(self.system.available_memory());
        Ok(Host { cpu_utilization, memory_limit, memory_used })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reading_has_memory_but_no_cpu_share() {
        let host = HostCollector::new().unwrap().read().unwrap();
        assert_eq!(host.cpu_utilization, None);
        assert!(host.memory_used > 0 && host.memory_used < host.memory_limit, "{host:?}");
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

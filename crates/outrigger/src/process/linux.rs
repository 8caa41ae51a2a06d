//! Reads `/proc/self`; [`parse`](super::parse) knows what stands there.

use std::fs;
use std::sync::OnceLock;

use super::{ReadError, Reading, parse};

pub(super) fn read() -> Result<Reading, ReadError> {
    let stat = parse::stat(&text(STAT)?).ok_or(ReadError::Format { path: STAT, field: "times and threads" })?;
    let pages =
        parse::resident_pages(&text(STATM)?).ok_or(ReadError::Format { path: STATM, field: "resident pages" })?;
    let max_fds = parse::max_open_files(&text(LIMITS)?)
        .ok_or(ReadError::Format { path: LIMITS, field: "limit of open files" })?;
    let units = Units::of_this_system()?;
    Ok(Reading {
        cpu_user_seconds: stat.user_ticks / units.ticks_per_second,
        cpu_system_seconds: stat.system_ticks / units.ticks_per_second,
        resident_bytes: pages * units.page_bytes,
        threads: stat.threads,
        start_seconds: units.boot_seconds + stat.start_ticks / units.ticks_per_second,
        open_fds: open_fds()?,
        max_fds,
    })
}

/// What the kernel counts in; fixed while the system runs, save for steps of the clock, which must not move the start.
#[derive(Clone, Copy)]
struct Units {
    ticks_per_second: f64,
    page_bytes: f64,
    boot_seconds: f64,
}

impl Units {
    fn of_this_system() -> Result<Self, ReadError> {
        static UNITS: OnceLock<Units> = OnceLock::new();
        if let Some(units) = UNITS.get() {
            return Ok(*units);
        }
        let boot_seconds =
            parse::boot_time(&text(SYSTEM_STAT)?).ok_or(ReadError::Format { path: SYSTEM_STAT, field: "btime" })?;
        let units = Self {
            ticks_per_second: sysconf(libc::_SC_CLK_TCK).unwrap_or(100.0),
            page_bytes: sysconf(libc::_SC_PAGESIZE).unwrap_or(4096.0),
            boot_seconds,
        };
        Ok(*UNITS.get_or_init(|| units))
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn sysconf(name: libc::c_int) -> Option<f64> {
    #[allow(unsafe_code, reason = "sysconf is a foreign function; it takes a number, returns one and keeps nothing")]
    // SAFETY: no pointers are involved, and an unknown name gives -1.
    let value = unsafe { libc::sysconf(name) };
    (value > 0).then_some(value as f64)
}

/// The entries of `/proc/self/fd`, less the one that is open for counting them.
fn open_fds() -> Result<f64, ReadError> {
    let entries = fs::read_dir(FDS).map_err(|source| ReadError::Io { path: FDS, source })?.count();
    Ok(f64::from(u32::try_from(entries.saturating_sub(1)).unwrap_or(u32::MAX)))
}

fn text(path: &'static str) -> Result<String, ReadError> {
    // The program's name within `stat` may be any bytes.
    let bytes = fs::read(path).map_err(|source| ReadError::Io { path, source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const STAT: &str = "/proc/self/stat";
const STATM: &str = "/proc/self/statm";
const LIMITS: &str = "/proc/self/limits";
const FDS: &str = "/proc/self/fd";
const SYSTEM_STAT: &str = "/proc/stat";

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::hint::black_box;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn this_process_is_read_as_it_is() {
        let before = read().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(before.start_seconds <= now + 1.0 && before.start_seconds > now - 3600.0, "{before:?}");
        assert!(before.threads >= 1.0 && before.resident_bytes > 100_000.0, "{before:?}");
        assert!(before.max_fds.is_none_or(|max| max >= before.open_fds), "{before:?}");

        let files: Vec<File> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        let memory = black_box(vec![1_u8; 50_000_000]);
        let busy = Instant::now();
        while busy.elapsed().as_millis() < 100 {
            black_box(0);
        }
        let after = read().unwrap();
        // Other tests of this process open and close things meanwhile: the margins are theirs.
        assert!(after.open_fds >= before.open_fds + 30.0, "{before:?} {after:?}");
        assert!(after.resident_bytes >= before.resident_bytes + 30_000_000.0, "{before:?} {after:?}");
        assert!(
            after.cpu_user_seconds + after.cpu_system_seconds > before.cpu_user_seconds + before.cpu_system_seconds
        );
        assert!((after.start_seconds - before.start_seconds).abs() < f64::EPSILON);
        drop((files, memory));
    }
}

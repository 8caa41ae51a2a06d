//! The processor time of the calling thread, since on a shared machine the wall clock measures the neighbours; and which
//! processor it runs on.

use std::io;
use std::time::Duration;

pub fn thread_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `time` and keeps no pointer to it.
    if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// How long `run` kept this thread's processor busy.
pub fn time(run: impl FnOnce()) -> io::Result<Duration> {
    let start = thread_time()?;
    run();
    Ok(thread_time()?.saturating_sub(start))
}

/// Half of the values lie above it.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Binds the calling thread to one of the processors that the process may use: two threads that the scheduler puts on one
/// processor take turns, and never meet.
pub fn bind(thread: usize) -> io::Result<()> {
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: a set of no processors is all zeros, and the calls read or write nothing but the set.
    unsafe {
        let mut all: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size, &raw mut all) != 0 {
            return Err(io::Error::last_os_error());
        }
        let usable: Vec<usize> = (0..8 * size).filter(|cpu| libc::CPU_ISSET(*cpu, &all)).collect();
        let Some(cpu) = usable.get(thread % usable.len().max(1)) else {
            return Err(io::Error::other("the process may use no processor"));
        };
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(*cpu, &mut one);
        if libc::sched_setaffinity(0, size, &raw const one) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

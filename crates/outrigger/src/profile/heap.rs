//! Heap profiles, by jemalloc.

use jemalloc_pprof::PROF_CTL;
use tikv_jemalloc_ctl::profiling;

use super::ProfileError;
use super::outcome::Active;
use super::turn::Turn;
use crate::Metrics;

/// What the heap holds now, in pprof's protobuf, compressed.
pub(super) async fn profile(turn: Turn, metrics: &Metrics) -> Result<Vec<u8>, ProfileError> {
    // Asked first, since the control below panics when jemalloc was built without profiling.
    if !profiling::prof::read().is_ok_and(|on| on) {
        return Err(ProfileError::Unsupported(WITHOUT_PROFILING));
    }
    let Some(control) = PROF_CTL.as_ref() else { return Err(ProfileError::Unsupported(WITHOUT_PROFILING)) };
    let mut control = control.clone().lock_owned().await;
    if !control.activated() {
        return Err(ProfileError::Unsupported(INACTIVE));
    }
    let active = Active::new(metrics);
    // Some hundred milliseconds, a file in between.
    let dumped = tokio::task::spawn_blocking(move || {
        let dumped = control.dump_pprof();
        drop((active, turn));
        dumped
    });
    match dumped.await {
        Ok(Ok(profile)) => Ok(profile),
        Ok(Err(error)) => Err(ProfileError::Failed(error.to_string())),
        Err(error) => Err(ProfileError::Failed(error.to_string())),
    }
}

const WITHOUT_PROFILING: &str = "this program's allocator takes no heap profiles: they take tikv-jemallocator as the global allocator, \
     and `prof:true,prof_active:true,lg_prof_sample:19` in _RJEM_MALLOC_CONF or malloc_conf\n";
const INACTIVE: &str = "heap profiling is off for the moment: `prof_active:true` in malloc_conf turns it on from the start, \
     jemalloc_pprof::activate_jemalloc_profiling() later\n";

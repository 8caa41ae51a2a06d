//! Without the feature `jemalloc`, there is no heap profile.

use super::ProfileError;
use super::turn::Turn;
use crate::Metrics;

#[allow(clippy::unused_async, reason = "the one with jemalloc waits")]
pub(super) async fn profile(_: Turn, _: &Metrics) -> Result<Vec<u8>, ProfileError> {
    Err(ProfileError::Unsupported(
        "this program was built without heap profiles: it takes outrigger's feature `jemalloc`, and a program that runs \
         on jemalloc with profiling\n",
    ))
}

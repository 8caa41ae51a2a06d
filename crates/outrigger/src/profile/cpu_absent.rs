//! Where there is no sampler.

use super::query::Query;
use super::turn::Turn;
use super::{Form, ProfileError};
use crate::Metrics;

pub(super) enum Sampling {}

impl Sampling {
    pub(super) fn start(_: Query, _: Turn, _: &Metrics) -> Result<Self, ProfileError> {
        Err(UNSUPPORTED)
    }

    pub(super) fn finish(self, _: Form) -> Result<Vec<u8>, ProfileError> {
        match self {}
    }
}

pub(super) fn warm_up() -> Result<(), ProfileError> {
    Err(UNSUPPORTED)
}

const UNSUPPORTED: ProfileError =
    ProfileError::Unsupported("CPU profiles are taken on Linux and macOS, on x86-64 and ARM64\n");

//! A handle that is resolved at its first use after a recorder was installed, and then kept.

use std::sync::OnceLock;

use ::metrics::Recorder;

use crate::Metrics;

#[derive(Debug)]
pub(crate) struct Late<T>(OnceLock<T>);

impl<T: Clone> Late<T> {
    pub(crate) fn get(&self, metrics: &Metrics, register: impl FnOnce(&dyn Recorder) -> T) -> T {
        if let Some(handle) = self.0.get() {
            return handle.clone();
        }
        let resolved = metrics.resolve(register);
        if resolved.lasting { self.0.get_or_init(|| resolved.handle).clone() } else { resolved.handle }
    }
}

// Derived, it would ask for `T: Default`.
impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

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

    /// Hands the handle to a function without cloning it, and says whether it is one that lasts: for hot paths, since a
    /// clone counts up and down what all threads share.
    #[inline]
    pub(crate) fn with(
        &self,
        metrics: &Metrics,
        register: impl FnOnce(&dyn Recorder) -> T,
        write: impl FnOnce(&T),
    ) -> bool {
        if let Some(handle) = self.0.get() {
            write(handle);
            return true;
        }
        write(&self.get(metrics, register));
        self.0.get().is_some()
    }

    /// The handle, where it was used before.
    #[cfg(feature = "task")]
    #[inline]
    pub(crate) fn known(&self) -> Option<&T> {
        self.0.get()
    }
}

// Derived, it would ask for `T: Default`.
impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

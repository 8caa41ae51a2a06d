//! Which faults are on.

use super::kind::Kind;
use super::truth::{Entry, TruthFile};
use serde::Serialize;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// What to do to which requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Setting {
    /// Of the requests on the routes, above 0 and up to 1.
    pub(super) share: f64,
    /// `None` where the kind has no use for it and none was given.
    pub(super) strength_ms: Option<u64>,
    /// Route templates.
    pub(super) routes: Vec<String>,
}

/// A fault that is on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Active {
    pub(super) id: String,
    #[serde(skip)]
    pub(super) kind: Kind,
    #[serde(flatten)]
    pub(super) setting: Setting,
    pub(super) start: String,
}

/// The switches: one for each kind. A cheap clone.
#[derive(Clone)]
pub(crate) struct Switches {
    shared: Arc<Shared>,
}

struct Shared {
    /// All that a request looks at while nothing is on.
    any: AtomicBool,
    active: RwLock<Arc<[Active]>>,
    /// Held through each change, so that the file has them in the order in which they happened.
    truth: Mutex<TruthFile>,
}

impl Switches {
    pub(crate) fn new(truth: TruthFile) -> Self {
        let shared = Shared { any: AtomicBool::new(false), active: RwLock::default(), truth: Mutex::new(truth) };
        Self { shared: Arc::new(shared) }
    }

    /// Switches a fault on, in place of one of its kind.
    ///
    /// # Errors
    /// When the truth file cannot be written; no fault of its kind is on then.
    pub(super) fn set(&self, kind: Kind, setting: Setting) -> io::Result<Active> {
        let mut truth = self.lock_truth();
        self.end(&mut truth, kind)?;
        let now = SystemTime::now();
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let start = rfc3339(now);
        let id = format!("{}-{}", kind.name(), since_epoch.as_micros());
        let active = Active { id, kind, setting, start };
        truth.append(&Entry::begun(&active))?;
        self.replace(kind, Some(active.clone()));
        Ok(active)
    }

    /// Switches a fault off. `None` if it was not on.
    ///
    /// # Errors
    /// When the truth file cannot be written. The fault is off all the same.
    pub(super) fn clear(&self, kind: Kind) -> io::Result<Option<Active>> {
        self.end(&mut self.lock_truth(), kind)
    }

    /// Switches everything off, at the end of the shop.
    pub(crate) fn clear_all(&self) {
        for kind in Kind::ALL {
            if let Err(error) = self.clear(kind) {
                tracing::error!(%error, fault = kind.name(), "the end of a fault could not be noted in the truth file");
            }
        }
    }

    /// The faults that are on.
    pub(super) fn active(&self) -> Arc<[Active]> {
        self.shared.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The faults that are on, or `None` at the cost of reading one flag.
    pub(super) fn any_active(&self) -> Option<Arc<[Active]>> {
        self.shared.any.load(Ordering::Relaxed).then(|| self.active())
    }

    fn end(&self, truth: &mut TruthFile, kind: Kind) -> io::Result<Option<Active>> {
        let Some(ended) = self.replace(kind, None) else { return Ok(None) };
        truth.append(&Entry::ended(&ended, rfc3339(SystemTime::now())))?;
        Ok(Some(ended))
    }

    fn replace(&self, kind: Kind, new: Option<Active>) -> Option<Active> {
        let mut active = self.shared.active.write().unwrap_or_else(PoisonError::into_inner);
        let old = active.iter().find(|fault| fault.kind == kind).cloned();
        *active = active.iter().filter(|fault| fault.kind != kind).cloned().chain(new).collect();
        self.shared.any.store(!active.is_empty(), Ordering::Relaxed);
        old
    }

    fn lock_truth(&self) -> MutexGuard<'_, TruthFile> {
        self.shared.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    pub(super) fn strength(&self) -> Duration {
        Duration::from_millis(self.setting.strength_ms.unwrap_or_default())
    }

    /// Whether it happens to this request.
    pub(super) fn hits(&self, route: &str) -> bool {
        self.setting.routes.iter().any(|template| template == route) && fastrand::f64() < self.setting.share
    }
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

//! The one handle that every layer, wrapper and sampler takes: which recorder to write to, and how its page is made.

use std::fmt;
use std::sync::{Arc, LazyLock};

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use outrigger_semconv::{Emitter, Kind, Metric, Unit, library};

use crate::resource::Resource;
use crate::shutdown::Readers;

/// Where metrics go: the process's global recorder, or one of your own. A cheap clone.
///
/// | made by | writes to | has a page |
/// |---|---|---|
/// | [`install()`](crate::install), [`exporter::install()`](crate::exporter::install) | the recorder that it installs | yes |
/// | [`standalone()`](crate::standalone), [`exporter::standalone()`](crate::exporter::standalone) | a recorder of its own, not global | yes |
/// | `Metrics::from(recorder)` | an `outrigger_recorder::Recorder` that you have built | yes |
/// | [`Metrics::global()`], `Metrics::default()` | whatever recorder the program has installed | with [`with_page`](Self::with_page) |
/// | [`Metrics::with_recorder()`] | the recorder given | with [`with_page`](Self::with_page) |
///
/// With the global recorder, handles are resolved at the first observation after a recorder was installed, since a
/// handle taken earlier would be a no-op for ever; what happens before is not recorded. Scoped recorders
/// (`metrics::with_local_recorder`) belong to one thread and reach no spawned task: give tests a recorder of their own
/// through [`Metrics::with_recorder()`] or [`standalone()`](crate::standalone) instead.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

/// How a page is made.
#[derive(Clone)]
pub(crate) enum Page {
    /// As a whole, by a function that may take its time.
    Text(Arc<dyn Fn() -> String + Send + Sync>),
    /// Piece by piece, in the format that the reader wants.
    #[cfg(feature = "recorder")]
    Recorder(outrigger_recorder::Recorder),
}

struct Inner {
    /// `None` is the global recorder, whichever it is by then.
    recorder: Option<SharedRecorder>,
    page: Option<Page>,
    readers: Readers,
    caches: crate::named::Named<crate::cache::CacheSeries>,
    #[cfg(feature = "client")]
    client: crate::client::Series,
    #[cfg(feature = "http")]
    http: crate::http::Series,
    #[cfg(feature = "db")]
    db: crate::db::Series,
    #[cfg(feature = "db")]
    insight: crate::db::insight::Insight,
    #[cfg(feature = "pool")]
    pools: crate::named::Named<crate::pool::Series>,
    #[cfg(feature = "resilience")]
    dependencies: crate::named::Named<crate::resilience::Series>,
    #[cfg(feature = "task")]
    tasks: crate::task::Tasks,
    #[cfg(feature = "profile")]
    scopes: crate::profile::Scopes,
}

impl Metrics {
    /// The global recorder: the one that the program has installed, or will.
    #[must_use]
    pub fn global() -> Self {
        static GLOBAL: LazyLock<Metrics> = LazyLock::new(|| Metrics::new(None, None));
        GLOBAL.clone()
    }

    /// A recorder of your own, for a second registry or for tests that run side by side.
    #[must_use]
    pub fn with_recorder(recorder: Arc<dyn Recorder + Send + Sync>) -> Self {
        Self::new(Some(recorder), None)
    }

    /// Says how the recorder's page is made, so that the admin listener can serve it.
    ///
    /// For those who installed a recorder themselves:
    ///
    /// ```standalone_crate
    /// # #[cfg(feature = "exporter")] {
    /// use outrigger::Metrics;
    ///
    /// let handle = outrigger::prometheus_builder().install_recorder().unwrap();
    /// // The exporter leaves its upkeep to whoever installs it: call `handle.run_upkeep()` every few seconds.
    /// let metrics = Metrics::global().with_page(move || handle.render());
    /// assert!(metrics.render().is_some());
    /// # }
    /// ```
    #[must_use]
    pub fn with_page(self, page: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self::new(self.inner.recorder.clone(), Some(Page::Text(Arc::new(page))))
    }

    /// The page in the Prometheus text format, or `None` when this handle knows no way to make one.
    ///
    /// It is one string: for pages of many thousand series the admin listener is the better way, since it sends our
    /// recorder's page in pieces. With the exporter, some 20 µs per series: call it from `spawn_blocking`.
    #[must_use]
    pub fn render(&self) -> Option<String> {
        Some(match self.inner.page.as_ref()? {
            Page::Text(page) => page(),
            #[cfg(feature = "recorder")]
            Page::Recorder(recorder) => recorder.render(outrigger_recorder::PageFormat::Text),
        })
    }

    /// Tells the recorder the help text and unit of every metric that this library emits, and sets `target_info`
    /// (labels `service_name`, `service_version`).
    ///
    /// [`install()`](crate::install) and [`standalone()`](crate::standalone) have done it. The name comes from
    /// `OTEL_SERVICE_NAME`, else `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, else the program's file name; the
    /// version from `service.version` in `OTEL_RESOURCE_ATTRIBUTES`, and is left out without one.
    pub fn describe(&self) {
        for metric in outrigger_semconv::metrics().filter(|metric| metric.emitter != Emitter::Agent) {
            self.resolve(|recorder| describe(recorder, metric));
        }
        let resource = Resource::from_env();
        self.resolve(|recorder| register_gauge(recorder, &library::TARGET_INFO, resource.labels()).set(1.0));
    }

    /// Registers a handle with the recorder of this moment.
    pub(crate) fn resolve<T>(&self, register: impl FnOnce(&dyn Recorder) -> T) -> Resolved<T> {
        match &self.inner.recorder {
            Some(recorder) => Resolved { handle: register(recorder), lasting: true },
            // The facade does not say whether a recorder is installed, but its stand-in is an empty struct and a real
            // recorder keeps something. An empty real one is used rightly too, only without keeping its handles.
            None => ::metrics::with_recorder(|recorder| Resolved {
                lasting: size_of_val(recorder) > 0,
                handle: register(recorder),
            }),
        }
    }

    /// Whether handles that are resolved now may be kept.
    #[cfg_attr(
        not(any(
            feature = "client",
            feature = "db",
            feature = "http",
            feature = "profile",
            feature = "resilience",
            feature = "task"
        )),
        allow(dead_code, reason = "its callers are features")
    )]
    pub(crate) fn is_installed(&self) -> bool {
        self.resolve(|_| ()).lasting
    }

    #[cfg(any(feature = "admin", feature = "otlp"))]
    pub(crate) fn page(&self) -> Option<&Page> {
        self.inner.page.as_ref()
    }

    #[cfg(feature = "client")]
    pub(crate) fn client(&self) -> &crate::client::Series {
        &self.inner.client
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.inner.readers
    }

    pub(crate) fn caches(&self) -> &crate::named::Named<crate::cache::CacheSeries> {
        &self.inner.caches
    }

    #[cfg(feature = "http")]
    pub(crate) fn http(&self) -> &crate::http::Series {
        &self.inner.http
    }

    #[cfg(feature = "db")]
    pub(crate) fn db(&self) -> &crate::db::Series {
        &self.inner.db
    }

    #[cfg(feature = "pool")]
    pub(crate) fn pools(&self) -> &crate::named::Named<crate::pool::Series> {
        &self.inner.pools
    }

    #[cfg(feature = "db")]
    pub(crate) fn insight(&self) -> &crate::db::insight::Insight {
        &self.inner.insight
    }

    #[cfg(feature = "resilience")]
    pub(crate) fn dependencies(&self) -> &crate::named::Named<crate::resilience::Series> {
        &self.inner.dependencies
    }

    #[cfg(feature = "task")]
    pub(crate) fn tasks(&self) -> &crate::task::Tasks {
        &self.inner.tasks
    }

    #[cfg(feature = "profile")]
    pub(crate) fn scopes(&self) -> &crate::profile::Scopes {
        &self.inner.scopes
    }

    fn new(recorder: Option<SharedRecorder>, page: Option<Page>) -> Self {
        Self {
            inner: Arc::new(Inner {
                recorder,
                page,
                readers: Readers::new(),
                caches: crate::named::Named::new(&outrigger_semconv::cache::REQUESTS),
                #[cfg(feature = "client")]
                client: crate::client::Series::default(),
                #[cfg(feature = "http")]
                http: crate::http::Series::default(),
                #[cfg(feature = "db")]
                db: crate::db::Series::default(),
                #[cfg(feature = "db")]
                insight: crate::db::insight::Insight::default(),
                #[cfg(feature = "pool")]
                pools: crate::named::Named::new(&outrigger_semconv::db::CLIENT_CONNECTION_COUNT),
                #[cfg(feature = "resilience")]
                dependencies: crate::named::Named::new(&outrigger_semconv::resilience::BREAKER_CALLS),
                #[cfg(feature = "task")]
                tasks: crate::task::Tasks::default(),
                #[cfg(feature = "profile")]
                scopes: crate::profile::Scopes::default(),
            }),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::global()
    }
}

/// A recorder of ours that you have built yourself. It is not made global by this, its metrics are not
/// [described](Metrics::describe), and its page has no process metrics: [`builder()`](crate::builder) does all that.
#[cfg(feature = "recorder")]
impl From<outrigger_recorder::Recorder> for Metrics {
    fn from(recorder: outrigger_recorder::Recorder) -> Self {
        Self::new(Some(Arc::new(recorder.clone())), Some(Page::Recorder(recorder)))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("global", &self.inner.recorder.is_none())
            .field("page", &self.inner.page.is_some())
            .finish()
    }
}

/// A handle, and whether it may be kept.
pub(crate) struct Resolved<T> {
    pub(crate) handle: T,
    pub(crate) lasting: bool,
}

pub(crate) fn register_counter(recorder: &dyn Recorder, metric: &Metric, labels: Vec<Label>) -> Counter {
    recorder.register_counter(&Key::from_parts(metric.name, labels), &METADATA)
}

pub(crate) fn register_gauge(recorder: &dyn Recorder, metric: &Metric, labels: Vec<Label>) -> Gauge {
    recorder.register_gauge(&Key::from_parts(metric.name, labels), &METADATA)
}

pub(crate) fn register_histogram(recorder: &dyn Recorder, metric: &Metric, labels: Vec<Label>) -> Histogram {
    recorder.register_histogram(&Key::from_parts(metric.name, labels), &METADATA)
}

const METADATA: Metadata<'static> = Metadata::new("outrigger", Level::INFO, Some("outrigger"));

fn describe(recorder: &dyn Recorder, metric: &'static Metric) {
    let unit = Some(match metric.unit {
        Unit::Seconds => ::metrics::Unit::Seconds,
        Unit::Bytes => ::metrics::Unit::Bytes,
        // The facade has no ratio; its percent would promise 0 to 100.
        Unit::Ratio | Unit::One => ::metrics::Unit::Count,
    });
    match metric.kind {
        Kind::Counter => recorder.describe_counter(metric.name.into(), unit, metric.help.into()),
        Kind::Gauge => recorder.describe_gauge(metric.name.into(), unit, metric.help.into()),
        Kind::Histogram(_) => recorder.describe_histogram(metric.name.into(), unit, metric.help.into()),
    }
}

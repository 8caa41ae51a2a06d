//! The settings of a layer, and what all its clones share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::http::{Method, Uri};
use outrigger_semconv::label;
use tower_layer::Layer;

use super::HttpMetrics;
use super::custom::{CustomLabel, MAX_LABELS, RequestLabel};
use super::endpoint::Endpoint;
use super::headers::HttpHeadersLayer;
use super::labels::Scheme;
use super::series::SERIES_LIMIT;
use super::site::Site;

use crate::Metrics;
use crate::log_limit::LogLimit;
use crate::message::KnownMethod;

/// Adds request metrics to a service. See the [module](super) for what they say.
#[derive(Clone)]
pub struct HttpMetricsLayer {
    config: Arc<Config>,
    endpoints: Arc<Endpoints>,
}

/// Under which names a layer emits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Naming {
    /// Those of the OpenTelemetry conventions.
    #[default]
    Conventional,
    /// The older ones: `http_request_duration_seconds` and `http_requests_total` with `method`, `endpoint` and `status`,
    /// and `active_connections`. A request without a status counts as 499 when its client left and as 500 otherwise.
    Classic,
    /// Both, for the time in which dashboards move.
    Both,
}

impl Naming {
    pub(super) fn is_conventional(self) -> bool {
        self != Self::Classic
    }

    pub(super) fn is_classic(self) -> bool {
        self != Self::Conventional
    }
}

type RouteOf = Arc<dyn Fn(&Method, &Uri) -> Option<&'static str> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) unknown_scheme: Scheme,
    pub(super) first_byte: bool,
    pub(super) body_sizes: bool,
    pub(super) group_status: bool,
    pub(super) naming: Naming,
    pub(super) slow: Option<Duration>,
    pub(super) labels: Vec<CustomLabel>,
    pub(super) route: Option<RouteOf>,
    skip: Vec<Box<str>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            unknown_scheme: Scheme::Http,
            first_byte: false,
            body_sizes: false,
            group_status: false,
            naming: Naming::default(),
            slow: Some(SLOW),
            labels: Vec::new(),
            route: None,
            skip: Vec::new(),
        }
    }
}

impl Settings {
    pub(super) fn skips(&self, route: &str) -> bool {
        self.skip.iter().any(|skipped| **skipped == *route)
    }

    /// Whether there is more to record than the conventional duration.
    pub(super) fn wants_more(&self) -> bool {
        self.first_byte || self.body_sizes || self.naming.is_classic()
    }
}

/// Where a layer writes, and how.
pub(super) struct Config {
    pub(super) metrics: Metrics,
    pub(super) settings: Settings,
    pub(super) slow: LogLimit,
}

/// The endpoints of a layer, of all the places where it was put.
#[derive(Default)]
pub(super) struct Endpoints {
    /// By route; a route has a few methods.
    by_route: RwLock<HashMap<Box<str>, Vec<Arc<Endpoint>>>>,
}

impl Endpoints {
    /// The endpoint of a route, or of `_other` when there are as many routes as series are allowed.
    pub(super) fn endpoint(
        &self,
        config: &Arc<Config>,
        route: &str,
        method: KnownMethod,
        scheme: Scheme,
    ) -> Arc<Endpoint> {
        let find = |endpoints: &Vec<Arc<Endpoint>>| endpoints.iter().find(|e| e.serves(method, scheme)).cloned();
        let full = {
            let by_route = self.by_route.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(endpoint) = by_route.get(route).and_then(find) {
                return endpoint;
            }
            by_route.len() >= SERIES_LIMIT && !by_route.contains_key(route)
        };
        let route = if full { label::OTHER } else { route };
        let mut by_route = self.by_route.write().unwrap_or_else(PoisonError::into_inner);
        let known = by_route.entry(route.into()).or_default();
        find(known).unwrap_or_else(|| {
            let endpoint = Arc::new(Endpoint::new(Arc::clone(config), route, method, scheme));
            known.push(Arc::clone(&endpoint));
            endpoint
        })
    }
}

impl HttpMetricsLayer {
    /// A layer that writes to these metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self::with(metrics.clone(), Settings::default())
    }

    /// Says that requests whose URI has no scheme came over TLS.
    ///
    /// Defaults to `http`. Forwarding headers are not read: a client can write them.
    #[must_use]
    pub fn https(self) -> Self {
        self.change(|settings| settings.unknown_scheme = Scheme::Https)
    }

    /// Records the time to the response's headers too, as `http_server_request_time_to_first_byte_seconds`.
    ///
    /// Defaults to no: another histogram for each route.
    #[must_use]
    pub fn time_to_first_byte(self) -> Self {
        self.change(|settings| settings.first_byte = true)
    }

    /// Records the sizes of bodies, as `http_server_request_body_size_bytes` and `http_server_response_body_size_bytes`.
    ///
    /// A response counts the bytes that were handed to the server, so none for HEAD, less than announced when the client
    /// left, and the compressed ones where the compression is inside of this layer. A request counts what it announces;
    /// one that comes in chunks of unknown number is counted as it is read, if its body is [`axum::body::Body`], else
    /// it has no size.
    ///
    /// Defaults to no: two more histograms for each route.
    #[must_use]
    pub fn body_sizes(self) -> Self {
        self.change(|settings| settings.body_sizes = true)
    }

    /// Puts the status's class (`2xx`) into its label instead of the code.
    ///
    /// Defaults to the code, which the convention asks for. The class needs fewer series.
    #[must_use]
    pub fn group_status(self) -> Self {
        self.change(|settings| settings.group_status = true)
    }

    /// Under which names to emit. Defaults to those of the convention.
    #[must_use]
    pub fn naming(self, naming: Naming) -> Self {
        self.change(|settings| settings.naming = naming)
    }

    /// Logs requests that took longer than this, at level WARN with the target `outrigger::http`; `None` logs none.
    ///
    /// Each says its method, route, status and duration, and with the feature `exemplars` its trace. At most ten are
    /// logged in a second; the next one tells how many were not. Streams of events and upgrades are timed to their
    /// headers here too. Defaults to two seconds.
    #[must_use]
    pub fn slow_requests(self, threshold: impl Into<Option<Duration>>) -> Self {
        self.change(|settings| settings.slow = threshold.into())
    }

    /// Leaves these out: route templates, and paths of requests that no route matched.
    ///
    /// Defaults to measuring everything.
    ///
    /// ```
    /// # use outrigger::Metrics;
    /// let layer = Metrics::global().http_layer().skip(["/healthz", "/favicon.ico"]);
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn skip<R: Into<Box<str>>>(self, routes: impl IntoIterator<Item = R>) -> Self {
        self.change(|settings| settings.skip.extend(routes.into_iter().map(Into::into)))
    }

    /// Adds a label of your own with a closed set of values; see [`RequestLabel`]. At most four are taken.
    #[must_use]
    pub fn label<L: RequestLabel>(self) -> Self {
        self.change(|settings| {
            if settings.labels.len() < MAX_LABELS {
                settings.labels.push(CustomLabel::of::<L>());
            } else {
                tracing::error!(label = L::NAME, "request metrics take {MAX_LABELS} labels of your own: left out");
            }
        })
    }

    /// Names the route of requests that axum has matched no route for: round a bare service of tower, hyper or tonic.
    ///
    /// Return one of a small, fixed set of templates, or `None` for `_unmatched`, which is the default for all.
    ///
    /// ```
    /// # use outrigger::Metrics;
    /// let layer = Metrics::global().http_layer().route_with(|_method, uri| match uri.path() {
    ///     "/greeter.Greeter/SayHello" => Some("/greeter.Greeter/SayHello"),
    ///     path if path.starts_with("/files/") => Some("/files/{*path}"),
    ///     _ => None,
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn route_with(self, route: impl Fn(&Method, &Uri) -> Option<&'static str> + Send + Sync + 'static) -> Self {
        self.change(|settings| settings.route = Some(Arc::new(route)))
    }

    /// A layer that stops its clock at the response's headers and leaves the body alone.
    ///
    /// Defaults to the end of the body, save for server-sent events and upgrades. What the body does is not seen then:
    /// its failures, who left within it, its size, a gRPC status in trailers; and requests are in flight to their
    /// headers. It costs a quarter less and no allocation. Settings are made before.
    #[must_use]
    pub fn until_headers(self) -> HttpHeadersLayer {
        HttpHeadersLayer::new(self)
    }

    pub(super) fn site(&self) -> Arc<Site> {
        Arc::new(Site::new(Arc::clone(&self.config), Arc::clone(&self.endpoints)))
    }

    fn with(metrics: Metrics, settings: Settings) -> Self {
        let config = Arc::new(Config { metrics, settings, slow: LogLimit::default() });
        Self { config, endpoints: Arc::default() }
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.config.settings.clone();
        change(&mut settings);
        Self::with(self.config.metrics.clone(), settings)
    }
}

impl Default for HttpMetricsLayer {
    fn default() -> Self {
        Self::new(&Metrics::global())
    }
}

impl<S> Layer<S> for HttpMetricsLayer {
    type Service = HttpMetrics<S>;

    fn layer(&self, inner: S) -> HttpMetrics<S> {
        HttpMetrics::new(inner, self.site())
    }
}

impl fmt::Debug for HttpMetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetricsLayer").field("metrics", &self.config.metrics).finish_non_exhaustive()
    }
}

impl Metrics {
    /// A layer that adds request metrics to a router; shorthand for [`HttpMetricsLayer::new`].
    #[must_use]
    pub fn http_layer(&self) -> HttpMetricsLayer {
        HttpMetricsLayer::new(self)
    }
}

/// Where a request begins to be slow.
const SLOW: Duration = Duration::from_secs(2);

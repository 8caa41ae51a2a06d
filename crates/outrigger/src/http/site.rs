//! A site: one place where the layer was put, and the endpoints that were seen there.
//!
//! axum puts a layer round each route, so that a site sees one route and finds its endpoint at the first look. Where it
//! sees many, as round a bare service, the layer's shared table has the rest.

use std::ptr;
use std::sync::{Arc, OnceLock};

use ::http::Request;
use axum::extract::MatchedPath;
use outrigger_semconv::label;

use super::endpoint::Endpoint;
use super::labels::{KnownMethod, Scheme};
use super::layer::{Config, Endpoints};

/// One place where the layer was put.
pub(super) struct Site {
    config: Arc<Config>,
    endpoints: Arc<Endpoints>,
    first: OnceLock<Box<Seen>>,
}

/// An endpoint that was seen, and the next one.
struct Seen {
    route: Route,
    endpoint: Arc<Endpoint>,
    next: OnceLock<Box<Seen>>,
}

/// A route, kept so that its text stays where it is: the same place is the same text.
#[derive(Clone)]
enum Route {
    Matched(MatchedPath),
    Static(&'static str),
}

impl Route {
    fn as_str(&self) -> &str {
        match self {
            Self::Matched(path) => path.as_str(),
            Self::Static(text) => text,
        }
    }
}

impl Site {
    pub(super) fn new(config: Arc<Config>, endpoints: Arc<Endpoints>) -> Self {
        Self { config, endpoints, first: OnceLock::new() }
    }

    /// The endpoint of a request; `None` if such requests are not measured.
    pub(super) fn endpoint<B>(&self, request: &Request<B>) -> Option<Arc<Endpoint>> {
        let settings = &self.config.settings;
        let method = KnownMethod::of(request.method());
        let scheme = match request.uri().scheme() {
            None => settings.unknown_scheme,
            Some(scheme) => match scheme.as_str() {
                "https" => Scheme::Https,
                "http" => Scheme::Http,
                _ => settings.unknown_scheme,
            },
        };
        match request.extensions().get::<MatchedPath>() {
            Some(path) => self.find(path.as_str(), method, scheme, || Route::Matched(path.clone())),
            None => {
                if settings.skips(request.uri().path()) {
                    return None;
                }
                let given = settings.route.as_ref().and_then(|route| route(request.method(), request.uri()));
                let route = given.unwrap_or(label::UNMATCHED_ROUTE);
                self.find(route, method, scheme, || Route::Static(route))
            }
        }
    }

    fn find(
        &self,
        route: &str,
        method: KnownMethod,
        scheme: Scheme,
        keep: impl FnOnce() -> Route,
    ) -> Option<Arc<Endpoint>> {
        let mut next = &self.first;
        let mut depth = 0;
        while let Some(seen) = next.get() {
            let known = seen.route.as_str();
            // A router below `nest_service` makes its text anew for each request.
            if seen.endpoint.serves(method, scheme) && (ptr::eq(known, route) || known == route) {
                return seen.endpoint.measured();
            }
            next = &seen.next;
            depth += 1;
        }
        let endpoint = self.endpoints.endpoint(&self.config, route, method, scheme);
        if depth < SEEN_ENDPOINTS {
            // Should another thread have been faster, this one is kept at its next request.
            let _ = next.set(Box::new(Seen { route: keep(), endpoint: Arc::clone(&endpoint), next: OnceLock::new() }));
        }
        endpoint.measured()
    }
}

impl Endpoint {
    fn measured(self: &Arc<Self>) -> Option<Arc<Self>> {
        if self.skipped { None } else { Some(Arc::clone(self)) }
    }
}

/// Endpoints that a site finds by itself. Walking further would cost more than the table.
const SEEN_ENDPOINTS: usize = 8;

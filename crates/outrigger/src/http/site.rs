//! A site: one place where the layer was put, and the endpoints that were seen there.
//!
//! axum puts a layer round each route, so that a site sees one route and finds its endpoint at the first look. Where it
//! sees many, as round a bare service, the layer's shared table has the rest.

use std::ptr;
use std::sync::{Arc, OnceLock};

use ::http::{Method, Request, Uri};
use axum::extract::MatchedPath;
use outrigger_semconv::label;

use super::endpoint::Endpoint;
use super::labels::Scheme;
use super::layer::{Config, Endpoints};
use crate::message::KnownMethod;

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
    #[inline]
    pub(super) fn endpoint<B>(&self, request: &Request<B>) -> Option<Arc<Endpoint>> {
        let method = KnownMethod::of(request.method());
        let scheme = match request.uri().scheme_str() {
            None => self.config.settings.unknown_scheme,
            Some(scheme) => self.scheme(scheme),
        };
        match request.extensions().get::<MatchedPath>() {
            Some(path) => match self.seen(path.as_str(), method, scheme) {
                Some(seen) => seen.measured(),
                None => self.find(&Route::Matched(path.clone()), method, scheme),
            },
            None => self.unmatched(request.method(), request.uri(), method, scheme),
        }
    }

    fn scheme(&self, scheme: &str) -> Scheme {
        match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => self.config.settings.unknown_scheme,
        }
    }

    /// An endpoint that was seen here before.
    #[inline]
    fn seen(&self, route: &str, method: KnownMethod, scheme: Scheme) -> Option<&Arc<Endpoint>> {
        let mut next = &self.first;
        while let Some(seen) = next.get() {
            let known = seen.route.as_str();
            // A router below `nest_service` makes its text anew for each request.
            if seen.endpoint.serves(method, scheme) && (ptr::eq(known, route) || known == route) {
                return Some(&seen.endpoint);
            }
            next = &seen.next;
        }
        None
    }

    fn unmatched(&self, name: &Method, uri: &Uri, method: KnownMethod, scheme: Scheme) -> Option<Arc<Endpoint>> {
        let settings = &self.config.settings;
        if settings.skips(uri.path()) {
            return None;
        }
        let given = settings.route.as_ref().and_then(|route| route(name, uri));
        let route = given.unwrap_or(label::UNMATCHED_ROUTE);
        match self.seen(route, method, scheme) {
            Some(seen) => seen.measured(),
            None => self.find(&Route::Static(route), method, scheme),
        }
    }

    /// Asks the layer's table, and keeps what it finds as long as there are few.
    #[cold]
    fn find(&self, route: &Route, method: KnownMethod, scheme: Scheme) -> Option<Arc<Endpoint>> {
        let endpoint = self.endpoints.endpoint(&self.config, route.as_str(), method, scheme);
        let mut next = &self.first;
        for _ in 0..SEEN_ENDPOINTS {
            match next.get() {
                Some(seen) => next = &seen.next,
                None => {
                    let seen = Seen { route: route.clone(), endpoint: Arc::clone(&endpoint), next: OnceLock::new() };
                    // Should another thread have been faster, this one is kept at its next request.
                    let _ = next.set(Box::new(seen));
                    break;
                }
            }
        }
        endpoint.measured()
    }
}

impl Endpoint {
    #[inline]
    fn measured(self: &Arc<Self>) -> Option<Arc<Self>> {
        if self.skipped { None } else { Some(Arc::clone(self)) }
    }
}

/// Endpoints that a site finds by itself. Walking further would cost more than the table.
const SEEN_ENDPOINTS: usize = 8;

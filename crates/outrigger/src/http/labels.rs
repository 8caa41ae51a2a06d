//! The labels of a request, as types with few values.

use ::http::Method;
use ::metrics::Label;
use outrigger_semconv::label;

use crate::series::LabelSet;

/// A well-known method, or any other. An index into [`METHODS`], so that tables can be arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KnownMethod(usize);

pub(super) const METHODS: [&str; 10] =
    [label::OTHER_METHOD, "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE"];

impl KnownMethod {
    pub(super) const OTHER: Self = Self(0);
    pub(super) const HEAD: Self = Self(5);
    pub(super) const CONNECT: Self = Self(8);

    pub(super) fn of(method: &Method) -> Self {
        METHODS.iter().position(|known| *known == method.as_str()).map_or(Self::OTHER, Self)
    }

    pub(super) fn index(self) -> usize {
        self.0
    }

    pub(super) fn as_str(self) -> &'static str {
        METHODS.get(self.0).copied().unwrap_or(label::OTHER_METHOD)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) const COUNT: usize = 2;

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// How a request failed, apart from what its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Failure {
    Cancelled,
    Panic,
    Body,
    Service,
    /// A failure of the service, in the overflow series.
    Any,
}

impl Failure {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Body => "body_error",
            Self::Service => "service_error",
            Self::Any => label::OTHER_METHOD,
        }
    }
}

/// The labels beside the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestLabels {
    pub(super) method: KnownMethod,
    pub(super) scheme: Scheme,
    pub(super) status: Option<u16>,
    pub(super) failure: Option<Failure>,
}

impl RequestLabels {
    /// Whether the service answered that it failed.
    fn is_server_error(&self) -> bool {
        self.status.is_some_and(|status| status >= 500)
    }
}

impl LabelSet for RequestLabels {
    fn labels(self, route: &str) -> Vec<Label> {
        let mut labels = vec![
            Label::new(label::HTTP_REQUEST_METHOD, self.method.as_str()),
            Label::new(label::URL_SCHEME, self.scheme.as_str()),
            Label::new(label::HTTP_ROUTE, route.to_owned()),
        ];
        if let Some(status) = self.status {
            labels.push(Label::new(label::HTTP_RESPONSE_STATUS_CODE, status.to_string()));
        }
        if let Some(status) = self.status.filter(|_| self.is_server_error()) {
            labels.push(Label::new(label::ERROR_TYPE, status.to_string()));
        } else if let Some(failure) = self.failure {
            labels.push(Label::new(label::ERROR_TYPE, failure.as_str()));
        }
        labels
    }

    fn folded(self) -> Self {
        let failure = match self.failure {
            _ if self.is_server_error() => Some(Failure::Any),
            // A client that went away is not the service's failure, so it must not end among those.
            None | Some(Failure::Cancelled) => self.failure,
            Some(_) => Some(Failure::Any),
        };
        Self { method: KnownMethod::OTHER, scheme: Scheme::Http, status: None, failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_indices_are_those_methods() {
        assert_eq!(KnownMethod::HEAD, KnownMethod::of(&Method::HEAD));
        assert_eq!(KnownMethod::CONNECT, KnownMethod::of(&Method::CONNECT));
        assert_eq!(KnownMethod::OTHER, KnownMethod::of(&Method::from_bytes(b"BREW").unwrap()));
        assert_eq!(KnownMethod::of(&Method::PATCH).as_str(), "PATCH");
    }

    #[test]
    fn the_overflow_keeps_apart_what_failed_and_who_went_away() {
        let get = KnownMethod::of(&Method::GET);
        let error = |status, failure| {
            let labels =
                RequestLabels { method: get, scheme: Scheme::Https, status, failure }.folded().labels("_other");
            assert!(!labels.iter().any(|label| label.key() == label::HTTP_RESPONSE_STATUS_CODE));
            labels.iter().find(|label| label.key() == label::ERROR_TYPE).map(|label| label.value().to_owned())
        };
        assert_eq!(error(Some(200), None), None);
        assert_eq!(error(Some(404), None), None);
        for (status, failure) in [(None, Failure::Cancelled), (Some(200), Failure::Cancelled)] {
            assert_eq!(error(status, Some(failure)).as_deref(), Some("cancelled"));
        }
        for (status, failure) in [
            (Some(500), None),
            (Some(503), Some(Failure::Cancelled)),
            (None, Some(Failure::Panic)),
            (Some(200), Some(Failure::Body)),
            (None, Some(Failure::Service)),
        ] {
            assert_eq!(error(status, failure).as_deref(), Some(label::OTHER_METHOD), "{status:?} {failure:?}");
        }
    }
}

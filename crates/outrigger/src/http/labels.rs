//! The labels of a request, as types with few values.

use ::http::StatusCode;
use ::metrics::Label;
use outrigger_semconv::label;

use super::custom::{CustomIndices, CustomValues};
use super::grpc::GrpcStatus;
use crate::message::KnownMethod;
use crate::series::LabelSet;

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

/// A status code, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Status(u16);

impl Status {
    /// What nginx writes into its log for it.
    const CLIENT_LEFT: Self = Self(499);

    pub(super) fn code(code: StatusCode) -> Self {
        Self(code.as_u16())
    }

    pub(super) fn class_of(code: StatusCode) -> Self {
        Self::code(code).class()
    }

    fn class(self) -> Self {
        if self.is_class() { self } else { Self(self.0 / 100) }
    }

    fn is_server_error(self) -> bool {
        self.class().0 >= 5
    }

    fn is_class(self) -> bool {
        self.0 < 100
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.0, if self.is_class() { "xx" } else { "" })
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
    /// In the order of their numbers.
    const ALL: [Self; 5] = [Self::Cancelled, Self::Panic, Self::Body, Self::Service, Self::Any];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Body => "body_error",
            Self::Service => "service_error",
            Self::Any => label::OTHER_METHOD,
        }
    }
}

/// What came of a request: all that tells the series of one endpoint apart.
///
/// Eight bytes without a gap, so that two are compared at once: an endpoint looks for each outcome among those that it
/// has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// 0 is none.
    status: u16,
    /// 0 is none, else one more than the [`Failure`].
    failure: u8,
    /// 0 is none, else one more than the code.
    grpc: u8,
    pub(super) custom: CustomIndices,
}

impl Outcome {
    /// Of a request that has just begun.
    pub(super) const NONE: Self = Self { status: 0, failure: 0, grpc: 0, custom: CustomIndices::NONE };

    pub(super) fn set_status(&mut self, Status(code): Status) {
        self.status = code;
    }

    pub(super) fn set_failure(&mut self, failure: Option<Failure>) {
        self.failure = failure.map_or(0, |failure| failure as u8 + 1);
    }

    pub(super) fn set_grpc(&mut self, GrpcStatus(code): GrpcStatus) {
        self.grpc = code + 1;
    }

    pub(super) fn status(self) -> Option<Status> {
        (self.status != 0).then_some(Status(self.status))
    }

    pub(super) fn failure(self) -> Option<Failure> {
        Failure::ALL.get(usize::from(self.failure).checked_sub(1)?).copied()
    }

    pub(super) fn grpc(self) -> Option<GrpcStatus> {
        self.grpc.checked_sub(1).map(GrpcStatus)
    }
}

/// The labels beside the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestLabels {
    pub(super) method: KnownMethod,
    pub(super) scheme: Scheme,
    pub(super) status: Option<Status>,
    pub(super) failure: Option<Failure>,
    pub(super) grpc: Option<GrpcStatus>,
    pub(super) custom: CustomValues,
}

impl RequestLabels {
    /// What the service failed with, if it did; a client that left is not the service's failure.
    fn error_type(&self) -> Option<String> {
        let Self { status, failure, grpc, .. } = *self;
        let server_error = status.filter(|status| status.is_server_error()).map(|status| status.to_string());
        server_error
            .or_else(|| failure.map(|failure| failure.as_str().to_owned()))
            .or_else(|| grpc.and_then(GrpcStatus::server_error).map(str::to_owned))
    }
}

impl LabelSet for RequestLabels {
    fn labels(self, route: &str) -> Vec<Label> {
        let mut labels = vec![
            Label::new(label::HTTP_REQUEST_METHOD, self.method.as_str()),
            Label::new(label::URL_SCHEME, self.scheme.as_str()),
            Label::new(label::HTTP_ROUTE, route.to_owned()),
        ];
        labels.extend(self.status.map(|status| Label::new(label::HTTP_RESPONSE_STATUS_CODE, status.to_string())));
        labels.extend(self.error_type().map(|error| Label::new(label::ERROR_TYPE, error)));
        labels.extend(self.grpc.map(|status| Label::new(label::RPC_GRPC_STATUS_CODE, status.to_string())));
        labels.extend(self.custom.labels());
        labels
    }

    fn folded(self) -> Self {
        let failure = match self.failure {
            // A client that went away is not the service's failure, so it must not end among those.
            Some(Failure::Cancelled) if !self.status.is_some_and(Status::is_server_error) => Some(Failure::Cancelled),
            _ => self.error_type().map(|_| Failure::Any),
        };
        let custom = CustomValues::default();
        Self { method: KnownMethod::OTHER, scheme: Scheme::Http, status: None, failure, grpc: None, custom }
    }
}

/// The labels of the classic names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClassicLabels {
    method: KnownMethod,
    status: Status,
}

impl From<RequestLabels> for ClassicLabels {
    fn from(labels: RequestLabels) -> Self {
        let status = labels.status.unwrap_or(match labels.failure {
            Some(Failure::Cancelled) => Status::CLIENT_LEFT,
            _ => Status::code(StatusCode::INTERNAL_SERVER_ERROR),
        });
        Self { method: labels.method, status }
    }
}

impl LabelSet for ClassicLabels {
    fn labels(self, route: &str) -> Vec<Label> {
        vec![
            Label::new(label::METHOD, self.method.as_str()),
            Label::new(label::ENDPOINT, route.to_owned()),
            Label::new(label::STATUS, self.status.to_string()),
        ]
    }

    fn folded(self) -> Self {
        Self { method: KnownMethod::OTHER, status: self.status.class() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::Method;

    fn labels_of(status: Option<Status>, failure: Option<Failure>, grpc: Option<u8>) -> RequestLabels {
        let (method, scheme) = (KnownMethod::of(&Method::GET), Scheme::Https);
        let grpc = grpc.map(GrpcStatus::of);
        RequestLabels { method, scheme, status, failure, grpc, custom: CustomValues::default() }
    }

    fn status(code: u16) -> Status {
        Status::code(StatusCode::from_u16(code).unwrap())
    }

    fn value(labels: &[Label], name: &str) -> Option<String> {
        labels.iter().find(|label| label.key() == name).map(|label| label.value().to_owned())
    }

    #[test]
    fn an_outcome_is_small_and_gives_back_what_it_was_told() {
        assert_eq!(size_of::<Outcome>(), 8);
        assert_eq!((Outcome::NONE.status(), Outcome::NONE.failure(), Outcome::NONE.grpc()), (None, None, None));
        for failure in Failure::ALL {
            let mut outcome = Outcome::NONE;
            outcome.set_failure(Some(failure));
            outcome.set_grpc(GrpcStatus::of(0));
            outcome.set_status(status(100));
            assert_eq!(outcome.failure(), Some(failure));
            assert_eq!(outcome.grpc(), Some(GrpcStatus::of(0)));
            assert_eq!(outcome.status(), Some(status(100)));
        }
    }

    #[test]
    fn failures_have_a_type() {
        let error = |status: Option<Status>, failure, grpc| {
            value(&labels_of(status, failure, grpc).labels("/"), label::ERROR_TYPE)
        };
        let code = |code| Some(status(code));
        for (status, failure, grpc, expected) in [
            (code(200), None, None, None),
            (code(404), None, None, None),
            (code(503), None, None, Some("503")),
            (Some(status(503).class()), None, None, Some("5xx")),
            (Some(status(404).class()), None, None, None),
            (code(503), Some(Failure::Cancelled), None, Some("503")),
            (code(200), Some(Failure::Cancelled), None, Some("cancelled")),
            (None, Some(Failure::Panic), None, Some("panic")),
            (code(200), None, Some(0), None),
            (code(200), None, Some(5), None), // not found: the client's error
            (code(200), None, Some(14), Some("UNAVAILABLE")),
            (code(200), Some(Failure::Body), Some(0), Some("body_error")),
        ] {
            assert_eq!(error(status, failure, grpc).as_deref(), expected, "{status:?} {failure:?} {grpc:?}");
        }
    }

    #[test]
    fn the_overflow_keeps_apart_what_failed_and_who_went_away() {
        let error = |status: Option<u16>, failure, grpc| {
            let labels = labels_of(status.map(self::status), failure, grpc).folded().labels("_other");
            assert_eq!(value(&labels, label::HTTP_RESPONSE_STATUS_CODE), None);
            assert_eq!(value(&labels, label::RPC_GRPC_STATUS_CODE), None);
            value(&labels, label::ERROR_TYPE)
        };
        assert_eq!(error(Some(200), None, None), None);
        assert_eq!(error(Some(404), None, None), None);
        assert_eq!(error(Some(200), None, Some(3)), None);
        for (status, failure) in [(None, Failure::Cancelled), (Some(200), Failure::Cancelled)] {
            assert_eq!(error(status, Some(failure), None).as_deref(), Some("cancelled"));
        }
        for (status, failure, grpc) in [
            (Some(500), None, None),
            (Some(503), Some(Failure::Cancelled), None),
            (None, Some(Failure::Panic), None),
            (Some(200), Some(Failure::Body), None),
            (None, Some(Failure::Service), None),
            (Some(200), None, Some(13)),
        ] {
            assert_eq!(error(status, failure, grpc).as_deref(), Some(label::OTHER_METHOD), "{status:?} {failure:?}");
        }
    }

    #[test]
    fn classic_labels_have_a_status_always() {
        let status = |status: Option<u16>, failure| {
            let labels = ClassicLabels::from(labels_of(status.map(self::status), failure, None));
            value(&labels.labels("/"), label::STATUS)
        };
        assert_eq!(status(Some(201), None).as_deref(), Some("201"));
        assert_eq!(status(Some(200), Some(Failure::Cancelled)).as_deref(), Some("200"));
        assert_eq!(status(None, Some(Failure::Cancelled)).as_deref(), Some("499"));
        assert_eq!(status(None, Some(Failure::Panic)).as_deref(), Some("500"));
        let folded = ClassicLabels::from(labels_of(Some(self::status(404)), None, None)).folded();
        assert_eq!(value(&folded.labels("_other"), label::STATUS).as_deref(), Some("4xx"));
    }
}

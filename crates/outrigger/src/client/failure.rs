//! Why a call failed, read from the types of an error and its sources.

use std::any::Any;
use std::error::Error;
use std::io::{self, ErrorKind};

use hyper_util::client::legacy;
use outrigger_semconv::label;

/// How a call failed, apart from what its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Failure {
    // In rising order of what they say: of the links of an error's chain, the greatest counts.
    Request,
    Closed,
    Connect,
    Timeout,
    Body,
    Cancelled,
    Panic,
    /// A failure in the overflow series.
    Any,
}

impl Failure {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request_error",
            Self::Closed => "connection_closed",
            Self::Connect => "connect_error",
            Self::Timeout => "timeout",
            Self::Body => "body_error",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Any => label::OTHER_METHOD,
        }
    }
}

/// The types of errors that the program named.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Sees the service's error as one, if it is of the type that was named.
    pub(super) service: Option<AsError>,
    pub(super) timeout: Option<IsTimeout>,
}

type AsError = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;
type IsTimeout = fn(&(dyn Error + 'static)) -> bool;

impl Known {
    /// The failure of a call that got no response.
    pub(super) fn of_call(self, error: &dyn Any) -> Failure {
        let named = self.service.and_then(|service| service(error));
        named.or_else(|| as_error(error)).map_or(Failure::Request, |error| self.of_chain(error))
    }

    /// The failure of a response's body.
    pub(super) fn of_body(self, error: &dyn Any) -> Failure {
        match self.of_call(error) {
            Failure::Timeout => Failure::Timeout,
            _ => Failure::Body,
        }
    }

    fn of_chain(self, error: &(dyn Error + 'static)) -> Failure {
        let mut found = Failure::Request;
        let mut next = Some(error);
        for _ in 0..LONGEST_CHAIN {
            let Some(error) = next else { break };
            found = found.max(self.of_link(error));
            next = inner(error).or_else(|| error.source());
        }
        found
    }

    fn of_link(self, error: &(dyn Error + 'static)) -> Failure {
        let named = self.timeout.is_some_and(|is_timeout| is_timeout(error));
        if named || error.is::<tower::timeout::error::Elapsed>() || error.is::<tokio::time::error::Elapsed>() {
            return Failure::Timeout;
        }
        #[cfg(feature = "reqwest-middleware")]
        if error.downcast_ref::<::reqwest::Error>().is_some_and(::reqwest::Error::is_timeout) {
            return Failure::Timeout;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return of_io(error.kind());
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return match error {
                error if error.is_timeout() => Failure::Timeout,
                error if error.is_incomplete_message() || error.is_closed() => Failure::Closed,
                _ => Failure::Request,
            };
        }
        match error.downcast_ref::<legacy::Error>() {
            Some(error) if error.is_connect() => Failure::Connect,
            _ => Failure::Request,
        }
    }
}

fn of_io(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::TimedOut => Failure::Timeout,
        ErrorKind::ConnectionRefused
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => Failure::Connect,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => Failure::Closed,
        _ => Failure::Request,
    }
}

/// Sees a value as the error that it is, if its type is one that clients commonly have.
///
/// A bound would be simpler, but there is none that both errors and boxed errors satisfy.
fn as_error(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    if let Some(error) = error.downcast_ref::<legacy::Error>() {
        return Some(error);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return Some(error);
    }
    #[cfg(feature = "reqwest-middleware")]
    if let Some(error) = super::reqwest::as_error(error) {
        return Some(error);
    }
    error.downcast_ref::<io::Error>().map(|error| error as _)
}

/// The error that another one wraps without calling it its source: that one's source is then given instead.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    #[cfg(feature = "reqwest-middleware")]
    if let Some(inner) = super::reqwest::inner(error) {
        return Some(inner);
    }
    error.downcast_ref::<io::Error>()?.get_ref().map(|inner| inner as _)
}

/// Links of an error's chain that are looked at. An error may be its own source.
const LONGEST_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Own(io::Error);

    impl fmt::Display for Own {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("timeout, or so the text says")
        }
    }

    impl Error for Own {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    /// Its own source, without an end.
    #[derive(Debug)]
    struct Circular;

    impl fmt::Display for Circular {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }

    impl Error for Circular {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    fn boxed(error: impl Error + Send + Sync + 'static) -> Box<dyn Error + Send + Sync> {
        Box::new(error)
    }

    #[test]
    fn types_decide_and_not_texts() {
        let known = Known::default();
        let cases = [
            (ErrorKind::TimedOut, Failure::Timeout),
            (ErrorKind::ConnectionRefused, Failure::Connect),
            (ErrorKind::NetworkUnreachable, Failure::Connect),
            (ErrorKind::ConnectionReset, Failure::Closed),
            (ErrorKind::BrokenPipe, Failure::Closed),
            (ErrorKind::InvalidData, Failure::Request),
        ];
        for (kind, failure) in cases {
            assert_eq!(known.of_call(&io::Error::from(kind)), failure);
            assert_eq!(known.of_call(&boxed(io::Error::from(kind))), failure);
            assert_eq!(known.of_call(&boxed(Own(kind.into()))), failure, "as a source");
            assert_eq!(known.of_call(&io::Error::other(Own(kind.into()))), failure, "within an io::Error");
            assert_eq!(known.of_call(&Own(kind.into())), Failure::Request, "of a type that nobody named");
            let named = Known { service: Some(|error| Some(error.downcast_ref::<Own>()? as _)), ..known };
            assert_eq!(named.of_call(&Own(kind.into())), failure, "of a type that was named");
        }
        let own = boxed(Own(ErrorKind::ConnectionRefused.into()));
        let named = Known { timeout: Some(|error| error.is::<Own>()), ..known };
        assert_eq!(named.of_call(&own), Failure::Timeout, "it was said to be one");
        assert_eq!(known.of_call(&boxed(tower::timeout::error::Elapsed::new())), Failure::Timeout);
        assert_eq!(known.of_call(&"a timeout"), Failure::Request);
        assert_eq!(known.of_body(&io::Error::from(ErrorKind::TimedOut)), Failure::Timeout);
        assert_eq!(known.of_body(&io::Error::from(ErrorKind::ConnectionReset)), Failure::Body);
        assert_eq!(known.of_call(&boxed(Circular)), Failure::Request, "and it ends");
        assert_eq!(known.of_call(&io::Error::other(Circular)), Failure::Request, "and it ends");
    }
}

//! Finding the address and binding it, without ever failing the service.

use std::env;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use outrigger_semconv::library;
use tokio::net::{TcpListener, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::phase::{self, Phase};
use super::token;
use super::{AdminListener, serve};
use crate::Metrics;
use crate::metrics::register_counter;

/// Where to listen, or why that cannot be read.
pub(super) struct Address(Result<Place, String>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Socket(SocketAddr),
    /// `host:port`, whose addresses are looked up at each attempt: a resolver may be down when a machine starts.
    Name(String),
}

impl Address {
    /// The caller's choice, else the environment's, else the default.
    pub(super) fn chosen(given: Option<SocketAddr>) -> Self {
        match given {
            Some(address) => Self(Ok(Place::Socket(address))),
            None => Self::from_variable(env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned())),
        }
    }

    fn from_variable(value: Option<String>) -> Self {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Self(Ok(Place::Socket(DEFAULT)));
        };
        if let Ok(address) = value.parse() {
            return Self(Ok(Place::Socket(address)));
        }
        let is_name =
            value.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        Self(if is_name {
            Ok(Place::Name(value))
        } else {
            Err(format!("{VARIABLE}={value:?} is no address to listen on: write host:port, such as {DEFAULT}"))
        })
    }
}

impl Place {
    async fn bind(&self) -> io::Result<TcpListener> {
        let name = match self {
            Self::Socket(address) => return bind(*address),
            Self::Name(name) => name,
        };
        let mut last = io::Error::other("the host has no address");
        for address in lookup_host(name).await? {
            match bind(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// What is served, and to whom.
pub(super) struct Served {
    pub(super) router: Router,
    pub(super) has_token: bool,
}

pub(super) fn serve(metrics: Metrics, address: Address, served: Served, sender: watch::Sender<Phase>) -> AdminListener {
    let (bound_sender, bound) = watch::channel(None);
    // There at zero, so that its first rise can be seen.
    count_failure(&metrics, 0);

    let failed = match (address.0, Handle::try_current()) {
        (Ok(place), Ok(runtime)) => {
            // The first try is made here, so that the port is known to the caller at once. A name has to be waited for.
            let first = match &place {
                Place::Socket(address) => {
                    Some(bind(*address).inspect(|listener| announce(listener, &bound_sender, served.has_token)))
                }
                Place::Name(_) => None,
            };
            runtime.spawn(run(metrics, place, first, served, bound_sender, sender.subscribe()));
            return AdminListener::new(bound, sender);
        }
        (Err(unreadable), _) => unreadable,
        (Ok(_), Err(_)) => "it was started outside a Tokio runtime: call serve_admin() within one".to_owned(),
    };
    count_failure(&metrics, 1);
    tracing::error!("the admin listener does not run: {failed}");
    AdminListener::new(bound, sender)
}

/// Serves once the address can be bound; returns when told to stop.
async fn run(
    metrics: Metrics,
    place: Place,
    mut first: Option<io::Result<TcpListener>>,
    served: Served,
    // Gone when this has ended, which is how the end is told.
    bound: watch::Sender<Option<SocketAddr>>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut pause = FIRST_PAUSE;
    let listener = loop {
        let attempt = match first.take() {
            Some(first) => first,
            None => tokio::select! {
                attempt = place.bind() => attempt,
                () = phase::reached(&mut phase, Phase::Stopping) => return,
            },
        };
        let error = match attempt {
            Ok(listener) => break listener,
            Err(error) => error,
        };
        count_failure(&metrics, 1);
        tracing::error!(
            error = &error as &dyn std::error::Error,
            address = %place,
            "the admin listener could not bind; the service goes on and it tries again in {pause:?}. \
             Free the port, or set {VARIABLE} to another address"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = phase::reached(&mut phase, Phase::Stopping) => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    announce(&listener, &bound, served.has_token);
    serve::serve(listener, served.router, phase).await;
    bound.send_replace(None);
}

/// Binding does not wait for anything, so it needs no `await`.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn announce(listener: &TcpListener, bound: &watch::Sender<Option<SocketAddr>>, has_token: bool) {
    let Ok(address) = listener.local_addr() else { return };
    if bound.send_replace(Some(address)).is_some() {
        return;
    }
    tracing::info!(%address, "the admin listener serves /metrics");
    if !has_token && !address.ip().to_canonical().is_loopback() {
        tracing::warn!(
            %address,
            "the admin listener can be reached from other machines and asks nobody for a token: set {}, \
             or see to it that only those reach it who may read everything",
            token::VARIABLE
        );
    }
}

fn count_failure(metrics: &Metrics, failures: u64) {
    metrics
        .resolve(|recorder| register_counter(recorder, &library::ADMIN_BIND_FAILURES, Vec::new()))
        .handle
        .increment(failures);
}

pub(super) const VARIABLE: &str = "OUTRIGGER_ADMIN_LISTEN";
/// The port that OpenTelemetry's Prometheus exporters use, on loopback only.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_read_or_the_error_says_how_to_write_it() {
        let address = |value: Option<&str>| Address::from_variable(value.map(str::to_owned)).0;
        let socket = |text: &str| Ok(Place::Socket(text.parse().unwrap()));
        assert_eq!(address(None), Ok(Place::Socket(DEFAULT)));
        assert_eq!(address(Some("")), Ok(Place::Socket(DEFAULT)));
        assert_eq!(address(Some("127.0.0.1:0")), socket("127.0.0.1:0"));
        assert_eq!(address(Some("[::1]:9464")), socket("[::1]:9464"));
        // Whether there is such a host is asked later.
        assert_eq!(address(Some("nowhere.invalid:1")), Ok(Place::Name("nowhere.invalid:1".to_owned())));
        for bad in ["9464", ":9464", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000"] {
            let error = address(Some(bad)).unwrap_err();
            assert!(error.contains(VARIABLE) && error.contains(bad) && error.contains("host:port"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_without_holding_up_the_caller() {
        let address = Address::from_variable(Some("localhost:0".to_owned()));
        let served = Served { router: Router::new(), has_token: true };
        let listener = serve(Metrics::default(), address, served, watch::channel(Phase::Serving).0);
        assert_eq!(listener.local_addr(), None, "nothing has run yet on this thread");
        assert!(listener.bound().await.is_some_and(|address| address.ip().is_loopback()));
        listener.shutdown().await;
    }
}

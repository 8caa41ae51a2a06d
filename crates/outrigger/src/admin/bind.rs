//! Finding the address and binding it, without ever failing the service.

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use axum::Router;
use outrigger_semconv::library;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::phase::{self, Phase};
use super::token;
use super::{AdminListener, serve};
use crate::Metrics;
use crate::metrics::register_counter;

/// Where to listen: an address, or why there is none.
pub(super) struct Address(Result<SocketAddr, String>);

impl Address {
    /// The caller's choice, else the environment's, else the default.
    pub(super) fn chosen(given: Option<SocketAddr>) -> Self {
        match given {
            Some(address) => Self(Ok(address)),
            None => Self::from_variable(env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned())),
        }
    }

    fn from_variable(value: Option<String>) -> Self {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Self(Ok(DEFAULT));
        };
        let unreadable = |why: String| {
            format!("{VARIABLE}={value:?} is no address to listen on ({why}): write host:port, such as {DEFAULT}")
        };
        Self(match value.to_socket_addrs() {
            Ok(mut addresses) => addresses.next().ok_or_else(|| unreadable("the host has no address".to_owned())),
            Err(error) => Err(unreadable(error.to_string())),
        })
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
        (Ok(address), Ok(runtime)) => {
            // The first try is made here, so that the port is known to the caller at once.
            let first = bind(address).inspect(|listener| announce(listener, &bound_sender, served.has_token));
            runtime.spawn(run(metrics, address, first, served, bound_sender, sender.subscribe()));
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
    address: SocketAddr,
    first: io::Result<TcpListener>,
    served: Served,
    // Gone when this has ended, which is how the end is told.
    bound: watch::Sender<Option<SocketAddr>>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut attempt = first;
    let mut pause = FIRST_PAUSE;
    let listener = loop {
        let error = match attempt {
            Ok(listener) => break listener,
            Err(error) => error,
        };
        count_failure(&metrics, 1);
        tracing::error!(
            error = &error as &dyn std::error::Error,
            %address,
            "the admin listener could not bind; the service goes on and it tries again in {pause:?}. \
             Free the port, or set {VARIABLE} to another address"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = phase::reached(&mut phase, Phase::Stopping) => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        attempt = bind(address);
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
        assert_eq!(address(None), Ok(DEFAULT));
        assert_eq!(address(Some("")), Ok(DEFAULT));
        assert_eq!(address(Some("127.0.0.1:0")), Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
        assert_eq!(address(Some("[::1]:9464")).map(|address| address.port()), Ok(9464));
        for bad in ["9464", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000"] {
            let error = address(Some(bad)).unwrap_err();
            assert!(error.contains(VARIABLE) && error.contains(bad) && error.contains("host:port"), "{error}");
        }
    }
}

//! Serving a router with the bounds that a listener needs and `axum::serve` does not offer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::phase::{self, Phase};

/// Accepts until told to stop, then lets the answers under way end.
pub(super) async fn serve(listener: TcpListener, router: Router, mut phase: watch::Receiver<Phase>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // Wait for room first: what is not accepted stays in the kernel's short queue.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        tokio::select! {
            (accepted, slot) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = serve_connection(stream, router.clone(), phase.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Out of descriptors, as a rule: a pause keeps this from spinning.
                    tracing::warn!(error = &error as &dyn std::error::Error, "the admin listener could not accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            // Ended tasks are collected, so that the set stays as small as the connections are many.
            Some(_) = connections.join_next() => {}
            () = phase::reached(&mut phase, Phase::Stopping) => break,
        }
    }
    drop(listener);
    #[cfg(feature = "profile")]
    crate::profile::end_early();
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve_connection(stream: TcpStream, router: Router, mut phase: watch::Receiver<Phase>) {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));

    // A client's errors are the client's: there is nobody to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection.as_mut() => return,
                () = sleep(LAST_ANSWER) => return,
                () = phase::reached(&mut phase, Phase::Stopping) => {}
            }
        }
        () = phase::reached(&mut phase, Phase::Stopping) => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(GRACE, connection).await;
}

const CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// After this, a connection ends with the answer that is under way.
const LIFETIME: Duration = Duration::from_secs(300);
/// For that answer, a profile of a minute for one. A client that does not read it holds its place no longer.
const LAST_ANSWER: Duration = Duration::from_secs(90);
const GRACE: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const BUFFER_BYTES: usize = 64 * 1024;

//! Name lookups that hold nothing up.
//!
//! The system's lookup blocks its thread, for many seconds where no name server answers, and cannot be called off. On
//! Tokio's blocking pool it would keep the runtime from ending, and with it the program; a thread of its own does not.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{thread, vec};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::{Semaphore, oneshot};
use tower_service::Service;

/// The system's resolver (`getaddrinfo`), one lookup at a time.
#[derive(Clone)]
pub(super) struct Resolver {
    turn: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let turn = Arc::clone(&self.turn);
        Box::pin(async move {
            let permit = turn.acquire_owned().await.map_err(io::Error::other)?;
            let (found, answer) = oneshot::channel();
            let look_up = move || {
                // Held by the thread, not by who waits: a lookup that nobody waits for any more still takes its turn.
                let _permit = permit;
                // The port is the connector's to fill in.
                let _ = found.send((name.as_str(), 0).to_socket_addrs());
            };
            thread::Builder::new().name("outrigger-dns".to_owned()).spawn(look_up)?;
            answer.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_found() {
        let found: Vec<_> = Resolver::new().call("localhost".parse().unwrap()).await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}

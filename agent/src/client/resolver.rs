//! Name lookups, a few at a time.
//!
//! The system's lookup blocks its thread, for many seconds where no name server answers, and cannot be called off: the
//! thread stays busy after the scrape that asked has given up. Unbounded, a few dead names would take the threads that host
//! and processes are read on.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

/// Lookups that may block a thread at once; more wait, for as long as who asked has patience.
const MAX_LOOKUPS: usize = 4;

/// The system's resolver (`getaddrinfo`) with a bound.
#[derive(Clone)]
pub(crate) struct Resolver {
    lookups: Arc<Semaphore>,
    look_up: fn(&str) -> io::Result<vec::IntoIter<SocketAddr>>,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        // The port is the connector's to fill in.
        Self { lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)), look_up: |name| (name, 0).to_socket_addrs() }
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
        let (lookups, look_up) = (Arc::clone(&self.lookups), self.look_up);
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // Held by the thread, not by who waits for it: a lookup nobody waits for any more still takes its place.
                let _permit = permit;
                look_up(name.as_str())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    /// While a test holds this, no name server answers.
    static SILENCE: Mutex<()> = Mutex::new(());

    #[test]
    fn dead_names_leave_threads_to_others() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).max_blocking_threads(MAX_LOOKUPS + 1).enable_all();
        let runtime = runtime.build().unwrap();
        let look_up = |_: &str| {
            drop(SILENCE.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))].into_iter())
        };
        let silence = SILENCE.lock().unwrap();
        let mut resolver = Resolver { look_up, ..Resolver::new() };
        runtime.block_on(async {
            let lookups: Vec<_> = (0..MAX_LOOKUPS * 4)
                .map(|index| tokio::spawn(resolver.call(format!("dead-{index}").parse().unwrap())))
                .collect();
            let all_busy = async {
                while resolver.lookups.available_permits() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), all_busy).await.expect("lookups are counted");
            // Scrapes that give up: the threads of those that were looked up are still busy, and stay counted.
            for lookup in lookups {
                lookup.abort();
                assert!(lookup.await.unwrap_err().is_cancelled());
            }
            assert_eq!(resolver.lookups.available_permits(), 0);
            let other = tokio::task::spawn_blocking(|| "host");
            let other = tokio::time::timeout(Duration::from_secs(10), other).await;
            // Before anything can fail: the runtime waits for its threads when it is dropped.
            drop(silence);
            assert_eq!(other.expect("a thread is left").unwrap(), "host");
            assert_eq!(resolver.call("back".parse().unwrap()).await.unwrap().count(), 1);
        });
    }

    #[tokio::test]
    async fn names_are_found() {
        let found: Vec<_> = Resolver::new().call("localhost".parse().unwrap()).await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}

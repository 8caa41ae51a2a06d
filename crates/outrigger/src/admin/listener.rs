//! The handle on a running listener.

use std::net::SocketAddr;

use tokio::sync::watch;

use super::phase::{self, Phase};

/// A running admin listener. A cheap clone; dropping it leaves the listener running.
#[derive(Clone, Debug)]
pub struct AdminListener {
    bound: watch::Receiver<Option<SocketAddr>>,
    phase: watch::Sender<Phase>,
}

impl AdminListener {
    pub(super) fn new(bound: watch::Receiver<Option<SocketAddr>>, phase: watch::Sender<Phase>) -> Self {
        Self { bound, phase }
    }

    /// Where it listens, or `None` while it could not bind.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        *self.bound.borrow()
    }

    /// Waits until it is bound; `None` when it never will be, because its address cannot be read.
    pub async fn bound(&self) -> Option<SocketAddr> {
        let mut bound = self.bound.clone();
        bound.wait_for(Option::is_some).await.ok().and_then(|address| *address)
    }

    /// Says "not ready" from now on, whatever the checks say, so that a load balancer sends no more requests. Everything
    /// else is served as before.
    ///
    /// Call it as soon as the service is told to end, and stop accepting a few seconds later:
    /// see [the end](super#the-end).
    pub fn drain(&self) {
        phase::advance(&self.phase, Phase::Draining);
    }

    /// Stops accepting, lets the answers under way end for at most five seconds, and returns when the port is free. Checks
    /// that are under way are dropped.
    pub async fn shutdown(&self) {
        phase::advance(&self.phase, Phase::Stopping);
        // It is gone when the listener has ended.
        let _ = self.bound.clone().wait_for(|_| false).await;
    }
}

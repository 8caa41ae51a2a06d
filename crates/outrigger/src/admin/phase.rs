//! How far the listener is with ending.

use tokio::sync::watch;

/// In this order, and never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// As long as the service runs.
    Serving,
    /// The service will end: it is not ready any more, and everything else goes on.
    Draining,
    /// The listener ends.
    Stopping,
}

/// Goes on to a phase, unless it is reached already.
pub(super) fn advance(sender: &watch::Sender<Phase>, to: Phase) {
    sender.send_if_modified(|phase| {
        let is_news = *phase < to;
        *phase = to.max(*phase);
        is_news
    });
}

/// Waits until a phase is reached; for ever if the handle that could say so is gone.
pub(super) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|phase| *phase >= wanted).await.is_err() {
        std::future::pending().await
    }
}

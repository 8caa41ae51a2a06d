//! A sink for webhooks: records what it receives.

use crate::{
    http::{Request, Response, Server},
    wait::wait_for,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

const MOST_KEPT: usize = 10_000;

/// Accepts and records every request, whatever its path and method. The oldest of more than 10,000 are forgotten.
#[derive(Debug)]
pub struct WebhookSink {
    server: Server,
    status: Arc<AtomicU16>,
    requests: Arc<Mutex<VecDeque<Request>>>,
}

impl WebhookSink {
    /// Starts it; it answers 200.
    #[must_use]
    pub fn start() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let requests = Arc::new(Mutex::new(VecDeque::new()));
        let (answer, record) = (Arc::clone(&status), Arc::clone(&requests));
        let server = Server::start(move |request| {
            let mut requests = record.lock().unwrap_or_else(PoisonError::into_inner);
            if requests.len() == MOST_KEPT {
                requests.pop_front();
            }
            requests.push_back(request.clone());
            Response::plain(answer.load(Ordering::SeqCst), "")
        });
        Self { server, status, requests }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Answers with this status from now on. Requests are recorded all the same.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// All requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits for a request that `wanted` accepts, and gives it.
    ///
    /// # Panics
    /// When none comes within `deadline`.
    #[track_caller]
    pub fn wait_for(&self, deadline: Duration, what: &str, wanted: impl Fn(&Request) -> bool) -> Request {
        wait_for(deadline, what, || self.requests().into_iter().find(|request| wanted(request)))
    }
}

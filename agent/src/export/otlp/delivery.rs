//! Sending in order, from a bounded queue, with patience that has an end.
//!
//! One task sends one request after the other. What cannot be sent for now (no connection, a timeout, or one of the status
//! codes that the [protocol](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response) calls retryable) is sent again
//! after a while that doubles, with jitter, or after what `Retry-After` asks. Meanwhile the queue fills; when it is full the
//! oldest request goes and is counted. Nobody ever waits for the endpoint: not the tick, not the agent's end.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::OtlpSettings;
use super::message::Message;
use crate::client::Client;
use crate::client::pause::{Pause, retry_after};

/// The way to the OTLP endpoint.
pub(crate) struct Delivery {
    outbox: mpsc::Sender<Batch>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// An encoded request.
struct Batch {
    body: Bytes,
    points: u64,
}

/// What became of requests and points. It outlives the settings, so that a reload sets no counter back.
#[derive(Default)]
pub(crate) struct Counts {
    successes: AtomicU64,
    failures: AtomicU64,
    queue_full: AtomicU64,
    rejected: AtomicU64,
    retries_exhausted: AtomicU64,
}

/// Requests that wait: 64, or as many as fit into 32 MiB.
const MAX_BATCHES: usize = 64;
const MAX_BYTES: usize = 32 << 20;
/// Attempts for one request, about two minutes in all.
const MAX_ATTEMPTS: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The most that `Retry-After` is heeded.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The most that is read of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// How long the agent's end may take for what still waits.
const FLUSH: Duration = Duration::from_millis(60);

impl Delivery {
    /// Starts the task that sends to the endpoint and goes on counting there; `None` if there is none.
    pub(crate) fn start(settings: &OtlpSettings, client: Client, counts: Arc<Counts>) -> Option<Self> {
        let endpoint = settings.endpoint.clone()?;
        let (outbox, inbox) = mpsc::channel(MAX_BATCHES);
        let sender = Sender {
            client,
            endpoint,
            settings: settings.clone(),
            counts: Arc::clone(&counts),
            queue: Queue::default(),
            inbox,
            is_healthy: true,
        };
        Some(Self { outbox, counts, task: tokio::spawn(sender.run()) })
    }

    /// Queues a message. Never waits.
    pub(crate) fn push(&self, message: &Message) {
        if message.points == 0 {
            return;
        }
        let batch = Batch { body: message.request.encode_to_vec().into(), points: message.points };
        if self.outbox.try_send(batch).is_err() {
            self.counts.queue_full.fetch_add(message.points, Relaxed);
        }
    }

    /// Ends the delivery. What still waits gets one short chance if the endpoint is well, none if it is not.
    pub(crate) async fn stop(self) {
        drop(self.outbox);
        let task = self.task.abort_handle();
        if tokio::time::timeout(FLUSH, self.task).await.is_err() {
            task.abort();
        }
    }

    /// What is counted.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Requests by outcome.
    pub(crate) fn exports(&self) -> [(&'static str, u64); 2] {
        [("success", self.counts.successes.load(Relaxed)), ("failure", self.counts.failures.load(Relaxed))]
    }

    /// Data points that were not delivered, by reason.
    pub(crate) fn dropped(&self) -> [(&'static str, u64); 3] {
        [
            ("queue_full", self.counts.queue_full.load(Relaxed)),
            ("rejected", self.counts.rejected.load(Relaxed)),
            ("retries_exhausted", self.counts.retries_exhausted.load(Relaxed)),
        ]
    }
}

/// The task that sends.
struct Sender {
    client: Client,
    endpoint: Uri,
    settings: OtlpSettings,
    counts: Arc<Counts>,
    queue: Queue,
    inbox: mpsc::Receiver<Batch>,
    is_healthy: bool,
}

/// What one attempt came to.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Taken, except for so many points.
    Taken { rejected: u64 },
    /// Refused for good.
    Refused(String),
    /// Not now.
    Later { reason: String, after: Option<Duration> },
}

impl Sender {
    async fn run(mut self) {
        loop {
            while let Ok(batch) = self.inbox.try_recv() {
                self.queue.push(batch, &self.counts);
            }
            let batch = match self.queue.pop() {
                Some(batch) => batch,
                None => match self.inbox.recv().await {
                    Some(batch) => batch,
                    None => return,
                },
            };
            self.deliver(batch).await;
            if self.inbox.is_closed() && !self.is_healthy {
                return;
            }
        }
    }

    async fn deliver(&mut self, batch: Batch) {
        let mut pause = Pause::new(LONGEST_PAUSE, LONGEST_RETRY_AFTER);
        for _ in 0..MAX_ATTEMPTS {
            let attempt = send(self.client.clone(), self.request(&batch), self.settings.timeout);
            let outcome = self.while_filling(attempt).await;
            self.note(&outcome, batch.points);
            let Outcome::Later { after, .. } = outcome else { return };
            if self.inbox.is_closed() {
                return;
            }
            self.while_filling(tokio::time::sleep(pause.next(after))).await;
        }
        self.counts.retries_exhausted.fetch_add(batch.points, Relaxed);
    }

    /// Awaits `work` and meanwhile moves what comes in to the queue.
    async fn while_filling<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                batch = self.inbox.recv(), if !self.inbox.is_closed() || !self.inbox.is_empty() => {
                    if let Some(batch) = batch {
                        self.queue.push(batch, &self.counts);
                    }
                }
            }
        }
    }

    fn request(&self, batch: &Batch) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(&self.endpoint)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.settings.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(batch.body.clone()))
    }

    fn note(&mut self, outcome: &Outcome, points: u64) {
        let endpoint = &self.endpoint;
        let was_healthy = self.is_healthy;
        match outcome {
            Outcome::Taken { rejected } => {
                self.is_healthy = true;
                self.counts.successes.fetch_add(1, Relaxed);
                self.counts.rejected.fetch_add(*rejected, Relaxed);
                if !was_healthy {
                    tracing::info!(%endpoint, "the OTLP endpoint takes data again");
                }
            }
            Outcome::Refused(reason) => {
                self.is_healthy = false;
                self.counts.failures.fetch_add(1, Relaxed);
                self.counts.rejected.fetch_add(points, Relaxed);
                if was_healthy {
                    tracing::warn!(%endpoint, %reason, "the OTLP endpoint refuses the data");
                }
            }
            Outcome::Later { reason, .. } => {
                self.is_healthy = false;
                self.counts.failures.fetch_add(1, Relaxed);
                if was_healthy {
                    tracing::warn!(%endpoint, %reason, "the OTLP endpoint takes no data; it is tried again");
                }
            }
        }
    }
}

async fn send(client: Client, request: Result<Request<Full<Bytes>>, http::Error>, timeout: Duration) -> Outcome {
    let request = match request {
        Ok(request) => request,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let later = |reason: String| Outcome::Later { reason, after: None };
    let exchange = async {
        let response = match client.send(request).await {
            Ok(response) => response,
            Err(error) => return later(error.to_string()),
        };
        let (status, after) = (response.status(), retry_after(response.headers()));
        match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
            Ok(body) => judge(status, after, &body.to_bytes()),
            Err(error) => later(error.to_string()),
        }
    };
    let timed_out = |_| later(format!("no answer within {}", humantime::format_duration(timeout)));
    tokio::time::timeout(timeout, exchange).await.unwrap_or_else(timed_out)
}

fn judge(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Outcome {
    match status {
        status if status.is_success() => {
            // Some receivers answer with a body of their own; only a readable one can tell of points left out.
            let answer = ExportMetricsServiceResponse::decode(body).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            Outcome::Taken { rejected: u64::try_from(partial.rejected_data_points).unwrap_or_default() }
        }
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Outcome::Later { reason: format!("answered {status}"), after },
        status => Outcome::Refused(format!("answered {status}")),
    }
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl Queue {
    fn push(&mut self, batch: Batch, counts: &Counts) {
        self.bytes += batch.body.len();
        self.batches.push_back(batch);
        while self.batches.len() > MAX_BATCHES || (self.bytes > MAX_BYTES && self.batches.len() > 1) {
            let Some(oldest) = self.pop() else { return };
            counts.queue_full.fetch_add(oldest.points, Relaxed);
        }
    }

    fn pop(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.bytes -= batch.body.len();
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: usize) -> Batch {
        Batch { body: vec![0; bytes].into(), points: 1 }
    }

    #[test]
    fn the_queue_is_bounded_in_number_and_bytes_and_counts_what_goes() {
        let counts = Counts::default();
        let mut queue = Queue::default();
        for _ in 0..MAX_BATCHES + 3 {
            queue.push(batch(1), &counts);
        }
        assert_eq!((queue.batches.len(), counts.queue_full.load(Relaxed)), (MAX_BATCHES, 3));
        queue.push(batch(MAX_BYTES - 5), &counts);
        assert_eq!(queue.batches.len(), 6, "the newest stays, with as many of the others as fit");
        queue.push(batch(MAX_BYTES * 2), &counts);
        assert_eq!(queue.batches.len(), 1, "one that is too large alone is still sent");
        while queue.pop().is_some() {}
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn answers_are_judged_as_the_protocol_says() {
        let after = Some(Duration::from_secs(7));
        let rejected = ExportMetricsServiceResponse {
            partial_success: Some(opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess {
                rejected_data_points: 3,
                error_message: String::new(),
            }),
        };
        assert_eq!(judge(StatusCode::OK, None, &[]), Outcome::Taken { rejected: 0 });
        assert_eq!(judge(StatusCode::OK, None, b"not protobuf"), Outcome::Taken { rejected: 0 });
        assert_eq!(judge(StatusCode::OK, None, &rejected.encode_to_vec()), Outcome::Taken { rejected: 3 });
        for status in [429, 502, 503, 504] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(matches!(judge(status, after, &[]), Outcome::Later { after: Some(_), .. }), "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(matches!(judge(status, after, &[]), Outcome::Refused(_)), "{status}");
        }
    }
}

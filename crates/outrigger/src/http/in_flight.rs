//! The bookkeeping of one request: counted once, however it ends.

use std::sync::Arc;
use std::time::Instant;

use ::http::{HeaderMap, Request, Response, Version};

use super::endpoint::{Endpoint, Measured, More};
use super::grpc::{self, GrpcStatus};
use super::labels::{Failure, KnownMethod, Outcome, Status};
use super::site::Site;
use super::size::RequestSize;
use crate::trace::Trace;

/// A request that is being answered. Dropping it ends it, as a panic if the inner service was running, else as
/// cancelled, unless [`finish`](Self::finish) came first.
pub(super) struct InFlight {
    endpoint: Arc<Endpoint>,
    start: Instant,
    outcome: Outcome,
    /// Whether the gauge was raised.
    active: bool,
    /// Set while the inner service runs. `thread::panicking()` would not do: where the panic is caught, this is
    /// dropped after the unwinding.
    watching: bool,
    recorded: bool,
    /// gRPC needs HTTP/2: the other requests need not be asked.
    http2: bool,
    is_grpc: bool,
    first_byte_seconds: Option<f64>,
    request_size: RequestSize,
    response_bytes: u64,
    trace: Trace,
}

impl InFlight {
    /// `None` if such requests are not measured.
    pub(super) fn start<B>(site: &Site, request: &Request<B>) -> Option<Self> {
        let endpoint = site.endpoint(request)?;
        let mut outcome = Outcome::NONE;
        let labels = &endpoint.config.settings.labels;
        if !labels.is_empty() {
            outcome.custom.read(labels, request.extensions());
        }
        let active = endpoint.enter();
        Some(Self {
            endpoint,
            start: Instant::now(),
            outcome,
            active,
            watching: false,
            recorded: false,
            http2: request.version() == Version::HTTP_2,
            is_grpc: false,
            first_byte_seconds: None,
            request_size: RequestSize::Unknown,
            response_bytes: 0,
            trace: Trace::NONE,
        })
    }

    /// Runs a piece of the inner service, so that a panic in it is known as one.
    pub(super) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        self.watching = true;
        let output = run();
        self.watching = false;
        output
    }

    /// Whether bodies are measured.
    pub(super) fn wants_sizes(&self) -> bool {
        self.endpoint.config.settings.body_sizes
    }

    pub(super) fn request_size(&mut self, size: RequestSize) {
        self.request_size = size;
    }

    /// Takes what the head of the response tells.
    pub(super) fn answered<R>(&mut self, response: &Response<R>) {
        let settings = &self.endpoint.config.settings;
        let code = response.status().as_u16();
        self.outcome.status = Some(if settings.group_status { Status::class_of(code) } else { Status::code(code) });
        if settings.first_byte {
            self.first_byte_seconds = Some(self.start.elapsed().as_secs_f64());
        }
        if !settings.labels.is_empty() {
            self.outcome.custom.read(&settings.labels, response.extensions());
        }
        if self.http2 && grpc::is_grpc(response.headers()) {
            self.is_grpc = true;
            // An answer without a body has its status here.
            self.outcome.grpc = GrpcStatus::read(response.headers());
        }
        // The trace is current now; when the body ends or is dropped, it may not be.
        self.trace = Trace::current();
    }

    /// Takes what stands below the body.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if self.is_grpc {
            self.outcome.grpc = GrpcStatus::read(trailers).or(self.outcome.grpc);
        }
    }

    pub(super) fn method(&self) -> KnownMethod {
        self.endpoint.method
    }

    /// Counts bytes of the response's body.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.response_bytes = self.response_bytes.saturating_add(bytes);
    }

    /// Records the duration and the outcome; the first call counts. The request stays active until it is dropped.
    pub(super) fn finish(&mut self, failure: Option<Failure>) {
        if self.recorded {
            return;
        }
        self.recorded = true;
        let elapsed = self.start.elapsed();
        let outcome = Outcome { failure, ..self.outcome };
        let measured = Measured { seconds: elapsed.as_secs_f64(), more: self.more() };
        self.trace.scope(|| self.endpoint.record(outcome, &measured));

        if self.endpoint.config.settings.slow.is_some_and(|threshold| elapsed > threshold) {
            self.log_slow(outcome, measured.seconds);
        }
    }

    fn more(&self) -> More {
        if !self.endpoint.config.settings.wants_more() {
            return More::default();
        }
        More {
            first_byte_seconds: self.first_byte_seconds,
            request_bytes: self.request_size.bytes(),
            response_bytes: Some(self.response_bytes),
        }
    }

    #[cold]
    fn log_slow(&self, outcome: Outcome, seconds: f64) {
        let Some(suppressed) = self.endpoint.config.slow.admit(Instant::now()) else { return };
        tracing::warn!(
            target: "outrigger::http",
            method = self.endpoint.method.as_str(),
            route = &*self.endpoint.route,
            status = outcome.status.map(tracing::field::display),
            failure = outcome.failure.map(Failure::as_str),
            seconds,
            trace_id = self.trace.id(),
            suppressed,
            "slow request"
        );
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.finish(Some(if self.watching { Failure::Panic } else { Failure::Cancelled }));
        if self.active {
            self.endpoint.leave();
        }
    }
}

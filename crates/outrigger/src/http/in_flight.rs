//! The bookkeeping of one request: counted once, however it ends.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use ::http::{Extensions, HeaderMap, Request, Response, StatusCode, Version};

use super::endpoint::{Endpoint, More};
use super::grpc::{self, GrpcStatus};
use super::labels::{Failure, Outcome, Status};
use super::site::Site;
use super::size::RequestSize;
use crate::message::KnownMethod;
use crate::trace::Trace;

/// A request that is being answered. Dropping it ends it, as a panic if the inner service was running, else as
/// cancelled, unless [`finish`](Self::finish) came first.
pub(super) struct InFlight {
    endpoint: Arc<Endpoint>,
    start: Instant,
    outcome: Outcome,
    /// Whether the gauge was raised.
    active: bool,
    /// Set while the inner service is polled. `thread::panicking()` would not do: where the panic is caught, this is
    /// dropped after the unwinding.
    watching: bool,
    recorded: bool,
    /// gRPC needs HTTP/2: the other requests need not be asked.
    http2: bool,
    is_grpc: bool,
    more: MoreInFlight,
    trace: Trace,
}

/// What a request gathers for a layer that was asked for more than the duration.
struct MoreInFlight {
    request: RequestSize,
    /// The highest number while no body is watched.
    response_bytes: u64,
    /// NaN before the headers.
    first_byte_seconds: f32,
}

impl InFlight {
    /// `None` if such requests are not measured.
    #[inline(always)]
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
            more: MoreInFlight {
                request: RequestSize::UNKNOWN,
                response_bytes: u64::MAX,
                first_byte_seconds: f32::NAN,
            },
            // For a request that ends before its headers.
            trace: Trace::current(),
        })
    }

    /// Says that the inner service runs now, or no longer: dropped in between, it has panicked.
    #[inline]
    pub(super) fn watch(this: &mut Option<Self>, watching: bool) {
        if let Some(this) = this {
            this.watching = watching;
        }
    }

    /// Whether bodies are measured.
    #[inline]
    pub(super) fn wants_sizes(&self) -> bool {
        self.endpoint.wants_sizes
    }

    pub(super) fn request_size(&mut self, size: RequestSize) {
        self.more.request = size;
    }

    /// Takes what the head of the response tells.
    #[inline]
    pub(super) fn answered<R>(&mut self, response: &Response<R>) {
        self.outcome.set_status(Status::code(response.status()));
        if self.endpoint.reads_heads {
            self.read_head(response.status(), response.extensions());
        }
        if self.http2 && grpc::is_grpc(response.headers()) {
            self.is_grpc = true;
            // An answer without a body has its status here.
            self.grpc_status(response.headers());
        }
        // A span that was opened within is current now; when the body ends or is dropped, none may be.
        self.trace = Trace::current().or(self.trace);
    }

    fn read_head(&mut self, status: StatusCode, extensions: &Extensions) {
        let settings = &self.endpoint.config.settings;
        if settings.group_status {
            self.outcome.set_status(Status::class_of(status));
        }
        if settings.first_byte {
            self.more.first_byte_seconds = self.start.elapsed().as_secs_f32();
        }
        self.outcome.custom.read(&settings.labels, extensions);
    }

    /// Takes what stands below the body.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if self.is_grpc {
            self.grpc_status(trailers);
        }
    }

    fn grpc_status(&mut self, headers: &HeaderMap) {
        if let Some(status) = GrpcStatus::read(headers) {
            self.outcome.set_grpc(status);
        }
    }

    /// Whether the response is one of gRPC.
    pub(super) fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    pub(super) fn method(&self) -> KnownMethod {
        self.endpoint.method
    }

    /// The response's body is watched from here on, or known to have no bytes.
    pub(super) fn watches_body(&mut self) {
        self.more.response_bytes = 0;
    }

    /// What the response's body has says nothing.
    pub(super) fn forget_body(&mut self) {
        self.more.response_bytes = u64::MAX;
    }

    /// Counts bytes of the response's body, if it is watched.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.more.response_bytes = self.more.response_bytes.saturating_add(bytes);
    }

    /// Records the duration and the outcome; the first call counts. The request stays active until it is dropped.
    #[inline]
    pub(super) fn finish(&mut self, failure: Option<Failure>) {
        if self.recorded {
            return;
        }
        self.recorded = true;
        self.outcome.set_failure(failure);
        let seconds = self.start.elapsed().as_secs_f64();
        self.trace.scope(|| self.endpoint.record(self.outcome, seconds, || self.more()));
        if seconds > self.endpoint.slow_seconds {
            self.log_slow(seconds);
        }
    }

    fn more(&self) -> More {
        More {
            first_byte_seconds: Some(f64::from(self.more.first_byte_seconds)).filter(|seconds| !seconds.is_nan()),
            request_bytes: self.more.request.bytes(),
            response_bytes: (self.more.response_bytes != u64::MAX).then_some(self.more.response_bytes),
        }
    }

    #[cold]
    fn log_slow(&self, seconds: f64) {
        let Some(suppressed) = self.endpoint.config.slow.admit(Instant::now()) else { return };
        tracing::warn!(
            target: "outrigger::http",
            method = self.endpoint.method.as_str(),
            route = &*self.endpoint.route,
            status = self.outcome.status().map(tracing::field::display),
            failure = self.outcome.failure().map(Failure::as_str),
            seconds,
            trace_id = self.trace.id(),
            suppressed,
            "slow request"
        );
    }
}

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        if !self.recorded {
            // Before the first poll nothing is between here and a panic.
            let panicked = self.watching || thread::panicking();
            self.finish(Some(if panicked { Failure::Panic } else { Failure::Cancelled }));
        }
        if self.active {
            self.endpoint.leave();
        }
    }
}

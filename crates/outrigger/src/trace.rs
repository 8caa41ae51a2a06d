//! The trace that the work of this moment belongs to.
//!
//! It is that of OpenTelemetry's current context. A span of `tracing` is that while it is entered, when the subscriber
//! has the layer of `tracing-opentelemetry`, which activates contexts unless told otherwise.

#[cfg(feature = "exemplars")]
use opentelemetry::{Context, trace::TraceContextExt};
#[cfg(feature = "exemplars")]
use outrigger_recorder::exemplar::TraceContext;

/// A trace, kept for the time when a request ends. Without the feature `exemplars` there is none, and it takes no room.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    #[cfg(feature = "exemplars")]
    context: Option<TraceContext>,
}

#[cfg(feature = "http")]
impl Trace {
    /// The trace that is current now.
    pub(crate) fn current() -> Self {
        Self {
            #[cfg(feature = "exemplars")]
            context: trace_context(),
        }
    }

    /// This trace, or the other one if there is none here.
    pub(crate) fn or(self, other: Self) -> Self {
        #[cfg(feature = "exemplars")]
        if self.context.is_none() {
            return other;
        }
        let _ = other;
        self
    }

    /// Runs `record` so that what it records refers to this trace.
    pub(crate) fn scope<T>(self, record: impl FnOnce() -> T) -> T {
        #[cfg(feature = "exemplars")]
        if let Some(context) = self.context {
            return outrigger_recorder::exemplar::scope(context, record);
        }
        record()
    }

    /// The trace's identifier in hexadecimal, for logs.
    pub(crate) fn id(self) -> Option<String> {
        #[cfg(feature = "exemplars")]
        let id = self.context.map(|context| opentelemetry::TraceId::from_bytes(context.trace_id).to_string());
        #[cfg(not(feature = "exemplars"))]
        let id = None;
        id
    }
}

/// The current span, if it is sampled: an exemplar that leads to a trace which was never kept helps nobody.
#[cfg(feature = "exemplars")]
pub(crate) fn trace_context() -> Option<TraceContext> {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let span = span.span_context();
        let kept = span.is_valid() && span.is_sampled();
        kept.then(|| TraceContext { trace_id: span.trace_id().to_bytes(), span_id: span.span_id().to_bytes() })
    })
}

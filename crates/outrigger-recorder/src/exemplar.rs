//! Which trace an observation belongs to.

use std::cell::Cell;

/// A span of a trace, as W3C trace context names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace's identifier.
    pub trace_id: [u8; 16],
    /// The span's identifier within the trace.
    pub span_id: [u8; 8],
}

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// Runs `work` in a span: what it records on this thread, up to its return, may become an exemplar that leads there.
///
/// This is for work that does not await; what a task records elsewhere is found by
/// [`Builder::exemplar_source`](crate::Builder::exemplar_source).
///
/// ```
/// use outrigger_recorder::{PageFormat, Recorder, exemplar};
///
/// let recorder = Recorder::new();
/// let span = exemplar::TraceContext { trace_id: [0xab; 16], span_id: [7; 8] };
/// metrics::with_local_recorder(&recorder, || {
///     let wait = metrics::histogram!("wait_seconds");
///     exemplar::scope(span, || wait.record(0.3));
/// });
/// let page = recorder.render(PageFormat::OpenMetrics);
/// assert!(page.contains(" # {trace_id=\"abababababababababababababababab\",span_id=\"0707070707070707\"} 0.3 "));
/// ```
pub fn scope<T>(span: TraceContext, work: impl FnOnce() -> T) -> T {
    /// Puts the outer span back, also when `work` panics.
    struct Outer(Option<TraceContext>);
    impl Drop for Outer {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _outer = Outer(CURRENT.replace(Some(span)));
    work()
}

/// The span that this thread is in.
#[inline]
pub(crate) fn current() -> Option<TraceContext> {
    CURRENT.get()
}

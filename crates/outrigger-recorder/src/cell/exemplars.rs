//! The last observation of each bucket that belongs to a trace.

use std::fmt::Write;
use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use outrigger_exposition::{BucketExemplar, Exemplar, Label};

use crate::exemplar::TraceContext;
use crate::lock::lock;

/// Room for an exemplar per bucket, made when there is a first one.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    buckets: OnceLock<Box<[Mutex<Option<Seen>>]>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    span: TraceContext,
    value: f64,
    unix_ms: i64,
}

impl Exemplars {
    /// Keeps the observation, unless somebody else is just there: nobody waits for an example.
    #[cold]
    pub(crate) fn keep(&self, buckets: usize, bucket: usize, value: f64, span: TraceContext) {
        let places = self.buckets.get_or_init(|| (0..buckets).map(|_| Mutex::default()).collect());
        if let Some(Ok(mut place)) = places.get(bucket).map(Mutex::try_lock) {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            *place = Some(Seen { span, value, unix_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX) });
        }
    }

    pub(crate) fn read(&self, to: &mut Vec<BucketExemplar>) {
        for (bucket, place) in self.buckets.get().into_iter().flatten().enumerate() {
            if let Some(Seen { span, value, unix_ms }) = *lock(place) {
                let labels =
                    vec![Label::new("trace_id", hex(&span.trace_id)), Label::new("span_id", hex(&span.span_id))];
                to.push(BucketExemplar { bucket, exemplar: Exemplar { labels, value, timestamp_ms: Some(unix_ms) } });
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

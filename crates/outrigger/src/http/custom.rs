//! Labels of your own, each with a closed set of values.

use ::http::Extensions;
use ::metrics::Label;
use outrigger_semconv::label;

/// A label of your own for request metrics, with values that are known when the program is compiled.
///
/// Implement it for a type of few values, give it to [`HttpMetricsLayer::label`](super::HttpMetricsLayer::label), and
/// put a value into the extensions of the request (in a layer outside of ours) or of the response (in the handler, or
/// wherever the value becomes known); the response's counts when both have one. A request without a value has no such
/// label.
///
/// ```
/// use axum::{Extension, Router, routing::get};
/// use outrigger::{Metrics, http::RequestLabel};
///
/// #[derive(Clone, Copy)]
/// enum Tier {
///     Free,
///     Paid,
/// }
///
/// impl RequestLabel for Tier {
///     const NAME: &'static str = "customer_tier";
///     const VALUES: &'static [&'static str] = &["free", "paid"];
///
///     fn index(&self) -> usize {
///         *self as usize
///     }
/// }
///
/// let app: Router = Router::new()
///     .route("/reports", get(|| async { (Extension(Tier::Paid), "a report") }))
///     .layer(Metrics::global().http_layer().label::<Tier>());
/// # let _ = (app, Tier::Free);
/// ```
pub trait RequestLabel: Send + Sync + 'static {
    /// The label's name: letters, digits and underscores, not one that the metrics have already. Checked when the
    /// program is compiled.
    const NAME: &'static str;
    /// Its values, 1 to 32 of them: each multiplies the number of series.
    const VALUES: &'static [&'static str];

    /// Which of the values this is. An index beyond them counts as `_other`.
    fn index(&self) -> usize;
}

/// A label that was asked for, without its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct CustomLabel {
    name: &'static str,
    values: &'static [&'static str],
    read: fn(&Extensions) -> Option<usize>,
}

impl CustomLabel {
    pub(super) fn of<L: RequestLabel>() -> Self {
        const {
            assert!(is_free(L::NAME), "the name must be of letters, digits and underscores, and not one of ours");
            assert!(!L::VALUES.is_empty() && L::VALUES.len() <= 32, "a label needs 1 to 32 values");
        }
        Self { name: L::NAME, values: L::VALUES, read: |extensions| extensions.get::<L>().map(RequestLabel::index) }
    }
}

/// The most labels of one's own that a layer takes.
pub(super) const MAX_LABELS: usize = 4;

/// Which value each label of a layer has for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CustomIndices([u8; MAX_LABELS]);

impl CustomIndices {
    pub(super) const NONE: Self = Self([u8::MAX; MAX_LABELS]);

    /// Takes what the extensions have; what they do not have stays.
    pub(super) fn read(&mut self, labels: &[CustomLabel], extensions: &Extensions) {
        for (slot, label) in self.0.iter_mut().zip(labels) {
            if let Some(index) = (label.read)(extensions) {
                *slot = u8::try_from(index).map_or(BEYOND, |index| index.min(BEYOND));
            }
        }
    }

    pub(super) fn values(self, labels: &[CustomLabel]) -> CustomValues {
        let mut values = CustomValues::default();
        for ((slot, label), index) in values.0.iter_mut().zip(labels).zip(self.0) {
            if index != u8::MAX {
                let value = label.values.get(usize::from(index)).copied().unwrap_or(label::OTHER);
                *slot = Some((label.name, value));
            }
        }
        values
    }
}

/// No list of values is as long.
const BEYOND: u8 = u8::MAX - 1;

/// The same in words, for a series that is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct CustomValues([Option<(&'static str, &'static str)>; MAX_LABELS]);

impl CustomValues {
    pub(super) fn labels(self) -> impl Iterator<Item = Label> {
        self.0.into_iter().flatten().map(|(name, value)| Label::new(name, value))
    }
}

/// Whether a name is a label name that the request metrics do not use themselves.
const fn is_free(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        if !(byte.is_ascii_alphabetic() || byte == b'_' || index > 0 && byte.is_ascii_digit()) {
            return false;
        }
        index += 1;
    }
    const TAKEN: [&str; 8] = [
        label::HTTP_REQUEST_METHOD,
        label::URL_SCHEME,
        label::HTTP_ROUTE,
        label::HTTP_RESPONSE_STATUS_CODE,
        label::ERROR_TYPE,
        label::RPC_GRPC_STATUS_CODE,
        "le",
        "quantile",
    ];
    let mut taken = 0;
    while taken < TAKEN.len() {
        if same(bytes, TAKEN[taken].as_bytes()) {
            return false;
        }
        taken += 1;
    }
    let is_reserved = bytes.len() > 1 && bytes[0] == b'_' && bytes[1] == b'_';
    !bytes.is_empty() && !is_reserved
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Shade(usize);

    impl RequestLabel for Shade {
        const NAME: &'static str = "shade";
        const VALUES: &'static [&'static str] = &["light", "dark"];

        fn index(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn a_value_out_of_range_is_other_and_none_is_no_label() {
        let labels = [CustomLabel::of::<Shade>()];
        let read = |shade: Option<usize>| {
            let mut extensions = Extensions::new();
            shade.map(|shade| extensions.insert(Shade(shade)));
            let mut indices = CustomIndices::NONE;
            indices.read(&labels, &extensions);
            indices.values(&labels).labels().map(|label| label.value().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(read(None), [""; 0]);
        assert_eq!(read(Some(1)), ["dark"]);
        for index in [2, 254, 255, 256, usize::MAX] {
            assert_eq!(read(Some(index)), ["_other"], "{index}");
        }
    }

    #[test]
    fn names_are_checked() {
        for name in ["tier", "_tier", "customer_tier2", "T"] {
            assert!(is_free(name), "{name}");
        }
        for name in ["", "2tier", "tier-2", "größe", "__tier", "http_route", "error_type", "le", "a b"] {
            assert!(!is_free(name), "{name}");
        }
    }
}

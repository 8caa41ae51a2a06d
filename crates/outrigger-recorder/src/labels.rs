//! A series' identity: its labels in the one spelling that Prometheus would give them.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::Key;
use outrigger_exposition::{Kind, Label, MAX_LABELS};

use crate::name;

/// The most text, names and values in bytes, that the labels of one series may have. A quarter of the longest line that
/// our parser reads, since escapes can double it.
pub(crate) const MAX_TEXT: usize = 16 * 1024;

/// Labels, sorted by name, each name once, none empty. One piece of text and where its parts end: names and values by
/// turns.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Labels {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl Labels {
    /// The canonical labels of a key; `None` when there are too many of them or too much text.
    ///
    /// Names are spelled in the classic alphabet. Of labels that then have one name, the last one holds. A label without
    /// a value is left out, since Prometheus takes it as absent.
    pub(crate) fn of(key: &Key, kind: Kind) -> Option<Self> {
        let mut sorted = BTreeMap::new();
        let mut bytes = 0_usize;
        for label in key.labels() {
            bytes = bytes.saturating_add(label.key().len()).saturating_add(label.value().len());
            if bytes > MAX_TEXT || sorted.len() > MAX_LABELS {
                return None;
            }
            sorted.insert(name::label(label.key(), kind), label.value());
        }
        // One place is for the label that the format adds.
        sorted.retain(|_, value| !value.is_empty());
        (sorted.len() < MAX_LABELS).then(|| Self::from_pairs(sorted.iter().map(|(name, value)| (&**name, *value))))
    }

    /// The labels of the series that takes what a metric's cap on series keeps out.
    pub(crate) fn overflow() -> Self {
        Self::from_pairs([("otel_metric_overflow", "true")])
    }

    fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for part in pairs.into_iter().flat_map(|(name, value)| [name, value]) {
            text.push_str(part);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self { text: text.into(), ends: ends.into() }
    }

    /// Names and values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let part = |start: u32, end: u32| self.text.get(start as usize..end as usize).unwrap_or("");
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let &[name_end, value_end] = ends else { return ("", "") };
            let pair = (part(start, name_end), part(name_end, value_end));
            start = value_end;
            pair
        })
    }

    pub(crate) fn to_vec(&self) -> Vec<Label> {
        self.pairs().map(|(name, value)| Label::new(name, value)).collect()
    }
}

/// A key's labels; shared by the table of series and its index.
pub(crate) type SharedLabels = Arc<Labels>;

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let labels: Vec<metrics::Label> =
            pairs.iter().map(|&(name, value)| metrics::Label::new(name.to_owned(), value.to_owned())).collect();
        let labels = Labels::of(&Key::from_parts("x", labels), Kind::Histogram)?;
        Some(labels.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn check(pairs: &[(&str, &str)], expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(canonical(pairs), Some(expected), "{pairs:?}");
    }

    #[test]
    fn one_spelling() {
        check(&[], &[]);
        check(&[("b", "2"), ("a", "1")], &[("a", "1"), ("b", "2")]);
        check(&[("a", "1"), ("a", "2")], &[("a", "2")]);
        check(&[("a.b", "1"), ("a_b", "2")], &[("a_b", "2")]);
        check(&[("a", ""), ("b", "\n\"é\\")], &[("b", "\n\"é\\")]);
        check(&[("a", "1"), ("a", "")], &[]);
        check(&[("le", "1")], &[("exported_le", "1")]);
    }

    #[test]
    fn bounded() {
        let long = "x".repeat(MAX_TEXT);
        assert_eq!(canonical(&[("a", &long)]), None);
        let names: Vec<String> = (0..MAX_LABELS).map(|index| format!("l{index}")).collect();
        let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert_eq!(canonical(&pairs), None);
        assert!(canonical(&pairs[1..]).is_some());
    }
}

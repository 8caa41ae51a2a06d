//! Names as every version of Prometheus reads them.

use std::borrow::Cow;

use outrigger_exposition::Kind;

/// A metric's name in the classic alphabet, `[a-zA-Z_:][a-zA-Z0-9_:]*`: other characters become `_`.
pub(crate) fn metric(name: &str) -> Cow<'_, str> {
    spelled(name, |byte| byte == b':')
}

/// A label's name in the classic alphabet, `[a-zA-Z_][a-zA-Z0-9_]*`: other characters become `_`. Names that belong to
/// others get `exported_` in front, which is how Prometheus itself settles such a clash: those with two underscores in
/// front, which are Prometheus', and `le` on histograms.
pub(crate) fn label(name: &str, kind: Kind) -> Cow<'_, str> {
    let name = spelled(name, |_| false);
    if name.starts_with("__") || kind == Kind::Histogram && name == "le" {
        return Cow::Owned(format!("exported_{name}"));
    }
    name
}

fn spelled(name: &str, also: impl Fn(u8) -> bool) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte);
    let needs_front = name.bytes().next().is_none_or(|byte| byte.is_ascii_digit());
    if !needs_front && name.bytes().all(fits) {
        return Cow::Borrowed(name);
    }
    let front = needs_front.then_some('_').into_iter();
    let fitting = |character: char| u8::try_from(character).is_ok_and(&fits);
    Cow::Owned(front.chain(name.chars().map(|character| if fitting(character) { character } else { '_' })).collect())
}

/// The name of a family: a counter's without the `_total` that the page gives it.
pub(crate) fn family(name: &str, kind: Kind) -> &str {
    let mut base = name;
    while let Some(shorter) = base.strip_suffix("_total").filter(|rest| kind == Kind::Counter && !rest.is_empty()) {
        base = shorter;
    }
    base
}

/// The family's name with the suffixes of its samples: what no other family may be called or write.
pub(crate) fn suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter => &["", "_total"],
        Kind::Histogram => &["", "_bucket", "_sum", "_count"],
        _ => &[""],
    }
}

/// The name of the creation times that OpenMetrics lets a family have. Its readers refuse a whole page where another one
/// is called so or has samples of that name.
pub(crate) fn created(family: &str, kind: Kind) -> Option<String> {
    matches!(kind, Kind::Counter | Kind::Histogram | Kind::Summary).then(|| format!("{family}_created"))
}

/// The name that people know a family by: a counter's with `_total`.
pub(crate) fn shown(family: &str, kind: Kind) -> String {
    format!("{family}{}", if kind == Kind::Counter { "_total" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics() {
        for (name, expected) in [
            ("requests_total", "requests_total"),
            ("http.server.duration", "http_server_duration"),
            ("job:rate", "job:rate"),
            ("2xx", "_2xx"),
            ("", "_"),
            ("größe \"x\"\n", "gr__e__x__"),
        ] {
            assert_eq!(metric(name), expected);
        }
    }

    #[test]
    fn labels() {
        for (name, kind, expected) in [
            ("http.route", Kind::Gauge, "http_route"),
            ("le", Kind::Gauge, "le"),
            ("le", Kind::Histogram, "exported_le"),
            ("__name__", Kind::Counter, "exported___name__"),
            ("a:b", Kind::Counter, "a_b"),
            ("1", Kind::Counter, "_1"),
            ("..x", Kind::Counter, "exported___x"),
            ("", Kind::Counter, "_"),
        ] {
            assert_eq!(label(name, kind), expected, "{name}");
        }
    }

    #[test]
    fn families() {
        for (name, kind, expected) in [
            ("a_total", Kind::Counter, "a"),
            ("a_total_total", Kind::Counter, "a"),
            ("a", Kind::Counter, "a"),
            ("a_total", Kind::Gauge, "a_total"),
            ("_total", Kind::Counter, "_total"),
        ] {
            assert_eq!(family(name, kind), expected);
        }
        assert_eq!(shown("a", Kind::Counter), "a_total");
    }
}

//! What must hold for any bytes at all; driven by a seeded mutator in the tests and by libFuzzer in `fuzz/`.

use crate::encode::{EncodeError, Encoder};
use crate::families::{Limits, families_within};
use crate::format::Format;
use crate::model::{Family, Kind, Value};
use crate::parse::{LineError, MAX_LINE, Visitor, parse};
use crate::sample::Sample;

/// Checks that the parser's counts add up on `data`, and that the families of either format survive being written and
/// read again in both; likewise of protobuf, with that feature. Panics if they do not; a tool for tests, not part of the API.
#[allow(clippy::panic, reason = "a failed check must stop the fuzzer; nothing but tests calls this")]
pub fn fuzz_one(data: &[u8]) {
    // Writing may double a line, by escaping lone backslashes, and a longer line than the limit does not read back.
    if data.len() > MAX_LINE / 2 {
        return;
    }
    #[cfg(feature = "protobuf")]
    check_protobuf(data);
    for format in [Format::Text, Format::OpenMetrics] {
        check_counts(data, format);
        let read = families_within(data, format, &LIMITS);
        for target in [Format::Text, Format::OpenMetrics] {
            let page = match encode(&read.families, target) {
                Ok(page) => page,
                Err(error) => panic!("{format:?} families do not encode as {target:?}: {error}\n{read:#?}"),
            };
            let again = families_within(page.as_bytes(), target, &LIMITS);
            let expected: Vec<Family> = read.families.iter().map(|family| as_said_in(target, family)).collect();
            // As text, since NaN equals nothing, not even itself.
            let same = format!("{expected:?}") == format!("{:?}", again.families);
            if !same || again.parsed.bad_lines > 0 || again.problem_count > 0 {
                panic!("{format:?} to {target:?}\npage: {page}\nexpected: {expected:#?}\nread again: {again:#?}");
            }
        }
    }
}

const LIMITS: Limits = Limits { families: 200, points: 1000, reports: 10 };

fn encode(families: &[Family], format: Format) -> Result<String, EncodeError> {
    let mut encoder = Encoder::new(format, String::new()).with_created(true);
    for family in families {
        encoder.family(family)?;
    }
    encoder.finish()
}

/// The family as far as the format can say it.
pub(crate) fn as_said_in(format: Format, family: &Family) -> Family {
    let mut family = family.clone();
    if format == Format::OpenMetrics {
        return family;
    }
    if family.kind == Kind::Info {
        family.name.push_str("_info");
    }
    family.kind = match family.kind {
        Kind::Info | Kind::StateSet => Kind::Gauge,
        Kind::GaugeHistogram => Kind::Histogram,
        kind => kind,
    };
    for point in &mut family.points {
        point.created = None;
        point.exemplar = None;
        point.value = match std::mem::replace(&mut point.value, Value::Info) {
            Value::Info => Value::Gauge(1.0),
            Value::State(holds) => Value::Gauge(f64::from(u8::from(holds))),
            Value::Histogram(mut histogram) | Value::GaugeHistogram(mut histogram) => {
                histogram.exemplars.clear();
                Value::Histogram(histogram)
            }
            value => value,
        };
    }
    family
}

/// Whatever is read as protobuf can be written again, and reads the same then.
#[cfg(feature = "protobuf")]
fn check_protobuf(data: &[u8]) {
    use crate::protobuf::{self, decode};
    let mut read = Vec::new();
    let _ = decode(data, |header, point| {
        let family = Family { points: vec![point.clone()], ..Family::new(header.name, header.kind) };
        read.push(family);
    });
    for family in read {
        let mut encoder = protobuf::Encoder::new(Vec::new());
        assert_eq!(encoder.family(&family), Ok(()), "{family:?}");
        let page = encoder.finish().unwrap_or_default();
        let mut points = 0;
        let decoded = decode(&page, |_, _| points += 1);
        assert_eq!((points, decoded.map(|decoded| decoded.bad_points)), (1, Ok(0)), "{family:?}");
    }
}

fn check_counts(data: &[u8], format: Format) {
    let mut counter = Counter::default();
    let parsed = parse(data, format, &mut counter);
    assert_eq!((counter.samples, counter.bad_lines), (parsed.samples, parsed.bad_lines));
    assert!(counter.samples + counter.bad_lines <= parsed.lines, "{parsed:?}");
    let line_feeds = data.iter().filter(|&&byte| byte == b'\n').count() as u64;
    let unfinished = u64::from(!data.is_empty() && !data.ends_with(b"\n"));
    assert_eq!(parsed.lines, line_feeds + unfinished);
    check_lines(data, format);
}

/// What a line says does not hang on the line before it.
fn check_lines(data: &[u8], format: Format) {
    let (mut page, mut alone) = (Said::default(), Said::default());
    parse(data, format, &mut page);
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        if parse(line, format, &mut alone).eof {
            break;
        }
    }
    assert!(page.0.starts_with(&alone.0), "{:?}\n{:?}", page.0, alone.0);
    assert!(page.0.iter().skip(alone.0.len()).all(|said| said.contains("AfterEof")), "{:?}", page.0);
}

/// Keeps what it is handed, as text.
#[derive(Default)]
struct Said(Vec<String>);

impl Visitor for Said {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.0.push(format!("{sample:?}"));
    }

    fn bad_line(&mut self, error: &LineError<'_>) {
        self.0.push(format!("{:?}", error.reason));
    }
}

/// Counts what it is handed, and looks at every slice of it.
#[derive(Default)]
struct Counter {
    samples: u64,
    bad_lines: u64,
    last_bad: u64,
}

impl Visitor for Counter {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.samples += 1;
        assert!(!sample.name.is_empty());
        assert_eq!(sample.labels.iter().count(), sample.labels.len());
        for (name, value) in sample.labels {
            assert!(!name.is_empty());
            assert_eq!(sample.labels.get(name), Some(value), "{name} comes twice");
        }
    }

    fn bad_line(&mut self, error: &LineError<'_>) {
        self.bad_lines += 1;
        assert!(error.line > self.last_bad, "bad lines come in order");
        assert!(error.start.len() <= LineError::MAX_START);
        assert!(!error.to_string().contains('\n'));
        self.last_bad = error.line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Families;
    use crate::parse::Parsed;

    #[test]
    fn counts_of_a_small_page() {
        let mut counter = Counter::default();
        let parsed = parse(b"a 1\n\nb\nc 2", Format::Text, &mut counter);
        assert_eq!(parsed, Parsed { lines: 4, samples: 2, bad_lines: 1, eof: false });
    }

    #[test]
    fn nothing_is_a_page() {
        fuzz_one(b"");
        assert_eq!(families_within(b"", Format::Text, &LIMITS), Families::default());
    }
}

//! The lines of points. A page is mostly these, so what lines have in common is made once: labels are escaped once a
//! point, the text of bounds is kept from point to point, and a bucket's line is three copies.

use std::fmt::{self, Write};

use crate::cursor::Class;
use crate::encode::{EncodeError, Encoder, Extra, Header, ValueRef, label_pairs, unit_fits};
use crate::format::Format;
use crate::model::{BucketExemplar, Exemplar, Kind, Quantile};
use crate::write::{Bound, Digits, Seconds, escaped, write_float};

/// Writes the points of one family; made by [`Encoder::begin`].
#[derive(Debug)]
pub struct Points<'e, 'n, W> {
    encoder: &'e mut Encoder<W>,
    name: &'n str,
    kind: Kind,
    /// Whether the name needs no quotes.
    plain: bool,
}

/// What a line has behind its number.
#[derive(Clone, Copy, Default)]
struct Tail<'a> {
    timestamp_ms: Option<i64>,
    exemplar: Option<&'a Exemplar>,
}

impl<'e, 'n, W: Write> Points<'e, 'n, W> {
    pub(crate) fn new(encoder: &'e mut Encoder<W>, header: Header<'n>) -> Result<Self, EncodeError> {
        let name = header.kind.family_name(header.name);
        if name.is_empty() {
            return Err(EncodeError::EmptyName);
        }
        Ok(Self { plain: Class::Metric.is_plain(name), encoder, name, kind: header.kind })
    }

    /// Writes one point. Labels are pairs of name and value, each name once, without `le` and `quantile` where those
    /// are the format's.
    ///
    /// Nothing is allocated, once the encoder has seen labels and bounds as long as these.
    ///
    /// # Errors
    /// The value does not fit the family's kind, or a histogram has not one count more than bounds, and nothing of the
    /// point was written; or the writer fails.
    pub fn point<'l, L>(&mut self, labels: L, value: ValueRef<'_>, extra: Extra<'_>) -> Result<(), EncodeError>
    where
        L: IntoIterator<Item = (&'l str, &'l str)>,
    {
        if !fits(self.kind, value) {
            return Err(self.wrong_value());
        }
        self.encoder.scratch.take_labels(labels)?;
        let tail = Tail { timestamp_ms: extra.timestamp_ms, exemplar: None };
        match value {
            ValueRef::Number(number) => {
                let exemplar = extra.exemplar.filter(|_| self.kind == Kind::Counter);
                self.line(self.kind.value_suffix(), Tail { exemplar, ..tail }, |out| write_float(out, number))?;
            }
            ValueRef::Histogram { bounds, counts, sum, exemplars, .. } => {
                let count = self.buckets(bounds, counts, exemplars, tail)?;
                self.histogram_totals(sum, count, tail)?;
            }
            ValueRef::Summary { quantiles, sum, count } => {
                for &quantile in quantiles {
                    self.quantile(quantile, tail)?;
                }
                if let Some(sum) = sum {
                    self.line("_sum", tail, |out| write_float(out, sum))?;
                }
                if let Some(count) = count {
                    self.line("_count", tail, |out| out.write_str(Digits::default().of(count)))?;
                }
            }
        }
        if self.encoder.created
            && self.encoder.format == Format::OpenMetrics
            && matches!(self.kind, Kind::Counter | Kind::Histogram | Kind::Summary)
            && let Some(created) = extra.created
        {
            self.line("_created", tail, |out| write_float(out, created))?;
        }
        self.encoder.scratch.settle();
        Ok(())
    }

    /// Writes the lines of the buckets; gives their sum.
    fn buckets(
        &mut self,
        bounds: &[f64],
        counts: &[u64],
        exemplars: &[BucketExemplar],
        tail: Tail<'_>,
    ) -> Result<u64, fmt::Error> {
        let Encoder { format, out, scratch: Scratch { labels, start, bounds: texts }, .. } = &mut *self.encoder;
        texts.set(bounds)?;
        start.clear();
        // It begins with the end of the line before.
        start.push('\n');
        let labelled = write_start(start, self.name, "_bucket", self.plain, labels)?;
        start.push_str(if labelled { ",le=\"" } else { "{le=\"" });
        let has_tail = tail.timestamp_ms.is_some() || !exemplars.is_empty();
        let mut exemplars = exemplars.iter().peekable();
        let mut digits = Digits::default();
        let mut cumulative = 0_u64;
        let mut number = digits.of(cumulative);
        let mut line_start = start.get(1..).unwrap_or("");
        for (bucket, (&count, bound)) in counts.iter().zip(texts.iter()).enumerate() {
            if count > 0 {
                cumulative = cumulative.saturating_add(count);
                number = digits.of(cumulative);
            }
            out.write_str(line_start)?;
            line_start = start;
            out.write_str(bound)?;
            out.write_str(number)?;
            if has_tail {
                let exemplar = exemplars.next_if(|example| example.bucket == bucket).map(|example| &example.exemplar);
                write_tail(out, *format, Tail { exemplar, ..tail })?;
            }
        }
        out.write_char('\n')?;
        Ok(cumulative)
    }

    fn histogram_totals(&mut self, sum: Option<f64>, count: u64, tail: Tail<'_>) -> fmt::Result {
        let openmetrics = self.encoder.format == Format::OpenMetrics;
        let (sum_suffix, count_suffix) =
            if openmetrics && self.kind == Kind::GaugeHistogram { ("_gsum", "_gcount") } else { ("_sum", "_count") };
        if let Some(sum) = sum {
            self.line(sum_suffix, tail, |out| write_float(out, sum))?;
        }
        // OpenMetrics wants the count if and only if there is a sum; text always has it.
        if sum.is_some() || !openmetrics {
            self.line(count_suffix, tail, |out| out.write_str(Digits::default().of(count)))?;
        }
        Ok(())
    }

    fn quantile(&mut self, Quantile { quantile, value }: Quantile, tail: Tail<'_>) -> fmt::Result {
        let Encoder { format, out, scratch, .. } = &mut *self.encoder;
        let labelled = write_start(out, self.name, "", self.plain, &scratch.labels)?;
        write!(out, "{}quantile=\"{}\"}} ", if labelled { ',' } else { '{' }, Bound(quantile))?;
        write_float(out, value)?;
        write_tail(out, *format, tail)?;
        out.write_char('\n')
    }

    /// Writes a line without a label of the format's own.
    fn line(&mut self, suffix: &str, tail: Tail<'_>, number: impl FnOnce(&mut W) -> fmt::Result) -> fmt::Result {
        let Encoder { format, out, scratch, .. } = &mut *self.encoder;
        let labelled = write_start(out, self.name, suffix, self.plain, &scratch.labels)?;
        out.write_str(if labelled { "} " } else { " " })?;
        number(out)?;
        write_tail(out, *format, tail)?;
        out.write_char('\n')
    }

    pub(crate) fn head(&mut self, help: Option<&str>, unit: Option<&str>) -> fmt::Result {
        let format = self.encoder.format;
        if let Some(help) = help {
            self.comment("HELP")?;
            // Quotes are escaped in OpenMetrics' help only.
            escaped(&mut self.encoder.out, help.trim_end_matches('\r'), format == Format::OpenMetrics)?;
            self.encoder.out.write_char('\n')?;
        }
        self.comment("TYPE")?;
        let kind = match (format, self.kind) {
            (Format::OpenMetrics, kind) => kind.as_str(),
            (Format::Text, Kind::Unknown) => "untyped",
            (Format::Text, Kind::Info | Kind::StateSet) => "gauge",
            (Format::Text, Kind::GaugeHistogram) => "histogram",
            (Format::Text, kind) => kind.as_str(),
        };
        writeln!(self.encoder.out, "{kind}")?;
        if let Some(unit) = unit.filter(|unit| unit_fits(self.name, unit, self.kind)) {
            self.comment("UNIT")?;
            writeln!(self.encoder.out, "{unit}")?;
        }
        Ok(())
    }

    fn comment(&mut self, keyword: &str) -> fmt::Result {
        // Text names a counter as its sample is named, OpenMetrics as the family is.
        let suffix = if self.encoder.format == Format::Text { self.kind.value_suffix() } else { "" };
        let Encoder { out, .. } = &mut *self.encoder;
        write!(out, "# {keyword} ")?;
        write_name(out, self.name, suffix, self.plain)?;
        out.write_char(' ')
    }

    pub(crate) fn wrong_value(&self) -> EncodeError {
        EncodeError::Value { family: self.name.to_owned(), kind: self.kind }
    }
}

/// Whether a family of this kind has such points.
pub(crate) fn fits(kind: Kind, value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Number(_) => {
            matches!(kind, Kind::Counter | Kind::Gauge | Kind::Unknown | Kind::Info | Kind::StateSet)
        }
        ValueRef::Histogram { bounds, counts, .. } => {
            matches!(kind, Kind::Histogram | Kind::GaugeHistogram) && counts.len() == bounds.len() + 1
        }
        ValueRef::Summary { .. } => kind == Kind::Summary,
    }
}

/// Writes a line up to the end of the point's labels, their brace still open if there is one; says whether there is.
fn write_start(out: &mut impl Write, name: &str, suffix: &str, plain: bool, labels: &str) -> Result<bool, fmt::Error> {
    if !plain {
        out.write_char('{')?;
        write_name(out, name, suffix, false)?;
        out.write_str(labels)?;
        return Ok(true);
    }
    out.write_str(name)?;
    out.write_str(suffix)?;
    let Some(labels) = labels.strip_prefix(',') else { return Ok(false) };
    out.write_char('{')?;
    out.write_str(labels)?;
    Ok(true)
}

#[inline]
fn write_tail(out: &mut impl Write, format: Format, tail: Tail<'_>) -> fmt::Result {
    match (tail.timestamp_ms, format) {
        (None, _) => {}
        (Some(timestamp), Format::Text) => write!(out, " {timestamp}")?,
        (Some(timestamp), Format::OpenMetrics) => write!(out, " {}", Seconds(timestamp))?,
    }
    match tail.exemplar {
        Some(exemplar) if format == Format::OpenMetrics && exemplar.fits() => write_exemplar(out, exemplar),
        _ => Ok(()),
    }
}

fn write_exemplar(out: &mut impl Write, exemplar: &Exemplar) -> fmt::Result {
    out.write_str(" # {")?;
    for (index, (name, value)) in label_pairs(&exemplar.labels).enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        write_label(out, name, value)?;
    }
    out.write_str("} ")?;
    write_float(out, exemplar.value)?;
    exemplar.timestamp_ms.map_or(Ok(()), |timestamp| write!(out, " {}", Seconds(timestamp)))
}

fn write_label(out: &mut impl Write, name: &str, value: &str) -> fmt::Result {
    write_name(out, name, "", Class::Label.is_plain(name))?;
    out.write_str("=\"")?;
    escaped(out, value, true)?;
    out.write_char('"')
}

fn write_name(out: &mut impl Write, name: &str, suffix: &str, plain: bool) -> fmt::Result {
    if plain {
        out.write_str(name)?;
        return out.write_str(suffix);
    }
    out.write_char('"')?;
    escaped(out, name, true)?;
    out.write_str(suffix)?;
    out.write_char('"')
}

/// Room that an encoder keeps between points.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The labels of the point at hand, a comma before each: `,route="/",method="GET"`.
    labels: String,
    /// What the bucket lines of the point at hand have in common.
    start: String,
    bounds: BoundTexts,
}

impl Scratch {
    /// The most room that is kept; labels and bounds that need more than this are made room for at each point.
    const MAX_KEPT: usize = 64 * 1024;

    pub(crate) const fn new() -> Self {
        Self { labels: String::new(), start: String::new(), bounds: BoundTexts::new() }
    }

    fn take_labels<'l>(&mut self, labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> fmt::Result {
        self.labels.clear();
        for (name, value) in labels {
            self.labels.push(',');
            write_label(&mut self.labels, name, value)?;
        }
        Ok(())
    }

    /// Gives back what is more than may be kept.
    #[inline]
    fn settle(&mut self) {
        if self.start.capacity().max(self.labels.capacity()).max(self.bounds.text.capacity()) > Self::MAX_KEPT {
            *self = Self::new();
        }
    }
}

/// The bounds of the latest histogram, up to infinity, each as a line has it from its quotes on: `0.5"} `.
#[derive(Debug)]
struct BoundTexts {
    bounds: Vec<f64>,
    text: String,
    /// Where each text ends.
    ends: Vec<usize>,
}

impl BoundTexts {
    const fn new() -> Self {
        Self { bounds: Vec::new(), text: String::new(), ends: Vec::new() }
    }

    /// Neighbouring points have the same bounds, nearly always.
    fn set(&mut self, bounds: &[f64]) -> fmt::Result {
        let bits = |bound: &f64| bound.to_bits();
        if !self.ends.is_empty() && self.bounds.iter().map(bits).eq(bounds.iter().map(bits)) {
            return Ok(());
        }
        self.text.clear();
        self.ends.clear();
        self.bounds.clear();
        self.bounds.extend_from_slice(bounds);
        for &bound in bounds.iter().chain(&[f64::INFINITY]) {
            write!(self.text, "{}\"}} ", Bound(bound))?;
            self.ends.push(self.text.len());
        }
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let mut begin = 0;
        self.ends.iter().map(move |&end| {
            let text = self.text.get(begin..end).unwrap_or("");
            begin = end;
            text
        })
    }
}

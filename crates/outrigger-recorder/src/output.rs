//! The formats of a page, written piece by piece.

use std::fmt::Write;

use bytes::Bytes;
#[cfg(feature = "protobuf")]
use bytes::BytesMut;
#[cfg(feature = "protobuf")]
use outrigger_exposition::protobuf;
use outrigger_exposition::{self as exposition, EncodeError, Encoder, Extra, Format, Header, ValueRef};

use crate::cell::Scratch;
use crate::family::{Pass, Progress, Table};
use crate::format::PageFormat;
#[cfg(feature = "protobuf")]
use crate::piece::PIECE;
use crate::piece::Piece;

/// What a page is written to.
#[derive(Debug)]
pub(crate) enum Output {
    Text(Encoder<Piece>, Format),
    /// Messages cannot be taken back, so a piece may come out longer than a piece may be, and is then cut.
    #[cfg(feature = "protobuf")]
    Protobuf(Box<protobuf::Encoder<BytesMut>>),
}

/// The piece is full.
#[derive(Debug)]
pub(crate) struct Full;

impl Output {
    pub(crate) fn new(format: PageFormat) -> Self {
        let text = |format| Self::Text(Encoder::new(format, Piece::default()), format);
        match format {
            PageFormat::Text => text(Format::Text),
            PageFormat::OpenMetrics => text(Format::OpenMetrics),
            #[cfg(feature = "protobuf")]
            PageFormat::Protobuf => Self::Protobuf(Box::new(protobuf::Encoder::new(BytesMut::new()))),
        }
    }

    /// Makes room for a piece.
    pub(crate) fn prepare(&mut self) {
        match self {
            Self::Text(encoder, _) => encoder.get_mut().prepare(),
            #[cfg(feature = "protobuf")]
            Self::Protobuf(encoder) if encoder.get_ref().is_empty() => encoder.get_mut().reserve(PIECE),
            #[cfg(feature = "protobuf")]
            Self::Protobuf(_) => {}
        }
    }

    /// The piece; `None` if nothing was written.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        match self {
            Self::Text(encoder, _) => encoder.get_mut().take(),
            #[cfg(feature = "protobuf")]
            Self::Protobuf(encoder) => {
                let len = encoder.get_ref().len().min(PIECE);
                (len > 0).then(|| encoder.get_mut().split_to(len).freeze())
            }
        }
    }

    /// Writes the series of a family that are still to come.
    pub(crate) fn series(
        &mut self,
        header: Header<'_>,
        (table, bounds): (&mut Table, &[f64]),
        pass: &Pass<'_>,
        progress: &mut Progress,
        scratch: &mut Scratch,
    ) -> Result<(), Full> {
        match self {
            Self::Text(encoder, format) => {
                let exemplars = *format == Format::OpenMetrics;
                while let Some(series) = table.next_shown(progress, pass) {
                    let value = series.cell.read(bounds, exemplars, scratch);
                    let labels = series.labels.pairs();
                    progress.begun |= put(encoder, header, progress.begun, labels, value, Extra::default())?;
                    progress.next += 1;
                }
            }
            #[cfg(feature = "protobuf")]
            Self::Protobuf(encoder) => loop {
                let Ok(mut points) = encoder.begin(header) else { return Ok(()) };
                let (mut weight, mut over) = (0, false);
                while weight < PIECE && !over {
                    if let Some(series) = table.next_shown(progress, pass) {
                        let value = series.cell.read(bounds, true, scratch);
                        weight += weight_of(value);
                        // A value that does not fit is left out, as in the text formats.
                        let _ = points.point(series.labels.pairs(), value, Extra::default());
                        progress.next += 1;
                    } else {
                        over = true;
                    }
                }
                drop(points);
                if over {
                    break;
                }
                if encoder.get_ref().len() >= PIECE {
                    return Err(Full);
                }
            },
        }
        Ok(())
    }

    /// Writes the points of a collected family that are still to come.
    pub(crate) fn made(&mut self, family: &exposition::Family, progress: &mut Progress) -> Result<(), Full> {
        let header = Header {
            name: &family.name,
            kind: family.kind,
            help: family.help.as_deref(),
            unit: family.unit.as_deref(),
        };
        match self {
            Self::Text(encoder, _) => {
                while let Some(point) = family.points.get(progress.next) {
                    let labels = point.labels.iter().map(|label| (&*label.name, &*label.value));
                    let extra = Extra {
                        timestamp_ms: point.timestamp_ms,
                        created: point.created,
                        exemplar: point.exemplar.as_ref(),
                    };
                    progress.begun |=
                        put(encoder, header, progress.begun, labels, ValueRef::from(&point.value), extra)?;
                    progress.next += 1;
                }
            }
            #[cfg(feature = "protobuf")]
            Self::Protobuf(encoder) => {
                // These are in memory already; that they are for a moment once more is no matter.
                if !std::mem::replace(&mut progress.begun, true) {
                    let _ = encoder.family(family);
                }
                if encoder.get_ref().len() >= PIECE {
                    return Err(Full);
                }
            }
        }
        Ok(())
    }

    /// Writes the end of the page.
    pub(crate) fn end(&mut self) -> Result<(), Full> {
        match self {
            Self::Text(encoder, Format::OpenMetrics) => encoder.get_mut().write_str("# EOF\n").map_err(|_| Full),
            _ => Ok(()),
        }
    }
}

/// Some bytes that a value takes in protobuf.
#[cfg(feature = "protobuf")]
fn weight_of(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Histogram { counts, native, .. } => {
            let native = native.map_or(0, |native| native.positive.counts.len() + native.negative.counts.len());
            128 + 16 * counts.len() + 4 * native
        }
        _ => 128,
    }
}

/// Writes a point, with the family's head before the first; all of it or nothing. False for a point that is left out
/// because its value does not fit its family: nobody could read it.
fn put<'l>(
    encoder: &mut Encoder<Piece>,
    header: Header<'_>,
    begun: bool,
    labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    value: ValueRef<'_>,
    extra: Extra<'_>,
) -> Result<bool, Full> {
    let start = encoder.get_mut().len();
    let write = |encoder: &mut Encoder<Piece>| {
        let points = if begun { encoder.resume(header) } else { encoder.begin(header) };
        points.and_then(|mut points| points.point(labels.clone(), value, extra))
    };
    let mut written = write(encoder);
    if written == Err(EncodeError::Write) {
        encoder.get_mut().truncate(start);
        if start > 0 {
            return Err(Full);
        }
        // It fits into no piece: the following ones take what is too much.
        encoder.get_mut().set_unbounded(true);
        written = write(encoder);
        encoder.get_mut().set_unbounded(false);
    }
    if written.is_err() {
        encoder.get_mut().truncate(start);
    }
    Ok(written.is_ok())
}

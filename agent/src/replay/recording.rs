//! The format of recorded pages: pages one after another, each under a line that says when and from where.
//!
//! ```text
//! # outrigger-page 1795263000.123 127.0.0.1:9464 5321 text/plain; version=0.0.4
//! ...5321 bytes, and a line feed...
//! # outrigger-down 1795263005.130 127.0.0.1:9464 did not send its page within 4s
//! ```
//!
//! The words of a line: what it is, UNIX time in seconds, the target as the agent labels it, the length in bytes, the
//! content type. A file may be compressed with gzip, by the recorder (a member of its own for each page) or afterwards.
//! Files can be appended to and concatenated. One that breaks off in the middle is read up to there.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use outrigger_exposition::Format;

use crate::collect::scrape::Page;

/// What came of one scrape, as it was recorded.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) at: SystemTime,
    /// The value of the `target` label.
    pub(crate) target: String,
    /// The page, or why there was none.
    pub(crate) page: Result<Page, String>,
}

const PAGE: &str = "# outrigger-page";
const DOWN: &str = "# outrigger-down";
/// The longest line that begins a record.
const MAX_HEAD: u64 = 4096;
/// The longest page that is read: the default of the agent's page limit.
const MAX_PAGE: u64 = 64 << 20;

/// Why there is no further record.
#[derive(Debug)]
pub(crate) enum RecordError {
    /// The file breaks off within a record, as one does whose writer was killed.
    Torn,
    /// This is no record.
    Bad(String),
    /// The file cannot be read.
    Read(io::Error),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("it breaks off within a page"),
            Self::Bad(what) => f.write_str(what),
            Self::Read(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Torn,
            // So says the decoder of gzip.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Self::Bad(format!("it is damaged: {error}")),
            _ => Self::Read(error),
        }
    }
}

/// Reads the next record; `None` at the end.
pub(crate) fn read(input: &mut impl BufRead) -> Result<Option<Taken>, RecordError> {
    let mut head = Vec::new();
    input.by_ref().take(MAX_HEAD).read_until(b'\n', &mut head)?;
    if head.is_empty() {
        return Ok(None);
    }
    if head.pop() != Some(b'\n') {
        let is_long = head.len() as u64 >= MAX_HEAD - 1;
        return Err(if is_long { bad(&head) } else { RecordError::Torn });
    }
    let line = std::str::from_utf8(&head).map_err(|_| bad(&head))?;
    let mut words = line.splitn(4, ' ').skip(2);
    let at = words.next().and_then(moment).ok_or_else(|| bad(&head))?;
    let rest = words.next().ok_or_else(|| bad(&head))?;
    let (target, rest) = rest.split_once(' ').ok_or_else(|| bad(&head))?;
    let target = target.to_owned();
    if target.is_empty() {
        return Err(bad(&head));
    }
    if line.starts_with(DOWN) {
        return Ok(Some(Taken { at, target, page: Err(rest.to_owned()) }));
    }
    let (length, content_type) = rest.split_once(' ').unwrap_or((rest, ""));
    let length = length.parse::<u64>().ok().filter(|length| line.starts_with(PAGE) && *length <= MAX_PAGE);
    let length = length.ok_or_else(|| bad(&head))?;
    let mut bytes = Vec::new();
    input.by_ref().take(length).read_to_end(&mut bytes)?;
    let mut end = [0];
    if bytes.len() as u64 != length || input.read(&mut end)? != 1 {
        return Err(RecordError::Torn);
    }
    if end != *b"\n" {
        return Err(RecordError::Bad("a page is longer than its line says".to_owned()));
    }
    let format = Format::from_content_type(content_type);
    Ok(Some(Taken { at, target, page: Ok(Page { bytes, format, cut_samples: 0 }) }))
}

fn bad(head: &[u8]) -> RecordError {
    let shown: String = String::from_utf8_lossy(head).chars().take(60).collect();
    RecordError::Bad(format!("`{shown}` is no beginning of a recorded page; `outrigger record` writes such files"))
}

fn moment(word: &str) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(word.parse().ok()?).ok()?;
    // To the millisecond, as it is written: the next digits are noise of the binary fraction.
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(since.as_micros().saturating_add(500) / 1000).ok()?))
}

/// Writes one record, with a single call, so that at most the last one of a file is ever torn.
pub(crate) fn write(output: &mut impl Write, taken: &Taken, compressed: bool) -> io::Result<usize> {
    let mut record = Vec::new();
    let since = taken.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    // No label of a target has blanks; one of another's making must not break the line.
    let target = taken.target.replace(char::is_whitespace, "_");
    match &taken.page {
        Ok(page) => {
            let (length, content_type) = (page.bytes.len(), page.format.content_type());
            writeln!(record, "{PAGE} {seconds}.{millis:03} {target} {length} {content_type}")?;
            record.extend_from_slice(&page.bytes);
            record.push(b'\n');
        }
        Err(why) => {
            let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
            writeln!(record, "{DOWN} {seconds}.{millis:03} {target} {why}")?;
        }
    }
    if compressed {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&record)?;
        record = encoder.finish()?;
    }
    output.write_all(&record)?;
    Ok(record.len())
}

#[cfg(test)]
mod tests {
    use flate2::bufread::MultiGzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn taken(millis: u64, page: Result<&[u8], &str>) -> Taken {
        let page = page.map(|bytes| Page { bytes: bytes.to_vec(), format: Format::OpenMetrics, cut_samples: 0 });
        let at = UNIX_EPOCH + Duration::from_millis(millis);
        Taken { at, target: "127.0.0.1:9464".to_owned(), page: page.map_err(str::to_owned) }
    }

    fn all(mut input: &[u8]) -> (Vec<Taken>, Option<RecordError>) {
        let mut records = Vec::new();
        loop {
            match read(&mut input) {
                Ok(Some(record)) => records.push(record),
                Ok(None) => return (records, None),
                Err(error) => return (records, Some(error)),
            }
        }
    }

    fn same(a: &Taken, b: &Taken) -> bool {
        let page =
            |taken: &Taken| taken.page.as_ref().map(|page| (page.bytes.clone(), page.format)).map_err(Clone::clone);
        (a.at, &a.target, page(a)) == (b.at, &b.target, page(b))
    }

    #[test]
    fn the_format_is_what_it_is_said_to_be() {
        let mut file = Vec::new();
        write(&mut file, &taken(1_795_263_000_123, Ok(b"up 1\n")), false).unwrap();
        write(&mut file, &taken(1_795_263_005_130, Err("no\nanswer")), false).unwrap();
        let text = "# outrigger-page 1795263000.123 127.0.0.1:9464 5 application/openmetrics-text; version=1.0.0; \
                    charset=utf-8\nup 1\n\n# outrigger-down 1795263005.130 127.0.0.1:9464 no answer\n";
        assert_eq!(String::from_utf8(file).unwrap(), text);
    }

    #[test]
    fn the_documented_example_is_a_recording() {
        let docs = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/replay.md"));
        let heads: Vec<_> = docs.lines().filter_map(|line| line.strip_prefix("    # outrigger-")).collect();
        assert_eq!(heads.len(), 2);
        for head in heads {
            let body = if head.starts_with("page") { format!("{}\n", "x".repeat(5321)) } else { String::new() };
            let text = format!("# outrigger-{head}\n{body}");
            let mut again = Vec::new();
            write(&mut again, &read(&mut text.as_bytes()).unwrap().unwrap(), false).unwrap();
            assert_eq!(String::from_utf8(again).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_recording_is_told() {
        for text in
            ["<html>\n", "# TYPE a gauge\na 1\n", "# outrigger-page x y 1 z\n", "# outrigger-page 1 a 99999999999 \n"]
        {
            let (records, error) = all(text.as_bytes());
            assert!(records.is_empty() && error.unwrap().to_string().contains("is no beginning"), "{text}");
        }
        assert!(matches!(all(&[b'x'; 5000]).1, Some(RecordError::Bad(_))));
        assert!(matches!(all(b"# outrigger-page 1 a 2 text/plain\nabc\n").1, Some(RecordError::Bad(_))));
    }

    proptest! {
        #[test]
        fn records_read_back_and_a_torn_end_costs_the_last_one_only(
            pages in proptest::collection::vec(
                (0..253_402_300_799_000_u64, prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..60).prop_map(Ok),
                    "[ -~]{0,40}".prop_map(Err),
                ]),
                1..5,
            ),
            compressed in any::<bool>(),
            cut in 0.0..1.0,
        ) {
            let records: Vec<_> = pages.iter().map(|(millis, page)| {
                taken(*millis, page.as_ref().map(Vec::as_slice).map_err(String::as_str))
            }).collect();
            let mut file = Vec::new();
            let mut ends = vec![0];
            for record in &records {
                write(&mut file, record, compressed).unwrap();
                ends.push(file.len());
            }
            let unpack = |bytes: &[u8]| {
                let mut plain = Vec::new();
                // What stands before a torn end comes out all the same.
                let _ = MultiGzDecoder::new(bytes).read_to_end(&mut plain);
                plain
            };
            let plain = |bytes: &[u8]| if compressed { unpack(bytes) } else { bytes.to_vec() };
            let (read, error) = all(&plain(&file));
            prop_assert!(error.is_none() && read.len() == records.len());
            prop_assert!(read.iter().zip(&records).all(|(a, b)| same(a, b)));

            let torn = (file.len() as f64 * cut) as usize;
            let whole = ends.iter().filter(|end| **end <= torn).count() - 1;
            let (read, _) = all(&plain(&file[..torn]));
            // The last bytes of a member are its checksum: its page may be complete before.
            prop_assert!(read.len() == whole || compressed && read.len() == whole + 1, "{} {}", read.len(), whole);
            prop_assert!(read.iter().zip(&records).all(|(a, b)| same(a, b)));
        }

        #[test]
        fn no_bytes_break_the_reader(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in "(# outrigger-(page|down) ?[0-9.e-]{0,9} ?[a-z:]{0,3} ?[0-9]{0,3} ?[a-z]{0,2}\n?){0,4}",
        ) {
            all(&bytes);
            let (records, _) = all(text.as_bytes());
            for record in records {
                let mut again = Vec::new();
                write(&mut again, &record, false).unwrap();
                let (read, error) = all(&again);
                prop_assert!(error.is_none() && read.len() == 1 && read[0].at == record.at, "{:?}", text);
            }
        }
    }
}

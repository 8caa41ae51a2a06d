//! One scrape: fetch a target's page, within a time and a size.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use outrigger_exposition::{Format, protobuf};

use super::native::NativePages;
use crate::client::{Client, describe};

/// Where a target serves its page.
///
/// Written as `host:port`, `host:port/path` or a URL with `http` or `https`; the path is `/metrics` unless one is given.
///
/// ```
/// use outrigger_agent::Address;
///
/// let address: Address = "127.0.0.1:9464".parse()?;
/// assert_eq!(address.to_string(), "http://127.0.0.1:9464/metrics");
/// assert_eq!(address.label(), "127.0.0.1:9464");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    uri: Uri,
    label: String,
    host: String,
    port: u16,
}

impl Address {
    /// The address of pages that come from elsewhere, which only have a name.
    pub(crate) fn named(label: &str) -> Self {
        let known = label.parse::<Self>().unwrap_or_default();
        Self { label: label.to_owned(), ..known }
    }

    /// The value of the `target` label: `host:port`, and the path if it is not `/metrics`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The page's URL.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The host as it was written; an IPv6 address stands in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, given or implied by the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Default for Address {
    /// `http://127.0.0.1:9464/metrics`, where the library serves its page.
    fn default() -> Self {
        Self {
            uri: Uri::from_static("http://127.0.0.1:9464/metrics"),
            label: "127.0.0.1:9464".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 9464,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no target; write host:port, host:port/path or an http:// URL");
        let is_url = text.contains("://");
        let url = if is_url { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(wrong)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        let port = match authority.port_u16() {
            Some(port) => port,
            // `host:` and `host:99999` have no port that can be read.
            None if !is_url || authority.as_str() != authority.host() => {
                return Err(format!("`{text}` names no port; write host:port, for example 127.0.0.1:9464"));
            }
            None if scheme == "https" => 443,
            None => 80,
        };
        let host = authority.host();
        if host.is_empty() || port == 0 {
            return Err(wrong());
        }
        let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
            "/" => "/metrics",
            path => path,
        };
        let mut label = format!("{host}:{port}");
        if path != "/metrics" {
            label.push_str(path);
        }
        let uri = format!("{scheme}://{host}:{port}{path}").parse().map_err(|_| wrong())?;
        Ok(Self { uri, label, host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// What came of one scrape.
#[derive(Debug)]
pub(crate) struct Scrape {
    /// When it was started, for intervals.
    pub(crate) started: Instant,
    /// The same by the clock, for time stamps.
    pub(crate) at: SystemTime,
    /// From the start to the last byte.
    pub(crate) took: Duration,
    pub(crate) page: Result<Page, ScrapeError>,
}

/// A page as it was served.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    pub(crate) format: Format,
    /// Samples that stood behind the page's size limit.
    pub(crate) cut_samples: u64,
}

/// Fetches one page. Never takes longer than `timeout`, never keeps more than `limit` bytes. Asks for protobuf, which has
/// native histograms, if there is something to turn it into text with.
pub(crate) async fn scrape(
    client: &Client,
    address: &Address,
    timeout: Duration,
    limit: usize,
    native: Option<&mut NativePages>,
) -> Scrape {
    let (started, at) = (Instant::now(), SystemTime::now());
    let page = match tokio::time::timeout(timeout, fetch(client, address, limit, native)).await {
        Ok(page) => page,
        Err(_) => Err(ScrapeError::Timeout(timeout)),
    };
    Scrape { started, at, took: started.elapsed(), page }
}

async fn fetch(
    client: &Client,
    address: &Address,
    limit: usize,
    native: Option<&mut NativePages>,
) -> Result<Page, ScrapeError> {
    let accept = match native {
        Some(_) => format!("{},{}", protobuf::CONTENT_TYPE, Format::ACCEPT),
        None => Format::ACCEPT.to_owned(),
    };
    let request = Request::get(address.uri())
        .header(ACCEPT, accept)
        .header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")))
        .body(Full::<Bytes>::default())
        .map_err(|error| ScrapeError::Connection(error.to_string()))?;
    let response = client.send(request).await.map_err(|error| ScrapeError::Connection(error.to_string()))?;
    if !response.status().is_success() {
        return Err(ScrapeError::Status(response.status()));
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(native) = native
        && protobuf::is_content_type(content_type)
    {
        return read_protobuf(response.into_body(), limit, native).await;
    }
    let format = Format::from_content_type(content_type);
    let mut reader = PageReader::new(limit);
    reader.read(response.into_body()).await?;
    let (bytes, cut_samples) = reader.finish();
    Ok(Page { bytes, format, cut_samples })
}

/// A page in protobuf, as text. It is shorter than text, so of what stands behind the limit only that there was something
/// is known: it counts as one sample.
async fn read_protobuf(mut body: Incoming, limit: usize, native: &mut NativePages) -> Result<Page, ScrapeError> {
    let (mut kept, mut is_cut) = (Vec::new(), false);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ScrapeError::Connection(describe(&error)))?;
        let bytes = frame.data_ref().map(|bytes| &bytes[..]).unwrap_or_default();
        let room = limit.saturating_sub(kept.len()).min(bytes.len());
        is_cut |= room < bytes.len();
        kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
    let (text, decoded) = native.text(&kept, limit);
    match decoded {
        Err(error) if !is_cut => Err(ScrapeError::NotMetrics(error.to_string())),
        _ => Ok(Page { bytes: text.bytes, format: Format::Text, cut_samples: text.cut_samples + u64::from(is_cut) }),
    }
}

/// Keeps the first bytes of a page and counts the samples behind them, so that a page that is too long loses whole metric
/// families from its end and says how much, instead of being refused.
struct PageReader {
    limit: usize,
    kept: Vec<u8>,
    is_cut: bool,
    cut_samples: u64,
    at_line_start: bool,
}

impl PageReader {
    fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), is_cut: false, cut_samples: 0, at_line_start: true }
    }

    async fn read(&mut self, mut body: Incoming) -> Result<(), ScrapeError> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ScrapeError::Connection(describe(&error)))?;
            if let Some(bytes) = frame.data_ref() {
                self.push(bytes);
            }
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.kept.len());
        let (kept, rest) = bytes.split_at(bytes.len().min(room));
        if !self.is_cut {
            self.kept.extend_from_slice(kept);
        }
        let rest = if self.is_cut { bytes } else { rest };
        if rest.is_empty() {
            return;
        }
        if !self.is_cut {
            self.is_cut = true;
            let end = last_family_start(&self.kept);
            // What is taken back was the beginning of a family that has not come to its end.
            let unfinished = self.kept.split_off(end);
            self.count(&unfinished);
        }
        self.count(rest);
    }

    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.at_line_start && !matches!(byte, b'#' | b'\n' | b'\r') {
                self.cut_samples += 1;
            }
            self.at_line_start = *byte == b'\n';
        }
    }

    fn finish(self) -> (Vec<u8>, u64) {
        (self.kept, self.cut_samples)
    }
}

/// Where the last metric family of a page begins: at its first comment line. A page without comments is cut at its last
/// whole line.
fn last_family_start(page: &[u8]) -> usize {
    let mut line_starts = memchr_reverse(page).map(|newline| newline + 1);
    let last_line = line_starts.next().unwrap_or(0);
    let mut family = None;
    for start in std::iter::once(last_line).chain(line_starts).chain(std::iter::once(0)) {
        if page.get(start) == Some(&b'#') {
            family = Some(start);
        } else if family.is_some() {
            break;
        }
    }
    family.filter(|start| *start > 0).unwrap_or(last_line)
}

/// The line feeds of a page from its end.
fn memchr_reverse(page: &[u8]) -> impl Iterator<Item = usize> {
    page.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at)
}

/// Why a scrape gave no page.
#[derive(Debug, PartialEq)]
pub(crate) enum ScrapeError {
    /// No connection, or it broke.
    Connection(String),
    /// The answer was no success.
    Status(http::StatusCode),
    /// The page was not complete in time.
    Timeout(Duration),
    /// The page holds no metrics; the first line that could not be read.
    NotMetrics(String),
}

impl fmt::Display for ScrapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(cause) => f.write_str(cause),
            Self::Status(status) => write!(f, "answered {status}; is the path right?"),
            Self::Timeout(timeout) => {
                write!(f, "did not send its page within {}", humantime::format_duration(*timeout))
            }
            Self::NotMetrics(first) => write!(f, "the page holds no metrics; {first}"),
        }
    }
}

impl std::error::Error for ScrapeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_in_every_form() {
        for (text, url, label) in [
            ("127.0.0.1:9464", "http://127.0.0.1:9464/metrics", "127.0.0.1:9464"),
            ("shop:80/stats?x=1", "http://shop:80/stats?x=1", "shop:80/stats?x=1"),
            ("[::1]:9464", "http://[::1]:9464/metrics", "[::1]:9464"),
            ("http://shop", "http://shop:80/metrics", "shop:80"),
            ("https://shop/", "https://shop:443/metrics", "shop:443"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.label()), (url, label), "{text}");
        }
        assert_eq!(Address::default(), "127.0.0.1:9464".parse().unwrap());
        for bad in [
            "",
            ":",
            ":9464",
            "shop",
            "shop:",
            "shop:99999",
            "shop:0",
            "ftp://shop:1",
            "u:p@shop:1",
            "a b:1",
            "http://",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    fn read(page: &str, limit: usize, chunk: usize) -> (String, u64) {
        let mut reader = PageReader::new(limit);
        for bytes in page.as_bytes().chunks(chunk) {
            reader.push(bytes);
        }
        let (kept, cut) = reader.finish();
        (String::from_utf8(kept).unwrap(), cut)
    }

    #[test]
    fn a_page_that_is_too_long_loses_whole_families_and_counts_them() {
        let page = "# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb{x=\"1\"} 1\nb{x=\"2\"} 2\n# TYPE c gauge\nc 3\n";
        let first = page.find("# HELP b").unwrap();
        let second = page.find("# TYPE c").unwrap();
        for chunk in [1, 7, 1000] {
            assert_eq!(read(page, page.len(), chunk), (page.to_owned(), 0));
            // The last byte is missing: the family that it belongs to goes.
            assert_eq!(read(page, page.len() - 1, chunk), (page[..second].to_owned(), 1));
            assert_eq!(read(page, second - 3, chunk), (page[..first].to_owned(), 3));
            assert_eq!(read(page, first + 3, chunk), (page[..first].to_owned(), 3));
        }
    }

    #[test]
    fn a_page_without_comments_is_cut_at_a_line() {
        assert_eq!(read("a 1\nb 2\nc 3\n", 9, 4), ("a 1\nb 2\n".to_owned(), 1));
        assert_eq!(read("aaaaaaaaaaaaaaa 1\n", 4, 4), (String::new(), 1));
    }
}

//! Requests and answers, and how both are read from a stream.

use serde_json::Value;
use std::io::{self, BufRead, Read};

const LONGEST_HEAD: u64 = 64 * 1024;
/// Pages of 100,000 series have some 20 MB.
const LONGEST_BODY: u64 = 256 * 1024 * 1024;

/// A request as [`Server`](super::Server) received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

/// An answer: what [`get`](super::get) received, or what a server is to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none; the message shows it.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        json(&self.body)
    }
}

impl Response {
    /// A text to send.
    #[must_use]
    pub fn text_with_type(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// A plain text to send.
    #[must_use]
    pub fn plain(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::text_with_type(status, "text/plain; charset=utf-8", body)
    }

    /// The first header of that name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none; the message shows it.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        json(&self.body)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[track_caller]
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", String::from_utf8_lossy(body)))
}

/// The first line and the headers.
pub(super) struct Head {
    pub(super) first: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut from = from.take(LONGEST_HEAD);
        let first = line(&mut from)?;
        let mut headers = Vec::new();
        loop {
            let text = line(&mut from)?;
            if text.is_empty() {
                return Ok(Self { first, headers });
            }
            let (name, value) = text.split_once(':').ok_or_else(|| bad(&format!("no header: {text:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The body that these headers announce; with none of them, `otherwise`.
    pub(super) fn body(&self, from: &mut impl BufRead, otherwise: Otherwise) -> io::Result<Vec<u8>> {
        let chunked =
            find(&self.headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        if chunked {
            return chunks(from);
        }
        let mut body = Vec::new();
        match find(&self.headers, "content-length") {
            Some(length) => {
                let length = length.parse().map_err(|_| bad(&format!("content-length: {length:?}")))?;
                exactly(from, length, &mut body)?;
            }
            None if otherwise == Otherwise::ToTheEnd => {
                from.take(LONGEST_BODY).read_to_end(&mut body)?;
            }
            None => {}
        }
        Ok(body)
    }
}

/// The body of a message that announces none: nothing for a request, all until the close for an answer.
#[derive(PartialEq, Eq)]
pub(super) enum Otherwise {
    Empty,
    ToTheEnd,
}

fn chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(&mut from.take(LONGEST_HEAD))?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| bad(&format!("chunk size: {size:?}")))?;
        if size == 0 {
            // Trailers, if any, up to the empty line.
            while !line(&mut from.take(LONGEST_HEAD))?.is_empty() {}
            return Ok(body);
        }
        exactly(from, size, &mut body)?;
        line(&mut from.take(LONGEST_HEAD))?;
    }
}

fn exactly(from: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if length.saturating_add(body.len() as u64) > LONGEST_BODY {
        return Err(bad("body too long for a test"));
    }
    let read = from.take(length).read_to_end(body)?;
    if (read as u64) < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("body ends after {read} of {length} bytes")));
    }
    Ok(())
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => {}
        _ => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within a line")),
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| bad("a header is no UTF-8"))
}

pub(super) fn bad(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> io::Result<(Head, Vec<u8>)> {
        let mut from = message.as_bytes();
        let head = Head::read(&mut from)?;
        let body = head.body(&mut from, Otherwise::ToTheEnd)?;
        Ok((head, body))
    }

    #[test]
    fn bodies_come_by_length_by_chunks_or_to_the_end() {
        let cases = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ];
        for case in cases {
            let (head, body) = read(case).unwrap_or_else(|error| panic!("{case:?}: {error}"));
            assert_eq!((head.first.as_str(), body.as_slice()), ("HTTP/1.1 200 OK", b"hello".as_slice()), "{case:?}");
        }
    }

    #[test]
    fn a_message_cut_short_is_an_error() {
        let cases = [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        ];
        for case in cases {
            assert!(read(case).is_err(), "{case:?}");
        }
    }
}

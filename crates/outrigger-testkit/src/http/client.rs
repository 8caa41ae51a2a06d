//! One request, one connection, one deadline.

use super::message::{Head, Otherwise, Response, bad};
use std::{
    io::{self, BufReader, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// GETs `http://host:port/path`.
///
/// # Errors
/// When the peer cannot be reached, is silent for 30 s, or answers no HTTP. A status of 4xx or 5xx is an answer.
pub fn get(url: &str) -> io::Result<Response> {
    request("GET", url, &[], b"", TIMEOUT)
}

/// POSTs a body.
///
/// # Errors
/// As [`get`].
pub fn post(url: &str, content_type: &str, body: impl AsRef<[u8]>) -> io::Result<Response> {
    request("POST", url, &[("content-type", content_type)], body.as_ref(), TIMEOUT)
}

/// PUTs a body.
///
/// # Errors
/// As [`get`].
pub fn put(url: &str, content_type: &str, body: impl AsRef<[u8]>) -> io::Result<Response> {
    request("PUT", url, &[("content-type", content_type)], body.as_ref(), TIMEOUT)
}

/// DELETEs.
///
/// # Errors
/// As [`get`].
pub fn delete(url: &str) -> io::Result<Response> {
    request("DELETE", url, &[], b"", TIMEOUT)
}

/// Any request. `timeout` bounds the connection and each silence of the peer.
///
/// # Errors
/// As [`get`], with `timeout` in place of 30 s.
pub fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout: Duration,
) -> io::Result<Response> {
    let rest = url.strip_prefix("http://").ok_or_else(|| bad(&format!("{url}: only http:// here")))?;
    let slash = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };

    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");

    let mut stream = connect(authority, timeout)?;
    let mut message = head.into_bytes();
    message.extend_from_slice(body);
    // A peer may answer and close before it has read a body that it refuses: its answer counts more than our write.
    let written = stream.write_all(&message);
    match read(method, &stream) {
        Err(error) => Err(written.err().unwrap_or(error)),
        answer => answer,
    }
}

fn read(method: &str, stream: &TcpStream) -> io::Result<Response> {
    let mut reader = BufReader::new(stream);
    loop {
        let head = Head::read(&mut reader)?;
        let status = head.first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| bad(&format!("no status line: {:?}", head.first)))?;
        if status == 100 {
            continue;
        }
        let bodiless = method == "HEAD" || status == 204 || status == 304;
        let body = if bodiless { Vec::new() } else { head.body(&mut reader, Otherwise::ToTheEnd)? };
        return Ok(Response { status, headers: head.headers, body });
    }
}

fn connect(authority: &str, timeout: Duration) -> io::Result<TcpStream> {
    let with_port = if authority.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut last = bad(&format!("{authority}: no address"));
    for address in with_port.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

//! A server inside the test: a thread per connection, a closure that answers.

use super::message::{Head, Otherwise, Request, Response, bad};
use std::{
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Answers on a free port of loopback until dropped.
///
/// ```
/// use outrigger_testkit::http::{self, Response, Server};
/// let server = Server::start(|request| Response::plain(200, format!("you asked for {}", request.path)));
/// assert_eq!(http::get(&server.url("/hello")).unwrap().text(), "you asked for /hello");
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it. The closure runs once per request, on the connection's own thread, so it may take its time.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[must_use]
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let closing = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&closing);
        let answer = Arc::new(answer);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    // The peer may close at any moment; there is nobody to tell.
                    let _ = serve(&stream, answer.as_ref());
                });
            }
        });
        Self { address, closing, acceptor: Some(acceptor) }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then closes the port.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(stream: &TcpStream, answer: &impl Fn(&Request) -> Response) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let head = Head::read(&mut reader)?;
    let mut words = head.first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(bad("no request line"));
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let body = head.body(&mut reader, Otherwise::Empty)?;
    let request = Request { method, path, headers: head.headers, body };

    let response = answer(&request);
    let mut message = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", response.body.len()));
    let mut message = message.into_bytes();
    if request.method != "HEAD" {
        message.extend_from_slice(&response.body);
    }
    (&*stream).write_all(&message)
}

fn reason(status: u16) -> &'static str {
    match status {
        200..300 => "OK",
        300..400 => "Elsewhere",
        400..500 => "Refused",
        _ => "Failed",
    }
}

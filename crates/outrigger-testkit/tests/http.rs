//! Client, server and webhook sink talk to each other and to peers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use outrigger_testkit::{
    WebhookSink, free_port,
    http::{self, Response, Server},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

#[test]
fn methods_headers_and_bodies_arrive() {
    let server = Server::start(|request| {
        let told = format!("{} {} {:?} {}", request.method, request.path, request.header("x-word"), request.text());
        Response { status: 201, headers: vec![("x-answer".into(), "yes".into())], body: told.into_bytes() }
    });
    let url = server.url("/path?query=1");
    let answer = http::request("PATCH", &url, &[("x-word", "said")], b"body", Duration::from_secs(10)).expect("served");
    assert_eq!((answer.status, answer.header("x-answer")), (201, Some("yes")));
    assert_eq!(answer.text(), "PATCH /path?query=1 Some(\"said\") body");
    assert_eq!(http::get(&url).expect("served").text(), "GET /path?query=1 None ");
    assert_eq!(http::put(&url, "text/plain", "b").expect("served").text(), "PUT /path?query=1 None b");
    assert_eq!(http::delete(&url).expect("served").text(), "DELETE /path?query=1 None ");

    drop(server);
    assert!(http::get(&url).is_err(), "the port is closed");
}

#[test]
fn a_sink_records_and_answers_as_told() {
    let sink = WebhookSink::start();
    assert_eq!(http::post(&sink.url("/hook"), "application/json", r#"{"a":1}"#).expect("served").status, 200);
    sink.answer_with(503);
    assert_eq!(http::post(&sink.url("/other"), "application/json", "{}").expect("served").status, 503);
    let seen = sink.wait_for(Duration::from_secs(5), "the second", |request| request.path == "/other");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(sink.requests()[0].json()["a"], 1);
    sink.clear();
    assert_eq!(sink.requests(), []);
}

#[test]
fn a_silent_peer_a_stranger_and_nobody_are_errors() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", silent.local_addr().expect("bound"));
    assert!(http::request("GET", &url, &[], b"", Duration::from_millis(100)).is_err());

    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", stranger.local_addr().expect("bound"));
    let other = thread::spawn(move || {
        let (mut stream, _) = stranger.accept().expect("a client");
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"220 ready\r\n\r\n");
    });
    // "ready" is no status code.
    assert!(http::get(&url).is_err_and(|error| error.to_string().contains("status line")));
    other.join().expect("the stranger");

    assert!(http::get(&format!("http://127.0.0.1:{}/", free_port())).is_err());
    assert!(http::get("https://127.0.0.1/").is_err_and(|error| error.to_string().contains("only http://")));
}

#[test]
fn a_client_that_sends_nonsense_does_not_stop_the_server() {
    let server = Server::start(|_| Response::plain(200, "well"));
    for nonsense in [&b"\r\n\r\n"[..], b"\xff\xfe\r\n", b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n", b""] {
        let mut stream = TcpStream::connect(server.address()).expect("accepts");
        stream.write_all(nonsense).expect("reads");
    }
    assert_eq!(http::get(&server.url("/")).expect("served").text(), "well");
}

//! WebSockets: a request that becomes something else.

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use outrigger::Metrics;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::http1::{read_until, request};
use crate::served::{Labels, Served, routes};

pub(crate) async fn a_web_socket_is_counted_at_its_handshake(metrics: Metrics) {
    let served = serve(metrics).await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (mut socket, response) =
        tokio_tungstenite::client_async("ws://test/socket", stream).await.expect("a handshake");
    assert_eq!(response.status(), 101);
    served.counted("while it is open", &Labels::of("GET", "/socket").status("101"), 1).await;
    for index in 0..3 {
        let sent = Message::text(format!("message {index}"));
        socket.send(sent.clone()).await.expect("it is open");
        assert_eq!(socket.next().await.expect("an echo").expect("no error"), sent);
    }
    socket.close(None).await.expect("it is open");
    while socket.next().await.is_some() {}
    served.ended(1).await;

    // One that is not closed, but gone.
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async("ws://test/socket", stream).await.expect("a handshake");
    drop(socket);
    served.counted("gone", &Labels::of("GET", "/socket").status("101"), 2).await;
    served.ended(2).await;
}

pub(crate) async fn a_refused_web_socket_is_an_answer(metrics: Metrics) {
    let served = serve(metrics).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(request("GET", "/socket").as_bytes()).await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    served.counted("no upgrade was asked for", &Labels::of("GET", "/socket").status("400"), 1).await;
    served.ended(1).await;
}

async fn serve(metrics: Metrics) -> Served {
    let app = routes().route("/socket", get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)));
    let app = app.layer(metrics.http_layer());
    Served::by_axum(metrics, app).await
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

//! The server for comparison: a WebSocket server of axum that sends the same message to all sockets at each request to
//! `/send`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post};
use jishu_tests::Socket;
use jishu_tests::load::{ServerProcess, ServerTask};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::WATCHERS;

/// The role of the process that runs this server.
pub(crate) const ROLE: &str = "bare";

fn file(folder: &Path) -> PathBuf {
    folder.join("message.json")
}

/// Writes the message to a file in `folder`. The server reads this file at its start, and later sends the message.
pub(crate) fn keep_message(folder: &Path, message: &str) {
    std::fs::write(file(folder), message).expect("the file can be written");
}

/// Runs the server until the process is killed.
pub(crate) fn serve(task: &ServerTask) {
    let message: Arc<str> = std::fs::read_to_string(file(&task.folder)).expect("the message").into();
    let (sender, _) = broadcast::channel::<()>(16);
    let (to_sockets, to_all) = (sender.clone(), sender);
    let upgrade = move |upgrade: WebSocketUpgrade| {
        let (message, events) = (Arc::clone(&message), to_sockets.subscribe());
        let upgraded = upgrade
            .protocols(["graphql-transport-ws"])
            .on_upgrade(move |socket| send_events(socket, message, events));
        std::future::ready::<Response>(upgraded)
    };
    let trigger = move || {
        to_all.send(()).expect("there are sockets");
        std::future::ready("sent")
    };
    let router = Router::new().route("/graphql", get(upgrade)).route("/send", post(trigger));
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", task.port)).await.expect("the port is free");
        axum::serve(listener, router).await.expect("it serves");
    });
}

async fn send_events(mut socket: WebSocket, message: Arc<str>, mut events: broadcast::Receiver<()>) {
    while events.recv().await.is_ok() {
        if socket.send(Message::text(&*message)).await.is_err() {
            return;
        }
    }
}

/// Opens 1,000 WebSockets to this server.
pub(crate) async fn listen(port: u16) -> Vec<Socket> {
    let url = format!("http://127.0.0.1:{port}/graphql");
    let mut sockets = Vec::new();
    for _ in 0..WATCHERS {
        sockets.push(Socket::open(Socket::handshake(&url)).await.expect("a WebSocket"));
    }
    sockets
}

/// Makes the server send one message to each socket.
pub(crate) async fn send_to_all(server: &ServerProcess) {
    let request = b"POST /send HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(server.response(request).await, b"sent");
}

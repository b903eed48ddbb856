//! Minimal clients of subscriptions: a WebSocket and an event stream. A client waits at most 20 seconds for a message,
//! and then fails the test.

use std::time::Duration;

use futures_util::{SinkExt, Stream, StreamExt};
use jishu_service::Services;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{Node, TestApp};

const MAX_MESSAGE_WAIT: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(MAX_MESSAGE_WAIT, future).await.unwrap_or_else(|_| panic!("{what} did not come in time"))
}

async fn watched_by(services: &Services, watchers: usize) {
    soon(&format!("{watchers} watchers"), async {
        while services.events.watchers() != watchers {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

impl Node {
    /// Waits until exactly `watchers` subscriptions watch for changes on this node.
    pub async fn watched_by(&self, watchers: usize) {
        watched_by(&self.services, watchers).await;
    }
}

impl TestApp {
    /// Waits until exactly `watchers` subscriptions watch for changes on this server.
    pub async fn watched_by(&self, watchers: usize) {
        watched_by(&self.services, watchers).await;
    }

    /// Opens a WebSocket without initialising its connection.
    pub async fn socket(&self) -> Socket {
        Socket::open(Socket::handshake(&self.url("/graphql"))).await.expect("a WebSocket")
    }

    /// Opens a WebSocket, and initialises its connection with this access token.
    pub async fn socket_of(&self, token: &str) -> Socket {
        let mut socket = self.socket().await;
        socket.init(json!({ "authorization": format!("Bearer {token}") })).await;
        socket
    }
}

/// A WebSocket with the protocol graphql-transport-ws.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Returns the request that opens a WebSocket. A test may change the request before it is sent.
    #[must_use]
    pub fn handshake(url: &str) -> Request {
        let mut request = url.replacen("http", "ws", 1).into_client_request().expect("a URL");
        let protocol = "graphql-transport-ws".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        request
    }

    /// Opens a WebSocket with this request.
    ///
    /// # Errors
    /// Returns the HTTP status and the body if the server refuses the request.
    pub async fn open(request: Request) -> Result<Self, (u16, String)> {
        let address = request.uri().authority().expect("an address").to_string();
        let stream = TcpStream::connect(address).await.expect("the server listens");
        Self::over(stream, request).await
    }

    /// Opens a WebSocket over this TCP connection.
    ///
    /// # Errors
    /// Returns the HTTP status and the body if the server refuses the request.
    pub async fn over(stream: TcpStream, request: Request) -> Result<Self, (u16, String)> {
        match soon("the handshake", client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                let status = response.status().as_u16();
                let body = response.into_body().unwrap_or_default();
                Err((status, String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens a WebSocket to a server on loopback, and starts a subscription with the id `1`.
    ///
    /// # Panics
    /// Panics if the subscription does not start.
    pub async fn subscribed(port: u16, token: &str, document: &str) -> Self {
        let url = format!("http://127.0.0.1:{port}/graphql");
        let mut socket = Self::open(Self::handshake(&url)).await.expect("a WebSocket");
        socket.init(json!({ "authorization": format!("Bearer {token}") })).await;
        socket.subscribe("1", document).await;
        // The server reads this ping only after the subscription has started, so the pong shows that the subscription
        // runs.
        socket.say(json!({ "type": "ping" })).await;
        assert_eq!(socket.hear().await, json!({ "type": "pong" }));
        socket
    }

    /// Sends a text message of the protocol graphql-transport-ws.
    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    /// Sends a WebSocket message of any kind.
    pub async fn send(&mut self, message: Message) {
        soon("room for a message", self.0.send(message)).await.expect("the connection is open");
    }

    /// Sends a message as soon as the connection has room for the message. Returns whether the connection was still
    /// open.
    pub async fn try_send(&mut self, message: Message) -> bool {
        self.0.send(message).await.is_ok()
    }

    /// Sends `connection_init` and waits for the acknowledgement.
    pub async fn init(&mut self, payload: Value) {
        self.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(self.hear().await, json!({ "type": "connection_ack" }));
    }

    /// Sends `subscribe` with this id and document.
    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    /// Returns the next message of the protocol graphql-transport-ws.
    pub async fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text().await).expect("JSON")
    }

    /// Returns the text of the next message of the protocol graphql-transport-ws. Skips pings and pongs of the
    /// WebSocket.
    pub async fn hear_text(&mut self) -> String {
        loop {
            match self.next().await {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Returns the next WebSocket message of any kind.
    pub async fn next(&mut self) -> Message {
        soon("a message", self.0.next()).await.expect("not the end").expect("a message")
    }

    /// Reads until the server sends a close message, and returns its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.next().await {
                let frame = frame.expect("a reason");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    /// Waits until the server closes the TCP connection. Sends nothing, and answers no pings.
    pub async fn is_cut(self) {
        let mut stream = self.0.into_inner();
        let mut sink = tokio::io::sink();
        // If the server resets the connection, the copy ends with an error. A reset counts as an end too.
        let _ = soon("the end", tokio::io::copy(&mut stream, &mut sink)).await;
    }

    /// Drops the connection without a close message.
    pub fn hang_up(self) {
        drop(self.0);
    }
}

/// A response with server-sent events.
pub struct EventStream {
    chunks: std::pin::Pin<Box<dyn Stream<Item = String> + Send>>,
    buffer: String,
    /// The number of comments of the event stream that arrived. The server sends comments to keep the connection open.
    pub comments: usize,
}

impl EventStream {
    /// Reads the body of a response as an event stream.
    ///
    /// # Panics
    /// Panics if the response is not an event stream.
    #[must_use]
    pub fn of(response: reqwest::Response) -> Self {
        let content_type = response.headers()["content-type"].to_str().expect("ASCII").to_owned();
        assert_eq!((response.status().as_u16(), content_type.as_str()), (200, "text/event-stream"));
        let chunks = response
            .bytes_stream()
            .map(|chunk| String::from_utf8(chunk.expect("no error in the stream").to_vec()).expect("UTF-8"));
        Self { chunks: Box::pin(chunks), buffer: String::new(), comments: 0 }
    }

    /// Returns the name and the data of the next event, or `None` at the end of the response.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.buffer = rest;
                if event.starts_with(':') {
                    self.comments += 1;
                    continue;
                }
                let (mut name, mut data) = (None, None);
                for line in event.lines() {
                    match line.split_once(':').expect("a field") {
                        ("event", value) => name = Some(value.trim().to_owned()),
                        ("data", value) => data = Some(value.trim().to_owned()),
                        (other, _) => panic!("{other}"),
                    }
                }
                // A browser ignores an event without data, so each event must have data.
                let data = data.expect("data");
                let data =
                    if data.is_empty() { Value::Null } else { serde_json::from_str(&data).expect("JSON") };
                return Some((name.expect("a name"), data));
            }
            self.buffer += &soon("an event", self.chunks.next()).await?;
        }
    }
}

//! One connection: its operations, and when it is closed.

use std::pin::pin;

use async_graphql::ServerError;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_stream::{StreamExt, StreamMap};

use super::MAX_MESSAGE_BYTES;
use super::message::{ClientMessage, ServerMessage};
use crate::auth::{Identity, TokenError};
use crate::graphql::RequestId;
use crate::http::AppState;
use crate::http::Stopping;
use crate::http::graphql::admitted::{Refused, look, prepare};
use crate::http::graphql::credentials::{of_value, remaining};
use crate::http::graphql::running::{Running, Step, beyond};
use crate::limit::ClientAddress;
use graphql_engine::GraphqlRequest;

/// A client that is told of the end gets so long to read it and to agree.
const FAREWELL: Duration = Duration::from_secs(2);

/// The most bytes that a close frame has room for.
const MAX_REASON_BYTES: usize = 123;

/// How a connection ends.
enum End {
    /// The server closes it, and says why.
    Close { code: u16, reason: String },
    /// The client closes it.
    Closed,
    /// Nobody is there to be told.
    Gone,
}

impl End {
    fn close(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        Self::Close { code, reason }
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Self::close(4400, reason)
    }

    fn unauthorized() -> Self {
        Self::close(4401, "Unauthorized")
    }

    /// Clients of graphql-ws try again after this one: with a new token.
    fn forbidden(reason: impl Into<String>) -> Self {
        Self::close(4403, reason)
    }
}

pub(super) struct Connection {
    socket: WebSocket,
    state: AppState,
    id: RequestId,
    client: ClientAddress,
    /// Who asks: as the request said that became this connection, and then as `connection_init` says.
    identity: Option<Identity>,
    is_acknowledged: bool,
    /// When the token expires.
    expiry: Option<Instant>,
    operations: StreamMap<String, Running>,
    /// A subscription begins: what the client says after it is heard once it has begun, so that what it reads or does
    /// then falls into no gap.
    beginning: Option<BoxFuture<'static, ()>>,
    /// A ping was sent, and nothing came since.
    is_silent: bool,
    is_stopping: bool,
}

impl Connection {
    pub(super) fn new(
        socket: WebSocket,
        state: AppState,
        id: RequestId,
        client: ClientAddress,
        identity: Option<Identity>,
    ) -> Self {
        Self {
            socket,
            state,
            id,
            client,
            identity,
            is_acknowledged: false,
            expiry: None,
            operations: StreamMap::new(),
            beginning: None,
            is_silent: false,
            is_stopping: false,
        }
    }

    pub(super) async fn serve(mut self, stopping: Stopping) {
        let end = match self.converse(&stopping).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let Self { mut socket, operations, .. } = self;
        drop(operations);
        let farewell = async {
            match end {
                End::Gone => return,
                End::Closed => {}
                End::Close { code, reason } => {
                    tracing::debug!(code, reason, "closing a WebSocket");
                    let frame = CloseFrame { code, reason: reason.into() };
                    if socket.send(Message::Close(Some(frame))).await.is_err() {
                        return;
                    }
                }
            }
            // A socket that is closed with something unread would take back what was sent last.
            while let Some(Ok(_)) = socket.recv().await {}
        };
        let _ = timeout(FAREWELL, farewell).await;
    }

    /// Talks until there is an end to it.
    async fn converse(&mut self, stopping: &Stopping) -> Result<std::convert::Infallible, End> {
        let mut stop = pin!(stopping.begun());
        let init = Instant::now() + self.state.live.init();
        let mut ping = Instant::now() + self.state.live.ping();
        loop {
            if self.is_stopping && self.operations.is_empty() {
                // The subscriptions are not completed: the client is to come again, and finds another node.
                return Err(End::close(1001, "The server is stopping"));
            }
            let init = (!self.is_acknowledged).then_some(init);
            // In this order: a client that always has something to say is still closed in time.
            tokio::select! {
                biased;
                () = &mut stop, if !self.is_stopping => self.finish_what_ends(),
                () = reach(self.expiry) => return Err(End::forbidden(TokenError::Expired.to_string())),
                () = reach(init) => return Err(End::close(4408, "Connection initialisation timeout")),
                () = begun(&mut self.beginning), if self.beginning.is_some() => self.beginning = None,
                message = self.socket.recv(), if self.beginning.is_none() => match message {
                    None => return Err(End::Gone),
                    Some(Err(_)) => return Err(End::invalid(format!(
                        "Not a WebSocket message of at most {MAX_MESSAGE_BYTES} bytes"
                    ))),
                    Some(Ok(message)) => self.receive(message).await?,
                },
                () = sleep_until(ping) => {
                    if self.is_silent {
                        return Err(End::Gone);
                    }
                    self.is_silent = true;
                    ping = Instant::now() + self.state.live.ping();
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                Some((id, step)) = self.operations.next() => self.report(&id, step).await?,
            }
        }
    }

    fn finish_what_ends(&mut self) {
        self.is_stopping = true;
        let live: Vec<String> = self
            .operations
            .iter()
            .filter(|(_, running)| running.is_live())
            .map(|(id, _)| id.clone())
            .collect();
        for id in live {
            self.operations.remove(&id);
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        self.is_silent = false;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(End::invalid("Messages are text")),
            Message::Close(_) => return Err(End::Closed),
            // The library has answered.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        match ClientMessage::read(&text).map_err(End::invalid)? {
            ClientMessage::Init(payload) => self.acknowledge(&payload).await,
            ClientMessage::Ping(payload) => {
                // A ping that is answered is paid for like anything else.
                look(&self.state, self.client, self.identity.is_some())
                    .map_err(|_spent| End::close(1013, "Too many messages: try again later"))?;
                self.say(&ServerMessage::Pong { payload }).await
            }
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { id, call } => self.start(id, *call).await,
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
        }
    }

    async fn acknowledge(&mut self, payload: &Map<String, Value>) -> Result<(), End> {
        if self.is_acknowledged {
            return Err(End::close(4429, "Too many initialisation requests"));
        }
        let authorization = payload.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some((_, value)) = authorization.filter(|(_, value)| !value.is_null()) {
            let identity = value.as_str().and_then(|value| of_value(&self.state, self.client, value));
            let identity = identity.ok_or_else(|| {
                End::forbidden("`authorization` is `Bearer` and an access token, or is left out")
            })?;
            self.identity = Some(identity.map_err(|error| End::forbidden(error.to_string()))?);
        }
        self.expiry =
            self.identity.as_ref().map(|identity| Instant::now() + remaining(&self.state, identity));
        self.is_acknowledged = true;
        self.say(&ServerMessage::ConnectionAck).await
    }

    async fn start(&mut self, id: String, call: GraphqlRequest) -> Result<(), End> {
        if !self.is_acknowledged {
            return Err(End::unauthorized());
        }
        if self.operations.contains_key(&id) {
            return Err(End::close(4409, format!("Subscriber for {id} already exists")));
        }
        if self.is_stopping {
            return Ok(());
        }
        let viewer = self.identity.map(|identity| identity.viewer);
        let looked = look(&self.state, self.client, viewer.is_some()).map_err(Refused::Spent);
        let most = self.state.live.operations();
        if looked.is_ok() && self.operations.len() >= most {
            let payload = &[too_many(self.state.live.live_operations)];
            return self.say(&ServerMessage::Error { id: &id, payload }).await;
        }
        let prepared = looked.and_then(|looked| prepare(&self.state, looked, viewer, self.client, &call));
        let errors = match prepared {
            Ok(operation) => {
                let mut running = Running::start(&self.state, &self.id, viewer, self.client, operation, None);
                self.beginning = running.begun();
                self.operations.insert(id, running);
                return Ok(());
            }
            Err(Refused::Spent(refusal)) => vec![refusal.error()],
            Err(Refused::Document(refusal)) => refusal.errors,
        };
        self.say(&ServerMessage::Error { id: &id, payload: &errors }).await
    }

    async fn report(&mut self, id: &str, step: Step) -> Result<(), End> {
        if !matches!(step, Step::Next(_)) {
            self.operations.remove(id);
        }
        match &step {
            Step::Next(payload) => self.say(&ServerMessage::Next { id, payload }).await,
            Step::Failed(payload) => self.say(&ServerMessage::Error { id, payload }).await,
            Step::Complete => self.say(&ServerMessage::Complete { id }).await,
        }
    }

    async fn say(&mut self, message: &ServerMessage<'_>) -> Result<(), End> {
        let text = message.write().map_err(|error| {
            tracing::error!(%error, "a message cannot be written as JSON");
            End::close(1011, "Internal server error")
        })?;
        self.send(Message::Text(text.into())).await
    }

    /// Nothing else is sent meanwhile, nor read: a client that takes nothing cannot ask for more.
    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.state.live.stall(), self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                tracing::info!("a WebSocket is closed: its client takes nothing");
                Err(End::Gone)
            }
        }
    }
}

async fn begun(beginning: &mut Option<BoxFuture<'static, ()>>) {
    if let Some(beginning) = beginning {
        beginning.await;
    }
}

async fn reach(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn too_many(most: u32) -> ServerError {
    let message =
        format!("A connection may have {most} operations at once. Complete one, or open another connection.");
    beyond("operations", most, message)
}

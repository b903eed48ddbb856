//! Runs the operations of one WebSocket connection, and closes the connection when it must end.

use std::fmt::Display;
use std::pin::{Pin, pin};

use async_graphql::ServerError;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_stream::{StreamExt, StreamMap};
use tungstenite::error::ProtocolError;

use super::MAX_MESSAGE_BYTES;
use super::message::{ClientMessage, ServerMessage, write_next};
use crate::graphql::RequestId;
use crate::http::graphql::budgets::{OperationRefusal, charge_request, prepare_operation};
use crate::http::graphql::caller::Caller;
use crate::http::graphql::credentials::{end_of_token, verify_authorization};
use crate::http::graphql::execution::{Execution, ExecutionEvent, limit_exceeded};
use crate::http::graphql::observed::ObservedOperation;
use crate::http::{AppState, ShutdownSignal};
use graphql_engine::GraphqlRequest;
use jishu_service::account::ClientProgram;
use jishu_service::auth::{AuthenticatedViewer, TokenError};
use jishu_service::limit::ClientAddress;
use jishu_service::metrics::OperationTransport;

/// The time that a client has to read the close frame and to confirm it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum length of the reason in a close frame, which the WebSocket protocol sets.
const MAX_REASON_BYTES: usize = 123;

/// The way in which a connection ends.
enum ConnectionEnd {
    /// The server closes the connection, with a code and a reason.
    ByServer { code: u16, reason: String },
    /// The client closes the connection.
    ByClient,
    /// The connection is lost, the client has sent nothing for too long, or a message has waited too long for the
    /// client to receive it. No close frame is sent.
    Lost,
}

impl ConnectionEnd {
    fn close(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        Self::ByServer { code, reason }
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Self::close(4400, reason)
    }

    /// Returns how the connection ends after this error of `recv`.
    fn of_error(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref() {
            Some(tungstenite::Error::Capacity(_)) => {
                Self::invalid(format!("Send WebSocket messages of at most {MAX_MESSAGE_BYTES} bytes"))
            }
            Some(tungstenite::Error::Utf8(_)) => {
                Self::close(1007, "A message is not valid UTF-8. Send text messages in UTF-8.")
            }
            Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Lost,
            Some(tungstenite::Error::Protocol(error)) => {
                Self::close(1002, format!("{error}. Send the frames that RFC 6455 allows."))
            }
            // On a connection that has failed, no close frame can be sent.
            _ => Self::Lost,
        }
    }

    fn unauthorized() -> Self {
        Self::close(4401, "Unauthorized")
    }

    /// Ends the connection with the close code 4403. After this code, graphql-ws clients connect again with a new
    /// token.
    fn forbidden(reason: impl Into<String>) -> Self {
        Self::close(4403, reason)
    }
}

/// A WebSocket connection of one client.
pub(super) struct WebSocketConnection {
    socket: WebSocket,
    state: AppState,
    /// The id of the request that became this connection.
    request_id: RequestId,
    client: ClientAddress,
    program: Option<ClientProgram>,
    /// The identity in the headers of the request that became this connection. `connection_init` may replace it.
    identity: Option<AuthenticatedViewer>,
    is_acknowledged: bool,
    /// Completes when the access token is no longer valid. Never completes without a token, or before
    /// `connection_init`.
    end_of_token: Pin<Box<dyn Future<Output = TokenError> + Send>>,
    /// The running operations, by the ids that the client gave them.
    operations: StreamMap<String, Execution>,
    /// Completes when the newest subscription has started, or has failed to start in time. Messages are read only after
    /// that, so that the subscription misses no event that a later message causes.
    starting: Option<BoxFuture<'static, ()>>,
    /// Whether nothing has arrived from the client since the last ping.
    is_silent: bool,
    is_draining: bool,
}

impl WebSocketConnection {
    pub(super) fn new(
        socket: WebSocket,
        state: AppState,
        request_id: RequestId,
        (client, program): (ClientAddress, Option<ClientProgram>),
        identity: Option<AuthenticatedViewer>,
    ) -> Self {
        Self {
            socket,
            state,
            request_id,
            client,
            program,
            identity,
            is_acknowledged: false,
            end_of_token: Box::pin(std::future::pending()),
            operations: StreamMap::new(),
            starting: None,
            is_silent: false,
            is_draining: false,
        }
    }

    /// Serves the connection until it ends.
    pub(super) async fn serve(mut self: Box<Self>, shutdown: ShutdownSignal) {
        let end = match self.run(&shutdown).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let Self { mut socket, operations, .. } = *self;
        drop(operations);
        let close = async {
            match end {
                ConnectionEnd::Lost => return,
                ConnectionEnd::ByClient => {}
                ConnectionEnd::ByServer { code, reason } => {
                    tracing::debug!(code, reason, "closing a WebSocket");
                    let frame = CloseFrame { code, reason: reason.into() };
                    if socket.send(Message::Close(Some(frame))).await.is_err() {
                        return;
                    }
                }
            }
            // Closing a socket that has unread bytes could discard the close frame. So the remaining messages are read
            // first.
            while let Some(Ok(_)) = socket.recv().await {}
        };
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }

    /// Handles messages and operations until the connection ends.
    async fn run(&mut self, shutdown: &ShutdownSignal) -> Result<std::convert::Infallible, ConnectionEnd> {
        let mut draining = pin!(shutdown.draining());
        let init_deadline = Instant::now() + self.state.live.init();
        let mut ping = Instant::now() + self.state.live.ping();
        loop {
            if self.is_draining && self.operations.is_empty() {
                // Subscriptions get no `complete`, so that the client connects again and reaches another node.
                return Err(ConnectionEnd::close(1001, "The server is stopping"));
            }
            let init_deadline = (!self.is_acknowledged).then_some(init_deadline);
            // The branches are checked in this order, so that a client that never stops sending is still closed in
            // time.
            tokio::select! {
                biased;
                () = &mut draining, if !self.is_draining => self.drain(),
                reason = &mut self.end_of_token => return Err(ConnectionEnd::forbidden(reason.to_string())),
                () = at(init_deadline) => return Err(ConnectionEnd::close(4408, "Connection initialisation timeout")),
                () = started(&mut self.starting), if self.starting.is_some() => self.starting = None,
                message = self.socket.recv(), if self.starting.is_none() => match message {
                    None => return Err(ConnectionEnd::Lost),
                    Some(Err(error)) => return Err(ConnectionEnd::of_error(error)),
                    // The future of `receive` is large. In a box, it takes memory only while a message is handled.
                    Some(Ok(message)) => Box::pin(self.receive(message)).await?,
                },
                () = sleep_until(ping) => {
                    if self.is_silent {
                        return Err(ConnectionEnd::Lost);
                    }
                    self.is_silent = true;
                    ping = Instant::now() + self.state.live.ping();
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                Some((id, event)) = self.operations.next() => Box::pin(self.report(&id, event)).await?,
            }
        }
    }

    /// Ends all subscriptions of the connection. Queries and mutations may finish.
    fn drain(&mut self) {
        self.is_draining = true;
        let subscriptions: Vec<String> = self
            .operations
            .iter()
            .filter(|(_, execution)| execution.is_subscription())
            .map(|(id, _)| id.clone())
            .collect();
        for id in subscriptions {
            self.operations.remove(&id);
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), ConnectionEnd> {
        self.is_silent = false;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(ConnectionEnd::invalid("Messages must be text")),
            Message::Close(_) => return Err(ConnectionEnd::ByClient),
            // axum has already responded to a ping.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        match ClientMessage::read(&text).map_err(ConnectionEnd::invalid)? {
            ClientMessage::Init(payload) => self.acknowledge(&payload).await,
            ClientMessage::Ping(payload) => {
                // A ping is charged like any other request, because it gets a response.
                charge_request(&self.state, self.client, self.identity.is_some()).map_err(
                    |_over_budget| ConnectionEnd::close(1013, "Too many messages: try again later"),
                )?;
                self.send_message(&ServerMessage::Pong { payload }).await
            }
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { id, call } => self.start(id, *call).await,
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
        }
    }

    async fn acknowledge(&mut self, payload: &Map<String, Value>) -> Result<(), ConnectionEnd> {
        if self.is_acknowledged {
            return Err(ConnectionEnd::close(4429, "Too many initialisation requests"));
        }
        let authorization = payload.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some((_, value)) = authorization.filter(|(_, value)| !value.is_null()) {
            let identity =
                value.as_str().and_then(|value| verify_authorization(&self.state, self.client, value));
            let identity = identity.ok_or_else(|| {
                ConnectionEnd::forbidden("`authorization` must be `Bearer` and an access token, or left out")
            })?;
            self.identity = Some(identity.map_err(|error| ConnectionEnd::forbidden(error.to_string()))?);
        }
        self.end_of_token = end_of_token(&self.state, self.identity.as_ref());
        self.is_acknowledged = true;
        self.send_message(&ServerMessage::ConnectionAck).await
    }

    async fn start(&mut self, id: String, call: GraphqlRequest) -> Result<(), ConnectionEnd> {
        if !self.is_acknowledged {
            return Err(ConnectionEnd::unauthorized());
        }
        if self.operations.contains_key(&id) {
            return Err(ConnectionEnd::close(4409, format!("Subscriber for {id} already exists")));
        }
        if self.is_draining {
            return Ok(());
        }
        let viewer = self.identity.map(|identity| identity.viewer);
        let caller = Caller { client: self.client, program: self.program, viewer };
        let charge = charge_request(&self.state, caller.client, caller.viewer.is_some())
            .map_err(OperationRefusal::OverBudget);
        if charge.is_ok() && self.operations.len() >= self.state.live.max_operations() {
            let payload = &[too_many_operations(self.state.live.live_operations)];
            return self.send_message(&ServerMessage::Error { id: &id, payload }).await;
        }
        let transport = OperationTransport::WebSocket;
        let prepared =
            charge.and_then(|charge| prepare_operation(&self.state, charge, caller, &call, transport));
        let errors = match prepared {
            Ok(operation) => {
                let observed = ObservedOperation::begin(&self.state, &operation, transport, None);
                let mut execution =
                    Execution::start(&self.state, &self.request_id, caller, (operation, observed), None);
                self.starting = execution.started();
                self.operations.insert(id, execution);
                return Ok(());
            }
            Err(OperationRefusal::OverBudget(refusal)) => vec![refusal.error()],
            Err(OperationRefusal::Document(refusal)) => refusal.errors,
        };
        self.send_message(&ServerMessage::Error { id: &id, payload: &errors }).await
    }

    /// Sends an event of an operation to the client.
    async fn report(&mut self, id: &str, event: ExecutionEvent) -> Result<(), ConnectionEnd> {
        if !matches!(event, ExecutionEvent::Next(_)) {
            self.operations.remove(id);
        }
        match &event {
            ExecutionEvent::Next(response) => self.send_text(write_next(id, response)).await,
            ExecutionEvent::Failed(payload) => self.send_message(&ServerMessage::Error { id, payload }).await,
            ExecutionEvent::Complete => self.send_message(&ServerMessage::Complete { id }).await,
        }
    }

    async fn send_message(&mut self, message: &ServerMessage<'_>) -> Result<(), ConnectionEnd> {
        self.send_text(message.write()).await
    }

    async fn send_text<E: Display>(&mut self, text: Result<String, E>) -> Result<(), ConnectionEnd> {
        let text = text.map_err(|error| {
            tracing::error!(%error, "cannot write a WebSocket message as JSON");
            ConnectionEnd::close(1011, "Internal server error")
        })?;
        self.send(Message::Text(text.into())).await
    }

    /// Sends a frame. Until the frame is sent, nothing else is read, so a client that receives nothing cannot request
    /// more. If the client does not receive the frame within the stall timeout, the connection is lost.
    async fn send(&mut self, message: Message) -> Result<(), ConnectionEnd> {
        let stall_timeout = self.state.live.stall();
        match timeout(stall_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ConnectionEnd::Lost),
            Err(_) => {
                tracing::info!(
                    seconds = stall_timeout.as_secs(),
                    "closed a WebSocket, because its client did not receive the messages of the server"
                );
                Err(ConnectionEnd::Lost)
            }
        }
    }
}

async fn started(starting: &mut Option<BoxFuture<'static, ()>>) {
    if let Some(starting) = starting {
        starting.await;
    }
}

/// Completes at this time, or never for None.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn too_many_operations(maximum: u32) -> ServerError {
    let message = format!(
        "This connection has {maximum} operations, which is the maximum. Complete one, or open another connection."
    );
    limit_exceeded("operations", maximum, message)
}

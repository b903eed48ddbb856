//! GraphQL over WebSocket, with the protocol graphql-transport-ws.
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>

mod connection;
mod message;

use axum::extract::WebSocketUpgrade;
use axum::http::StatusCode;
use axum::response::Response;
use tracing::{Instrument, Span};

use self::connection::WebSocketConnection;
use super::budgets::reject_credentials;
use super::credentials;
use super::request_context::RequestContext;
use crate::http::observe::LogSpan;
use crate::http::refusal::RequestRefusal;
use crate::http::response::MediaType;
use crate::http::{AllowedOrigins, AppState};
use jishu_service::metrics::RequestMetrics;

const PROTOCOL: &str = "graphql-transport-ws";

/// The maximum size of a message from a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// The size of the read buffer of a WebSocket, in bytes: one read takes at most this number of bytes. The default of
/// 128 KiB would be most of the memory of a quiet connection. The buffer grows for a longer message.
const READ_BUFFER_BYTES: usize = 1024;

/// Upgrades the connection of a request to a WebSocket.
pub(super) fn accept(
    state: &AppState,
    context: RequestContext,
    origins: &AllowedOrigins,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Browsers open WebSockets across origins without a preflight request, so the origin is checked here.
    if !origins.admit(&context.headers) {
        let message = "Pages of this origin may not open a WebSocket here. Add the origin to `--cors-origins` \
                       of the server.";
        let refusal = RequestRefusal::new(StatusCode::FORBIDDEN, "FORBIDDEN", message);
        return refusal.into_response(MediaType::Json);
    }
    let upgrade = upgrade.protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let message = "The request does not offer a WebSocket protocol that this server speaks. Name \
                       `graphql-transport-ws` in `Sec-WebSocket-Protocol`.";
        return RequestRefusal::bad_request(message).into_response(MediaType::Json);
    }
    let identity = match credentials::authenticate(state, context.client, &context.headers) {
        Ok(identity) => identity,
        Err(refusal) => return reject_credentials(state, context.client, refusal, MediaType::Json),
    };
    // The connection runs in the span of the log lines. The span of the trace ends with the handshake, because each
    // operation is a trace of its own.
    let span = context.log_span.clone().map_or_else(Span::current, |LogSpan(span)| span);
    let connection_state = state.clone();
    let response = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |socket| {
            let program = context.program();
            let RequestContext { id, client, shutdown, .. } = context;
            let counted = connection_state.services.metrics.requests().map(RequestMetrics::websocket);
            // The connection is in a box, because a future that moves a value has room for several copies of the value.
            let connection =
                WebSocketConnection::new(socket, connection_state, id, (client, program), identity);
            let connection = Box::new(connection);
            async move {
                // Counts the WebSocket until it closes.
                let _counted = counted;
                connection.serve(shutdown).await;
            }
            .instrument(span)
        });
    state.with_viewer(response, identity.as_ref())
}

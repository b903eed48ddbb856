//! GraphQL over WebSocket: graphql-transport-ws.
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>

mod connection;
mod message;

use axum::Extension;
use axum::extract::WebSocketUpgrade;
use axum::http::StatusCode;
use axum::response::Response;
use tracing::Instrument;

use self::connection::Connection;
use super::admitted::turn_away;
use super::answer::Media;
use super::{Common, credentials};
use crate::http::refusal::Refusal;
use crate::http::{AllowedOrigins, AppState};

const PROTOCOL: &str = "graphql-transport-ws";

/// The most bytes that a message of a client may have.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// What is read from a socket at once. The library's own 128 KiB would be most of what a quiet connection costs.
const READ_BYTES: usize = 8 * 1024;

/// Turns the connection of a request into a WebSocket.
pub(super) fn accept(
    state: AppState,
    (Extension(id), Extension(client), Extension(stopping), headers): Common,
    origins: &AllowedOrigins,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Browsers open WebSockets across origins without asking the server first.
    if !origins.admit(&headers) {
        let message = "Pages of this origin may not connect here.";
        return Refusal::new(StatusCode::FORBIDDEN, "FORBIDDEN", message).answer(Media::Json);
    }
    let upgrade = upgrade.protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let message = "WebSockets speak `graphql-transport-ws` here: name it in `Sec-WebSocket-Protocol`.";
        return Refusal::bad_request(message).answer(Media::Json);
    }
    let identity = match credentials::of_request(&state, client, &headers) {
        Ok(identity) => identity,
        Err(refusal) => return turn_away(&state, client, refusal, Media::Json),
    };
    let span = tracing::Span::current();
    let for_response = state.clone();
    let response = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |socket| {
            Connection::new(socket, state, id, client, identity).serve(stopping).instrument(span)
        });
    for_response.with_user(response, identity.as_ref())
}

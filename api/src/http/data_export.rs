//! `GET /me/export`: everything that the database stores about the signed-in user, as a JSON file.
//!
//! The export is not a field of the schema, because an account with thousands of sittings does not fit into one
//! response in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::AppState;
use super::graphql::budgets::reject_credentials;
use super::graphql::credentials::{authenticate, end_of_token};
use super::graphql::request_context::RequestContext;
use super::refusal::RequestRefusal;
use super::response::MediaType;
use jishu_service::auth::AuthenticatedViewer;
use jishu_service::data_export::{self, ExportPermit, ExportPermits, ExportPieces, ExportSource};
use jishu_service::limit::RetryAfter;

/// The cost that an export takes from the budgets, like the cost of an operation. It is about the number of objects
/// that an ordinary account has.
const EXPORT_COST: u32 = 1_000;
/// The time after which a client should retry while another export of the same account runs.
const RUNNING_RETRY_AFTER: RetryAfter = RetryAfter { wait: Duration::from_secs(10) };
/// The time after which a client should retry if an export could not begin. It is longer than
/// for a request to GraphQL, because an export reads much more.
const OVERLOADED_RETRY_AFTER: RetryAfter = RetryAfter { wait: Duration::from_secs(5) };
/// Maximum number of exports of one account that run at once on a node.
const MAX_EXPORTS_PER_USER: u32 = 1;

/// Makes the permits for the exports of a node.
pub(super) fn permits() -> ExportPermits {
    ExportPermits::new(MAX_EXPORTS_PER_USER)
}

/// Sends the export of the signed-in user. Refuses a request without a valid access token.
pub(super) async fn get(State(state): State<AppState>, context: RequestContext) -> Response {
    let media_type = MediaType::Json;
    let identity = match authenticate(&state, context.client, &context.headers) {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            let message = "The export needs an access token. Send it in the header `Authorization: Bearer`.";
            return RequestRefusal::unauthenticated(message).into_response(media_type);
        }
        Err(refusal) => return reject_credentials(&state, context.client, refusal, media_type),
    };
    let response = match export(&state, &context, identity).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(media_type),
    };
    state.with_viewer(response, Some(&identity))
}

async fn export(
    state: &AppState,
    context: &RequestContext,
    identity: AuthenticatedViewer,
) -> Result<Response, RequestRefusal> {
    let (client, user) = (context.client, identity.viewer.user_id);
    let limits = &state.services.limits;
    let over_budget = |wait| RequestRefusal::rate_limited(client, wait);
    limits.take_for_document(user).map_err(over_budget)?;
    limits.take_for_operation(Some(user), client, EXPORT_COST).map_err(over_budget)?;
    let permit = state.exports.take(user).ok_or_else(|| {
        let message = "An export of this account is running. Wait for its end, then try again.";
        RequestRefusal::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", message)
            .retry_after(RUNNING_RETRY_AFTER)
    })?;
    let source = ExportSource {
        database: state.services.database.clone(),
        papers: Arc::clone(&state.services.papers),
        clock: Arc::clone(&state.services.clock),
    };
    let pieces = data_export::begin(source, user).await.map_err(|error| {
        tracing::warn!(%error, "an export could not begin; the response asks the client to retry");
        let message = "The export could not begin. Try again in a few seconds.";
        RequestRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message)
            .retry_after(OVERLOADED_RETRY_AFTER)
    })?;
    let Some(pieces) = pieces else {
        // An access token can still be valid after its account was deleted.
        return Err(RequestRefusal::unauthenticated("This account was deleted."));
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"my-data.json\"")),
        (header::VARY, HeaderValue::from_static("authorization, origin")),
    ];
    Ok((headers, body(state, identity, pieces, permit)).into_response())
}

/// Returns a body that sends the pieces of the export. If the export fails, or the access token is no longer valid, the
/// connection is cut off, so that nobody takes a part of the export for the whole.
fn body(state: &AppState, identity: AuthenticatedViewer, pieces: ExportPieces, permit: ExportPermit) -> Body {
    let end_of_token = end_of_token(state, Some(&identity));
    let parts = Some((pieces, end_of_token, permit));
    Body::from_stream(stream::unfold(parts, async |parts| {
        let (mut pieces, mut end_of_token, permit) = parts?;
        let piece = tokio::select! {
            biased;
            reason = &mut end_of_token => Err(io::Error::other(reason.to_string())),
            piece = pieces.recv() => piece?.map(Bytes::from).map_err(|fault| {
                tracing::error!(%fault, "an export was cut off");
                io::Error::other("the export failed")
            }),
        };
        let rest = piece.is_ok().then_some((pieces, end_of_token, permit));
        Some((piece, rest))
    }))
}

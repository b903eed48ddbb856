//! Authenticates requests by their access tokens.
//!
//! A request whose token does not verify is refused as a whole. An anonymous response would hide from a client that it
//! is no longer signed in.

use std::pin::Pin;
use std::time::Duration;

use axum::http::{HeaderMap, header};

use crate::http::AppState;
use crate::http::refusal::RequestRefusal;
use jishu_service::auth::{AuthenticatedViewer, TokenError};
use jishu_service::limit::ClientAddress;
use jishu_service::security;

/// Verifies the `Authorization` header of a request. Returns None if the request does not have the header. Returns a
/// refusal if the header is not `Bearer` and a token, or if the token does not verify.
pub(in crate::http) fn authenticate(
    state: &AppState,
    client: ClientAddress,
    headers: &HeaderMap,
) -> Result<Option<AuthenticatedViewer>, RequestRefusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    match verify_authorization(state, client, value.to_str().unwrap_or_default()) {
        Some(Ok(identity)) => Ok(Some(identity)),
        Some(Err(error)) => Err(RequestRefusal::unauthenticated(error.to_string())),
        None => Err(RequestRefusal::unauthenticated(
            "The `Authorization` header is not `Bearer` and an access token. Correct it, or leave it out.",
        )),
    }
}

/// Verifies the value of an `Authorization` header, and logs why a token is refused. Returns None if the value is not
/// `Bearer` and a token.
pub(super) fn verify_authorization(
    state: &AppState,
    client: ClientAddress,
    value: &str,
) -> Option<Result<AuthenticatedViewer, TokenError>> {
    let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        security::access_token_refused(client, "not a bearer token");
        return None;
    };
    let identified = state.services.tokens.identify(token.trim(), state.services.clock.now());
    let identified = identified.and_then(|identity| {
        if state.services.deactivated.contains(identity.viewer.user_id) {
            Err(TokenError::AccountDeactivated)
        } else if state.services.ended_sessions.contains(identity.viewer.session_id) {
            Err(TokenError::SessionEnded)
        } else {
            Ok(identity)
        }
    });
    match &identified {
        Ok(_) => {}
        Err(TokenError::Expired) => security::access_token_expired(client),
        Err(TokenError::AccountDeactivated) => security::account_deactivated(client),
        Err(TokenError::SessionEnded) => security::session_ended(client),
        Err(error) => security::access_token_refused(client, error.reason()),
    }
    Some(identified)
}

/// Completes with the reason when the token of an identity is no longer valid: it has expired, its account was
/// deactivated, or its session was ended. Without an identity, the future never completes.
pub(in crate::http) fn end_of_token(
    state: &AppState,
    identity: Option<&AuthenticatedViewer>,
) -> Pin<Box<dyn Future<Output = TokenError> + Send>> {
    let Some(identity) = identity else { return Box::pin(std::future::pending()) };
    let expiry = tokio::time::sleep(time_to_expiry(state, identity));
    let deactivation = state.services.deactivated.wait_for(identity.viewer.user_id);
    let end_of_session = state.services.ended_sessions.wait_for(identity.viewer.session_id);
    Box::pin(async move {
        tokio::select! {
            // A deactivation also ends the session. This order gives the client the deactivation as the reason.
            biased;
            () = expiry => TokenError::Expired,
            () = deactivation => TokenError::AccountDeactivated,
            () = end_of_session => TokenError::SessionEnded,
        }
    })
}

/// Returns how long the token of an identity is still valid. Returns zero if the token has expired.
fn time_to_expiry(state: &AppState, identity: &AuthenticatedViewer) -> Duration {
    (identity.expires_at - state.services.clock.now()).to_std().unwrap_or_default()
}

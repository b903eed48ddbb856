//! Who asks.
//!
//! A token that does not verify refuses the request: answering it as a stranger's would hide from a client that it
//! has been signed out.

use std::time::Duration;

use axum::http::{HeaderMap, header};

use crate::http::AppState;
use crate::http::refusal::Refusal;
use jishu_service::auth::{Identity, TokenError};
use jishu_service::limit::ClientAddress;
use jishu_service::security;

/// Of a request.
pub(super) fn of_request(
    state: &AppState,
    client: ClientAddress,
    headers: &HeaderMap,
) -> Result<Option<Identity>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let verified = of_value(state, client, value.to_str().unwrap_or_default());
    match verified {
        Some(Ok(identity)) => Ok(Some(identity)),
        Some(Err(error)) => Err(Refusal::unauthenticated(error.to_string())),
        None => Err(Refusal::unauthenticated(
            "Send `Authorization: Bearer` and an access token, or no such header.",
        )),
    }
}

/// Reads the value of an `Authorization` header. Returns None if it is not `Bearer` and a token. Logs a refusal.
pub(super) fn of_value(
    state: &AppState,
    client: ClientAddress,
    value: &str,
) -> Option<Result<Identity, TokenError>> {
    let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        security::access_token_refused(client, "not a bearer token");
        return None;
    };
    let identified = state.services.tokens.identify(token.trim(), state.services.clock.now());
    match &identified {
        Ok(_) => {}
        Err(TokenError::Expired) => security::access_token_expired(client),
        Err(error) => security::access_token_refused(client, error.reason()),
    }
    Some(identified)
}

/// How long a token still works.
pub(super) fn remaining(state: &AppState, identity: &Identity) -> Duration {
    (identity.expires_at - state.services.clock.now()).to_std().unwrap_or_default()
}

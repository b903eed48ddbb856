//! Who asks.
//!
//! A token that does not verify refuses the request: answering it as a stranger's would hide from a client that it
//! has been signed out.

use std::time::Duration;

use axum::http::{HeaderMap, header};

use crate::auth::{Identity, TokenError};
use crate::http::AppState;
use crate::http::refusal::Refusal;

/// Of a request.
pub(super) fn of_request(state: &AppState, headers: &HeaderMap) -> Result<Option<Identity>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let verified = value.to_str().ok().and_then(|value| of_value(state, value));
    match verified {
        Some(Ok(identity)) => Ok(Some(identity)),
        Some(Err(error)) => Err(Refusal::unauthenticated(error.to_string())),
        None => Err(Refusal::unauthenticated(
            "Send `Authorization: Bearer` and an access token, or no such header.",
        )),
    }
}

/// Of the value of an `Authorization` header. None when it is not `Bearer` and a token.
pub(super) fn of_value(state: &AppState, value: &str) -> Option<Result<Identity, TokenError>> {
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| state.services.tokens.identify(token.trim(), state.services.clock.now()))
}

/// How long a token still works.
pub(super) fn remaining(state: &AppState, identity: &Identity) -> Duration {
    (identity.expires_at - state.services.clock.now()).to_std().unwrap_or_default()
}

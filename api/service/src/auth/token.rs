//! Access tokens: short-lived JWTs in the profile of RFC 9068, but without its claim `client_id`. They are signed with
//! Ed25519.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::UserId;
use jishu_entity::user::Role;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cache::{VerifiedCache, VerifiedClaims, fingerprint};
use super::{AuthenticatedViewer, KeyRing, Viewer, refresh};

/// Number of seconds for which a token is accepted before its `nbf`, because the clock of the issuing server may be
/// ahead. There is no leeway after `exp`: a late end would be a security hole, and an early end costs only a refresh.
pub const LEEWAY_SECONDS: i64 = 5;

/// Maximum size of an access token in bytes. Tokens of this API have about 500 bytes.
const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// Maximum number of verified access tokens in the cache. A full cache drops up to 20,000 tokens at once, but none of
/// the 20,000 tokens that were used last. So the signature of each of 20,000 learners' tokens is checked once. An entry
/// takes some 100 bytes.
const MAX_CACHED_TOKENS: usize = 40_000;

/// The media type of access tokens, for the header `typ`.
const TOKEN_TYPE: &str = "at+jwt";

/// A reason to refuse an access token. The message is for the developer of a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The time in `exp` has passed.
    #[error(
        "The access token has expired. Exchange the refresh token for a new access token and repeat the request."
    )]
    Expired,
    /// The account of the token was deactivated or deleted.
    #[error(
        "This account was deactivated or deleted, so its access tokens no longer work. Ask the people who run this \
         platform."
    )]
    AccountDeactivated,
    /// The session of the token was ended.
    #[error("The session of this access token has ended. Sign in again.")]
    SessionEnded,
    /// The time in `nbf` has not come yet.
    #[error(
        "The access token is not valid yet. Repeat the request in a few seconds; if that does not help, \
         the servers' clocks differ."
    )]
    NotYetValid,
    /// The token is far longer than any token of this API.
    #[error("The access token is longer than 4,096 bytes. Send it exactly as it was issued.")]
    TooLong,
    /// The text is not a JWT.
    #[error(
        "The access token is malformed. Send `Authorization: Bearer` and the access token exactly as it \
         was issued."
    )]
    Malformed,
    /// The text is a refresh token, or a JWT that is not an access token.
    #[error(
        "This is another kind of token. Send an access token (its `typ` is `at+jwt`); a refresh token can \
         only be exchanged for an access token."
    )]
    WrongType,
    /// The header `alg` is not `EdDSA`.
    #[error("The access token is not signed with EdDSA. Send one issued by this API.")]
    WrongAlgorithm,
    /// The header `kid` is missing, or no live key has this id.
    #[error(
        "The access token is signed with a key that this API does not have, or no longer has. Sign in \
         again, and check that the token comes from this environment."
    )]
    UnknownKey,
    /// The signature does not match the token.
    #[error(
        "The access token's signature does not match. Send it exactly as it was issued, or sign in again."
    )]
    BadSignature,
    /// The token claim `iss` names another issuer.
    #[error("The access token comes from another issuer. Sign in to this API.")]
    WrongIssuer,
    /// The token claim `aud` names another audience.
    #[error("The access token is meant for another audience. Sign in to this API.")]
    WrongAudience,
    /// The signature is valid, but a token claim is missing or unreadable.
    #[error(
        "The access token lacks a claim that this API needs, or has a claim that it cannot read. Sign in again."
    )]
    BadClaims,
    /// The configured lifetime leads to a date that cannot be represented.
    #[error("The access token's lifetime is too long. Configure a lifetime of at most 3,600 seconds.")]
    Lifetime,
    /// The token could not be signed.
    #[error("The access token could not be signed.")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

impl TokenError {
    /// Returns a short name of the error for logs, of at most three words.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::AccountDeactivated => "deactivated",
            Self::SessionEnded => "session ended",
            Self::NotYetValid => "not yet valid",
            Self::TooLong => "too long",
            Self::Malformed => "malformed",
            Self::WrongType => "wrong type",
            Self::WrongAlgorithm => "wrong algorithm",
            Self::UnknownKey => "unknown key",
            Self::BadSignature => "bad signature",
            Self::WrongIssuer => "wrong issuer",
            Self::WrongAudience => "wrong audience",
            Self::BadClaims => "bad claims",
            Self::Lifetime | Self::Signing(_) => "not issued",
        }
    }
}

/// An access token as the client gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The JWT. Whoever has it can use it, so it must not be logged or stored.
    pub token: String,
    /// The time from which the token is refused.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Issues and verifies access tokens.
#[derive(Debug)]
pub struct AccessTokens {
    keys: KeyRing,
    issuer: String,
    audience: String,
    ttl: Duration,
    validation: Validation,
    verified: VerifiedCache,
}

/// The claims of an access token. `iss` and `aud` are strings and not lists, so that a token for several audiences is
/// refused.
#[derive(Debug, Serialize, Deserialize)]
struct AccessTokenClaims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    /// The id of the session, as in OpenID Connect Front-Channel Logout 1.0, section 3.
    sid: Uuid,
    #[serde(with = "RoleClaim")]
    role: Role,
}

/// The form of a role in a token.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Role", rename_all = "snake_case")]
enum RoleClaim {
    Learner,
    Author,
    Support,
    Admin,
}

impl AccessTokens {
    /// Makes an issuer and verifier of tokens of `issuer` for `audience`. The tokens are valid for `ttl`, in whole
    /// seconds.
    pub fn new(keys: KeyRing, issuer: impl Into<String>, audience: impl Into<String>, ttl: Duration) -> Self {
        let (issuer, audience) = (issuer.into(), audience.into());
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        // Without this, the library accepts a token without `iss` or `aud`.
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library would read the clock of the system. So `check_times` checks the times instead, with the time of
        // the caller.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { keys, issuer, audience, ttl, validation, verified: VerifiedCache::new(MAX_CACHED_TOKENS) }
    }

    /// Issues a token for `viewer` with the configured lifetime.
    pub fn issue(&self, viewer: Viewer, now: DateTime<Utc>) -> Result<AccessToken, TokenError> {
        self.issue_for(viewer, now, self.ttl)
    }

    /// Issues a token for `viewer` that is valid for `ttl`, in whole seconds.
    pub fn issue_for(
        &self,
        viewer: Viewer,
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<AccessToken, TokenError> {
        let issued_at = now.timestamp();
        let expires_at = TimeDelta::from_std(ttl)
            .ok()
            .and_then(|ttl| DateTime::from_timestamp(issued_at, 0)?.checked_add_signed(ttl))
            .and_then(|at| DateTime::from_timestamp(at.timestamp(), 0))
            .ok_or(TokenError::Lifetime)?;
        let claims = AccessTokenClaims {
            iss: self.issuer.clone(),
            sub: viewer.user_id.to_string(),
            aud: self.audience.clone(),
            exp: expires_at.timestamp(),
            nbf: issued_at,
            iat: issued_at,
            jti: Uuid::new_v4().to_string(),
            sid: viewer.session_id,
            role: viewer.role,
        };
        let (kid, key) = self.keys.signing();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(kid.to_owned());
        let token = encode(&header, &claims, key).map_err(TokenError::Signing)?;
        Ok(AccessToken { token, expires_at })
    }

    /// Verifies a token at the time `now`, and returns its viewer.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Viewer, TokenError> {
        self.identify(token, now).map(|identity| identity.viewer)
    }

    /// Verifies a token at the time `now`, and returns its viewer and the time when it expires. Subscriptions need
    /// that time, because they outlast a request.
    pub fn identify(&self, token: &str, now: DateTime<Utc>) -> Result<AuthenticatedViewer, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let fingerprint = fingerprint(token);
        if let Some(verified) = self.verified.get(&fingerprint) {
            return check_times(&verified, now);
        }
        let verified = self.verify_signed(token)?;
        let identity = check_times(&verified, now)?;
        self.verified.insert(fingerprint, verified);
        Ok(identity)
    }

    /// Returns the public keys with which other services can verify the tokens.
    pub fn jwks(&self) -> JwkSet {
        self.keys.jwks()
    }

    /// Verifies every part of the token that does not depend on the current time: the signature, the header and the
    /// claims.
    fn verify_signed(&self, token: &str) -> Result<VerifiedClaims, TokenError> {
        if token.starts_with(refresh::PREFIX) {
            return Err(TokenError::WrongType);
        }
        let header = decode_header(token).map_err(|_unreadable| TokenError::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::WrongAlgorithm);
        }
        if !header.typ.as_deref().is_some_and(is_access_token_type) {
            return Err(TokenError::WrongType);
        }
        // RFC 7515, 4.1.11: a critical extension that is not understood must be refused. This code supports no
        // extension.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let key = header.kid.and_then(|kid| self.keys.verifying(&kid)).ok_or(TokenError::UnknownKey)?;
        let claims = decode::<AccessTokenClaims>(token, key, &self.validation)
            .map_err(|error| refusal(&error))?
            .claims;
        if claims.jti.is_empty() {
            return Err(TokenError::BadClaims);
        }
        let user_id = claims.sub.parse().map(UserId).map_err(|_not_an_id| TokenError::BadClaims)?;
        let viewer = Viewer { user_id, role: claims.role, session_id: claims.sid };
        Ok(VerifiedClaims { viewer, not_before: claims.nbf, expires: claims.exp })
    }
}

/// Returns whether this is the type of an access token. RFC 9068, section 4 allows it with and without `application/`.
/// By RFC 2045, media types ignore case.
fn is_access_token_type(typ: &str) -> bool {
    let bare = match typ.split_at_checked("application/".len()) {
        Some((prefix, bare)) if prefix.eq_ignore_ascii_case("application/") => bare,
        _ => typ,
    };
    bare.eq_ignore_ascii_case(TOKEN_TYPE)
}

fn check_times(verified: &VerifiedClaims, at: DateTime<Utc>) -> Result<AuthenticatedViewer, TokenError> {
    let now = at.timestamp();
    if now >= verified.expires {
        Err(TokenError::Expired)
    } else if now.saturating_add(LEEWAY_SECONDS) < verified.not_before {
        Err(TokenError::NotYetValid)
    } else {
        let expires_at = DateTime::from_timestamp(verified.expires, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Ok(AuthenticatedViewer { viewer: verified.viewer, expires_at })
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::BadSignature,
        ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
        ErrorKind::InvalidAudience => TokenError::WrongAudience,
        ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
        // The header was read before, so the error is in the claims.
        ErrorKind::Json(_) | ErrorKind::MissingRequiredClaim(_) => TokenError::BadClaims,
        _ => TokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;

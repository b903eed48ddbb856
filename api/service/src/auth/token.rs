//! Access tokens: short-lived JWTs in the profile of RFC 9068, signed with Ed25519.

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

use super::cache::{Verified, VerifiedCache, fingerprint};
use super::{Identity, KeyRing, Viewer, refresh};

/// How far the clock of another server of ours may run ahead: a token counts this many seconds before
/// its `nbf`. `exp` has no leeway: a token that ends early costs a refresh, one that ends late is a hole.
pub const LEEWAY_SECONDS: i64 = 5;

/// Ours take about 500 bytes.
const MAX_TOKEN_BYTES: usize = 4 * 1024;

const CACHED_TOKENS: usize = 10_000;

const TYPE: &str = "at+jwt";

/// Why a token was refused, in words for the developer of a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// `exp` has passed.
    #[error("The access token has expired. Exchange the refresh token for a new one and repeat the request.")]
    Expired,
    /// `nbf` is still to come.
    #[error(
        "The access token is not valid yet. Repeat the request in a few seconds; if that does not help, \
         the servers' clocks differ."
    )]
    NotYetValid,
    /// Far longer than any we issue.
    #[error("The access token is longer than 4,096 bytes. Send it exactly as it was issued.")]
    TooLong,
    /// Not a JWT.
    #[error(
        "The access token is malformed. Send `Authorization: Bearer` and the access token exactly as it \
         was issued."
    )]
    Malformed,
    /// A JWT or a refresh token, and not an access token.
    #[error(
        "This is another kind of token. Send an access token (its `typ` is `at+jwt`); a refresh token can \
         only be exchanged for one."
    )]
    WrongType,
    /// `alg` is not `EdDSA`.
    #[error("The access token is not signed with EdDSA. Send one issued by this API.")]
    WrongAlgorithm,
    /// `kid` is missing or names no live key.
    #[error(
        "The access token is signed with a key that this API does not have, or no longer has. Sign in \
         again, and check that the token comes from this environment."
    )]
    UnknownKey,
    /// The signature does not fit.
    #[error(
        "The access token's signature does not match. Send it exactly as it was issued, or sign in again."
    )]
    BadSignature,
    /// `iss` names somebody else.
    #[error("The access token comes from another issuer. Sign in to this API.")]
    WrongIssuer,
    /// `aud` names somebody else.
    #[error("The access token is meant for another audience. Sign in to this API.")]
    WrongAudience,
    /// The signature is good and a claim is missing or unreadable.
    #[error(
        "The access token lacks a claim that this API needs, or holds one it cannot read. Sign in again."
    )]
    BadClaims,
    /// The configured lifetime leads beyond the calendar.
    #[error("The access token's lifetime is out of range. Configure one of 5 to 15 minutes.")]
    Lifetime,
    /// No token could be made.
    #[error("The access token could not be signed.")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

impl TokenError {
    /// Returns the reason for the refusal in one or two words, for logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
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
    /// The JWT. It proves who bears it: never log or store it.
    pub token: String,
    /// From this moment it is refused.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Issues access tokens and verifies them.
#[derive(Debug)]
pub struct AccessTokens {
    keys: KeyRing,
    issuer: String,
    audience: String,
    ttl: Duration,
    validation: Validation,
    verified: VerifiedCache,
}

/// `iss` and `aud` are strings, and not lists, so that a token for several audiences is refused.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    /// OpenID Connect Front-Channel Logout 1.0, section 3: the session.
    sid: Uuid,
    #[serde(with = "RoleClaim")]
    role: Role,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Role", rename_all = "snake_case")]
enum RoleClaim {
    Learner,
    Author,
    Support,
    Admin,
}

impl AccessTokens {
    /// Tokens by `issuer`, for `audience`, that live for `ttl` in whole seconds.
    pub fn new(keys: KeyRing, issuer: impl Into<String>, audience: impl Into<String>, ttl: Duration) -> Self {
        let (issuer, audience) = (issuer.into(), audience.into());
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        // Without this the library accepts a token that has no `iss` or `aud` at all.
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library reads the system's clock; `check_times` compares with the caller's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { keys, issuer, audience, ttl, validation, verified: VerifiedCache::new(CACHED_TOKENS) }
    }

    /// A token for `viewer` that lives as long as is configured.
    pub fn issue(&self, viewer: Viewer, now: DateTime<Utc>) -> Result<AccessToken, TokenError> {
        self.issue_for(viewer, now, self.ttl)
    }

    /// A token for `viewer` that lives for `ttl`, in whole seconds.
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
        let claims = Claims {
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
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(kid.to_owned());
        let token = encode(&header, &claims, key).map_err(TokenError::Signing)?;
        Ok(AccessToken { token, expires_at })
    }

    /// Who bears `token`, if it is one of ours and valid at `now`.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Viewer, TokenError> {
        self.identify(token, now).map(|identity| identity.viewer)
    }

    /// The same, with the moment at which it ends: for what goes on after the request.
    pub fn identify(&self, token: &str, now: DateTime<Utc>) -> Result<Identity, TokenError> {
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

    /// The public keys with which others can verify our tokens.
    pub fn jwks(&self) -> JwkSet {
        self.keys.jwks()
    }

    /// Everything that does not depend on the time.
    fn verify_signed(&self, token: &str) -> Result<Verified, TokenError> {
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
        // RFC 7515, 4.1.11: what is critical and not understood must be refused. We understand none.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let key = header.kid.and_then(|kid| self.keys.verifying(&kid)).ok_or(TokenError::UnknownKey)?;
        let claims = decode::<Claims>(token, key, &self.validation).map_err(|error| refusal(&error))?.claims;
        if claims.jti.is_empty() {
            return Err(TokenError::BadClaims);
        }
        let user_id = claims.sub.parse().map(UserId).map_err(|_not_an_id| TokenError::BadClaims)?;
        let viewer = Viewer { user_id, role: claims.role, session_id: claims.sid };
        Ok(Verified { viewer, not_before: claims.nbf, expires: claims.exp })
    }
}

/// RFC 9068, 4: with or without `application/`; RFC 2045: media types know no case.
fn is_access_token_type(typ: &str) -> bool {
    let bare = match typ.split_at_checked("application/".len()) {
        Some((prefix, bare)) if prefix.eq_ignore_ascii_case("application/") => bare,
        _ => typ,
    };
    bare.eq_ignore_ascii_case(TYPE)
}

fn check_times(verified: &Verified, at: DateTime<Utc>) -> Result<Identity, TokenError> {
    let now = at.timestamp();
    if now >= verified.expires {
        Err(TokenError::Expired)
    } else if now.saturating_add(LEEWAY_SECONDS) < verified.not_before {
        Err(TokenError::NotYetValid)
    } else {
        let expires_at = DateTime::from_timestamp(verified.expires, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Ok(Identity { viewer: verified.viewer, expires_at })
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::BadSignature,
        ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
        ErrorKind::InvalidAudience => TokenError::WrongAudience,
        ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
        // The header has been read by then, so it is the claims that cannot be.
        ErrorKind::Json(_) | ErrorKind::MissingRequiredClaim(_) => TokenError::BadClaims,
        _ => TokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;

//! Authentication: passwords, tokens, one-time passwords, recovery codes and signing keys.
//!
//! This module does not use HTTP, GraphQL or the database.

mod cache;
mod keys;
mod one_time_password;
mod opaque_token;
mod password;
mod recovery_code;
mod refresh;
mod secrets;
mod token;

use chrono::{DateTime, Utc};
use jishu_entity::UserId;
use jishu_entity::user::Role;
use uuid::Uuid;

pub use keys::{KeyError, KeyRing};
pub use one_time_password::{OneTimePasswordError, OneTimePasswordSecret};
pub(crate) use opaque_token::random_text;
pub use opaque_token::{BrowserKey, ChallengeToken, LinkToken, OidcState};
pub(crate) use password::{MAX_OLD_METHODS, is_usable_hash, unusable_hash};
pub use password::{MAX_PASSWORD_BYTES, PasswordError, PasswordVerdict, Passwords, TimedVerdict};
pub use recovery_code::{RECOVERY_CODES, RecoveryCode};
pub use refresh::{RefreshToken, RefreshTokenError};
pub use secrets::Secrets;
pub use token::{AccessToken, AccessTokens, LEEWAY_SECONDS, TokenError};

/// The user of a request, as read from a verified access token.
///
/// The role is the one that the user had when the token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The id of the user.
    pub user_id: UserId,
    /// The role that the user had when the token was issued.
    pub role: Role,
    /// The id of the session of the token. The refresh tokens of this session have the same id as their family.
    pub session_id: Uuid,
}

/// A viewer, with the time at which their access token expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticatedViewer {
    /// The viewer.
    pub viewer: Viewer,
    /// The time from which the token is refused.
    pub expires_at: DateTime<Utc>,
}

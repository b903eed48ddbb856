//! Who is asking: passwords, access tokens and refresh tokens.
//!
//! Nothing here knows of HTTP, GraphQL or the database.

mod cache;
mod keys;
mod password;
mod refresh;
mod secrets;
mod token;

use chrono::{DateTime, Utc};
use jishu_entity::UserId;
use jishu_entity::user::Role;
use uuid::Uuid;

pub use keys::{KeyError, KeyRing};
pub use password::{MAX_PASSWORD_BYTES, PasswordError, Passwords, Verdict, Verified};
pub use refresh::{RefreshToken, RefreshTokenError};
pub use secrets::Secrets;
pub use token::{AccessToken, AccessTokens, LEEWAY_SECONDS, TokenError};

/// Who is asking, as a verified access token says.
///
/// The role is the one the user had when the token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The user.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
    /// The sign-in that the token descends from: its family of refresh tokens.
    pub session_id: Uuid,
}

/// Who is asking, and until when the token says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub viewer: Viewer,
    /// From this moment the token is refused.
    pub expires_at: DateTime<Utc>,
}

//! An issuer of OpenID Connect: its settings, its requests, and the verification of its ID tokens.
//!
//! This module does not use the database. [`crate::account`] decides which account an identity belongs to.

mod http;
mod id_token;
mod provider;

pub use id_token::{InvalidIdToken, OidcIdentity};
pub use provider::{AuthorizationRequest, OidcProvider, OidcSetUpError};

/// The settings of an issuer, and of jishu as its client.
#[derive(Clone)]
pub struct OidcOptions {
    /// The URL of the issuer, exactly as its ID tokens name it.
    pub issuer: String,
    /// The client id of jishu at the issuer.
    pub client_id: String,
    /// The client secret of jishu at the issuer. None for a public client, which only PKCE protects.
    pub client_secret: Option<String>,
    /// The scopes that jishu asks for. `openid` is one of them.
    pub scopes: Vec<String>,
    /// The addresses of the frontend to which the issuer may send people back.
    pub redirect_uris: Vec<String>,
}

/// A reason why a sign-in at the issuer failed.
#[derive(Debug, thiserror::Error)]
pub enum OidcFailure {
    /// The issuer did not respond, or its response cannot be used. The text is for the log.
    #[error("the issuer cannot be used: {0}")]
    Unavailable(String),
    /// The issuer does not accept the code: it is wrong, used or expired.
    #[error("the issuer refused the code: {0}")]
    CodeRefused(String),
    /// The ID token of the issuer does not verify.
    #[error("the ID token of the issuer is not valid: {0}")]
    InvalidIdToken(#[from] InvalidIdToken),
}

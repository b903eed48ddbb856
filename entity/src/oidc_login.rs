//! Sign-ins with OpenID Connect that have begun. A sign-in ends when the user returns from the issuer.

use sea_orm::entity::prelude::*;

use crate::{OidcLoginId, UserId};

/// A row of `oidc_logins`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oidc_logins")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: OidcLoginId,
    /// The account to which the identity shall be linked. Null if the user signs in.
    pub user_id: Option<UserId>,
    /// The SHA-256 hash of the parameter `state`, in hexadecimal. Unique.
    #[sea_orm(unique)]
    pub state_hash: String,
    /// The SHA-256 hash of the key that only the user's browser has, in hexadecimal.
    pub browser_hash: String,
    /// The random text that the ID token must repeat.
    pub nonce: String,
    /// The code verifier of PKCE, encrypted with a key of the server.
    pub code_verifier: String,
    /// The address to which the issuer sends the user back.
    pub redirect_uri: String,
    /// The time when the sign-in began.
    pub created_at: DateTimeUtc,
    /// The time from which the sign-in can no longer be completed.
    pub expires_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

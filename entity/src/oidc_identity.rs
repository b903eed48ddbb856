//! Identities at an issuer of OpenID Connect with which users sign in.

use sea_orm::entity::prelude::*;

use crate::{OidcIdentityId, UserId};

/// A row of `oidc_identities`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oidc_identities")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: OidcIdentityId,
    /// The account.
    pub user_id: UserId,
    /// The issuer (`iss`). Unique together with the subject.
    pub issuer: String,
    /// The name of the user at the issuer (`sub`).
    pub subject: String,
    /// The time when the identity was linked to the account.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

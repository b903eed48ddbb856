//! Identities: accounts at an issuer of OpenID Connect, with which users sign in.

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
    /// The account of jishu to which the identity is linked.
    pub user_id: UserId,
    /// The issuer (`iss`). The pair of `issuer` and `subject` is unique.
    pub issuer: String,
    /// The identifier of the user at the issuer (`sub`).
    pub subject: String,
    /// The time when the identity was linked to the account.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

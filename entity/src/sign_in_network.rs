//! The networks from which an account signed in, so that its owner is not locked out there by strangers.

use sea_orm::entity::prelude::*;

use crate::{SignInNetworkId, UserId};

/// A row of `sign_in_networks`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_networks")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: SignInNetworkId,
    /// Whose account it is.
    pub user_id: UserId,
    /// The network under a secret of the server, in hexadecimal: no address can be read from it.
    pub network: String,
    /// When the account was last seen there, to about a day.
    pub seen_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

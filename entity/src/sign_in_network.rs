//! The networks from which an account signed in, so that strangers cannot lock its owner out there.

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
    /// The account.
    pub user_id: UserId,
    /// A code of the network under a secret of the server, in hexadecimal: no address can be read from it.
    pub network: String,
    /// When the account was last seen there, to about a day.
    pub seen_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

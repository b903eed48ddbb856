//! The networks from which a user signed in. Failed attempts of strangers cannot lock the user out on these networks.

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
    /// The account to which the user signed in.
    pub user_id: UserId,
    /// A keyed hash of the network, in hexadecimal. The address cannot be recovered from the hash.
    pub network: String,
    /// The time of the latest sign-in from the network. It may be about a day too early, because it is not updated at
    /// each sign-in.
    pub seen_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

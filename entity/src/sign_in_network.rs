//! The networks in which sessions of a user began or continued. Failed attempts of strangers cannot lock the user out
//! on these networks.

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
    /// The account of the user.
    pub user_id: UserId,
    /// A keyed hash of the network, in hexadecimal. Without a signing key of the server, the address cannot be
    /// recovered from the hash.
    pub network: String,
    /// The time when a session of the user last began or continued in the network. It may be up to two days too early,
    /// because it is not updated each time.
    pub seen_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

//! Secrets of the deployment. They are in the database, so that every node has the same and a backup brings them along.

use sea_orm::entity::prelude::*;

/// A row of `server_secrets`. Never log it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "server_secrets")]
pub struct Model {
    /// The purpose of the secret.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// 256 random bits in hexadecimal.
    pub secret: String,
}

impl ActiveModelBehavior for ActiveModel {}

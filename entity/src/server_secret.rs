//! Secrets of the deployment. The secrets are in the database, so that every node has the same secrets and a backup
//! contains them.

use sea_orm::entity::prelude::*;

/// A row of `server_secrets`. Never log it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "server_secrets")]
pub struct Model {
    /// The name of the purpose of the secret. Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The secret: 256 random bits in hexadecimal.
    pub secret: String,
}

impl ActiveModelBehavior for ActiveModel {}

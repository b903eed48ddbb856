//! Second factors: secrets for one-time passwords by time. An account has at most one.

use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

use crate::UserId;

/// A row of `second_factors`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "second_factors")]
pub struct Model {
    /// The account. Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The secret, encrypted with a key of the server.
    pub secret: String,
    /// The name of the key with which the secret is encrypted.
    pub sealed_by: String,
    /// The time when the secret was made.
    pub created_at: DateTimeUtc,
    /// The time when the user proved to have the secret. Null until then: the factor does not count.
    pub confirmed_at: Option<DateTimeUtc>,
    /// The step of the latest code that was accepted. Codes of this step and of earlier ones are refused.
    pub last_step: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Tells whether an account has a second factor that counts.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn is_on(connection: &impl ConnectionTrait, owner: UserId) -> Result<bool, DbErr> {
        let confirmed: Option<DateTimeUtc> = Self::find_by_id(owner)
            .select_only()
            .column(Column::ConfirmedAt)
            .filter(Column::ConfirmedAt.is_not_null())
            .into_tuple()
            .one(connection)
            .await?;
        Ok(confirmed.is_some())
    }
}

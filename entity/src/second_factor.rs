//! Second factors: the secrets of authenticator apps, which make one-time passwords from the time. An account has at
//! most one second factor.

use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

use crate::UserId;

/// A row of `second_factors`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "second_factors")]
pub struct Model {
    /// The account to which the second factor belongs. Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The secret of the authenticator app, encrypted with a key of the server.
    pub secret: String,
    /// The name of the server's key with which the secret is encrypted.
    pub sealed_by: String,
    /// The time when the secret was made.
    pub created_at: DateTimeUtc,
    /// The time when the user first sent a right code of the app. Null until then: the second factor is not on yet.
    pub confirmed_at: Option<DateTimeUtc>,
    /// The time step of the latest code that was accepted. Codes of this step and of earlier steps are refused. Null
    /// before the first code.
    pub last_step: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Returns whether an account has a second factor that the user has confirmed.
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

//! Users: learners, authors, support and admins.

use sea_orm::entity::prelude::*;

use crate::UserId;

/// The role of a user. It decides what the user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Role {
    /// May buy subjects and sit tests.
    #[sea_orm(string_value = "learner")]
    Learner,
    /// May edit the catalogue and the question bank.
    #[sea_orm(string_value = "author")]
    Author,
    /// May refund purchases and grant extra time.
    #[sea_orm(string_value = "support")]
    Support,
    /// May do everything.
    #[sea_orm(string_value = "admin")]
    Admin,
}

/// Whether a user may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum UserStatus {
    /// May sign in.
    #[sea_orm(string_value = "active")]
    Active,
    /// May not sign in; their data stays.
    #[sea_orm(string_value = "deactivated")]
    Deactivated,
}

/// A row of `users`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: UserId,
    /// The display name.
    pub name: String,
    /// The e-mail address in lower case. Unique.
    #[sea_orm(unique)]
    pub email: String,
    /// The Argon2id hash of the password, as a PHC string.
    pub password_hash: String,
    /// The role.
    pub role: Role,
    /// The status of the account, which decides whether the user may sign in.
    pub status: UserStatus,
    /// The time of the registration.
    pub created_at: DateTimeUtc,
    /// The time when the user proved that they receive mail at `email`. Null if they have not.
    pub email_verified_at: Option<DateTimeUtc>,
    /// The year of birth. Null if the user was not asked.
    pub birth_year: Option<i32>,
    /// The time when the account was deleted. Then the row holds nothing of the person any more.
    pub deleted_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

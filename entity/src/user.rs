//! People: learners, authors, support and admins.

use sea_orm::entity::prelude::*;

use crate::UserId;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Role {
    /// Buys subjects and sits tests.
    #[sea_orm(string_value = "learner")]
    Learner,
    /// Keeps the catalogue and the question bank.
    #[sea_orm(string_value = "author")]
    Author,
    /// Refunds and grants extra time.
    #[sea_orm(string_value = "support")]
    Support,
    /// Everything.
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
    /// What to call them.
    pub name: String,
    /// Folded to lower case; unique.
    #[sea_orm(unique)]
    pub email: String,
    /// Argon2id, as a PHC string.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may sign in.
    pub status: UserStatus,
    /// When they registered.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

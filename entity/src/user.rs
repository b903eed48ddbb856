//! Users: the accounts of learners, authors, support and admins.

use sea_orm::entity::prelude::*;

use crate::UserId;

/// The role of a user. Every user may buy subjects and sit tests. The role decides what else the user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Role {
    /// The user may buy subjects and sit tests.
    #[sea_orm(string_value = "learner")]
    Learner,
    /// The user may edit the catalogue, the question bank and the settings of tests.
    #[sea_orm(string_value = "author")]
    Author,
    /// The user may help learners: read accounts, grant and refund purchases, decide about orders, and grant extra time
    /// and attempts.
    #[sea_orm(string_value = "support")]
    Support,
    /// The user may do everything that the other roles may do, manage accounts, and read the audit trail and the sales
    /// report.
    #[sea_orm(string_value = "admin")]
    Admin,
}

/// Whether a user may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum UserStatus {
    /// The user may sign in.
    #[sea_orm(string_value = "active")]
    Active,
    /// The user may not sign in. The data of the account stays, unless the account was deleted. A deleted account has
    /// this status, too.
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
    /// The name that is shown for the user.
    pub name: String,
    /// The e-mail address in lower case. Unique. After the account was deleted, the text `deleted:` and the id of the
    /// user.
    #[sea_orm(unique)]
    pub email: String,
    /// The hash of the password. It is an Argon2id hash as a PHC string, or the hash of the older system until the user
    /// of an adopted account signs in. Empty after the account was deleted.
    pub password_hash: String,
    /// The role of the user.
    pub role: Role,
    /// The status of the account, which decides whether the user may sign in.
    pub status: UserStatus,
    /// The time when the account was made, by a registration or in another way.
    pub created_at: DateTimeUtc,
    /// The time when `email` was verified: by a link in a mail, by an external sign-in, or because an operator gave the
    /// address. Null if the address is not verified.
    pub email_verified_at: Option<DateTimeUtc>,
    /// The year of birth. Null if it is unknown, because the user was not asked or the account was deleted.
    pub birth_year: Option<i32>,
    /// The time when the account was deleted. Null if it was not. A deleted account keeps its row, without personal
    /// data.
    pub deleted_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

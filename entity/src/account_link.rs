//! Links in mails that prove that somebody receives mail at an address. A link works once. Only the hash of its token
//! is stored.

use sea_orm::entity::prelude::*;

use crate::{AccountLinkId, UserId};

/// The purpose of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum LinkPurpose {
    /// Proves that the user receives mail at the address of their account.
    #[sea_orm(string_value = "verify_email")]
    VerifyEmail,
    /// Lets the user choose a new password.
    #[sea_orm(string_value = "reset_password")]
    ResetPassword,
    /// Makes another address the address of the account.
    #[sea_orm(string_value = "change_email")]
    ChangeEmail,
    /// Deletes the account of the user.
    #[sea_orm(string_value = "delete_account")]
    DeleteAccount,
    /// Lets a guardian consent. The link is sent to the address of the guardian.
    #[sea_orm(string_value = "guardian_consent")]
    GuardianConsent,
}

/// A row of `account_links`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account_links")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: AccountLinkId,
    /// The account to which the link belongs.
    pub user_id: UserId,
    /// The purpose of the link.
    pub purpose: LinkPurpose,
    /// The SHA-256 hash of the token in the link, in hexadecimal. Unique.
    #[sea_orm(unique)]
    pub token_hash: String,
    /// The e-mail address to which the link was sent, in lower case.
    pub email: String,
    /// The time when the link was made.
    pub created_at: DateTimeUtc,
    /// The time from which the link no longer works.
    pub expires_at: DateTimeUtc,
    /// The time when the link was used, or when another event ended the link, such as a deactivation of the account.
    /// Null until then.
    pub used_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

//! Identities at an issuer, and the accounts to which they are linked.

use chrono::{DateTime, Utc};
use jishu_entity::UserId;
use jishu_entity::oidc_identity::{self, Column};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
};

use crate::audit;
use crate::oidc::OidcIdentity;
use crate::outbox::NewMessage;

const IDENTITY_LINKED: &str = "user.identity_linked";

/// An identity that is about to be linked to an account.
#[derive(Clone)]
pub(in crate::account) struct NewIdentity {
    pub(in crate::account) issuer: String,
    pub(in crate::account) subject: String,
    /// The mail that tells the owner of the account about the link. None if the same sign-in makes the account.
    pub(in crate::account) notice: Option<NewMessage>,
    pub(in crate::account) now: DateTime<Utc>,
}

impl NewIdentity {
    /// Returns whether the identity is linked to an account other than that of `owner`.
    pub(in crate::account) async fn is_taken(
        &self,
        transaction: &DatabaseTransaction,
        owner: UserId,
    ) -> Result<bool, DbErr> {
        let linked = linked_account(transaction, &self.issuer, &self.subject).await?;
        Ok(linked.is_some_and(|linked| linked != owner))
    }

    /// Links the identity to the account of `owner`, and appends an audit event and the notice. Does nothing if the
    /// identity is linked to this account already. A unique key refuses an identity of another account.
    ///
    /// The transaction must have locked or inserted the row of the user.
    pub(in crate::account) async fn insert(
        &self,
        transaction: &DatabaseTransaction,
        owner: UserId,
    ) -> Result<(), DbErr> {
        if linked_account(transaction, &self.issuer, &self.subject).await? == Some(owner) {
            return Ok(());
        }
        let row = oidc_identity::ActiveModel {
            id: NotSet,
            user_id: Set(owner),
            issuer: Set(self.issuer.clone()),
            subject: Set(self.subject.clone()),
            created_at: Set(self.now),
        };
        row.insert(transaction).await?;
        audit::append(transaction, self.now, Some(owner), IDENTITY_LINKED, ("users", owner.0)).await?;
        match &self.notice {
            Some(notice) => notice.append(transaction, Some(owner)).await,
            None => Ok(()),
        }
    }
}

/// Finds the account to which an identity is linked. Returns None if the identity is not linked.
pub(super) async fn owner(
    connection: &impl ConnectionTrait,
    identity: &OidcIdentity,
) -> Result<Option<UserId>, DbErr> {
    linked_account(connection, &identity.issuer, &identity.subject).await
}

/// Finds the account to which the identity with this issuer and this subject is linked.
async fn linked_account(
    connection: &impl ConnectionTrait,
    issuer: &str,
    subject: &str,
) -> Result<Option<UserId>, DbErr> {
    let row = oidc_identity::Entity::find()
        .filter(Column::Issuer.eq(issuer))
        .filter(Column::Subject.eq(subject))
        .one(connection)
        .await?;
    Ok(row.map(|row| row.user_id))
}

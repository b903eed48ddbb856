//! Deletion of accounts: erases the personal data, and keeps the books.
//!
//! One transaction ([`transaction`]) does all of it. Orders, purchases, refunds and sittings still refer to the row
//! of the account in `users`, which no longer has personal data. See `api/docs/decisions/deletion.md`.

mod erase;
mod orders;
mod transaction;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, user};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::administration::Actor;
use super::credentials::{SignInRefusal, confirm};
use super::links::{self, LinkInvalid, NewLink};
use super::{AdministrationRefusal, by_id};
use crate::auth::Viewer;
use crate::clock::Clock;
use crate::database::{Database, WritePolicy};
use crate::error::{Error, Refusal};
use crate::limit::{ClientAddress, MailCause, RetryAfter};
use crate::paper::Papers;
use crate::{Services, failpoint};

use transaction::DeletionCommand;
pub(crate) use transaction::Warrant;

/// The action of the audit event that records the deletion of an account. [`super::DeactivatedAccounts`] finds
/// deletions by these events.
pub(super) const DELETED: &str = "user.deleted";

/// A reason not to delete an account. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum DeletionRefusal {
    /// The account does not exist, or it is not active.
    #[error("This account is not active.")]
    Inactive,
    /// The current password is wrong, or the account was deactivated or changed meanwhile.
    #[error("The current password is not right.")]
    WrongPassword,
    /// The link does not work.
    #[error(transparent)]
    Link(#[from] LinkInvalid),
    /// A rule for changing accounts forbids the deletion. For example, one active admin must remain.
    #[error(transparent)]
    Administration(#[from] AdministrationRefusal),
    /// Too many attempts came from this network address, too many on this account failed, or too many mails were
    /// sent.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for DeletionRefusal {}

/// A deleted account, without personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedAccount {
    /// The id of the account.
    pub id: UserId,
    /// The time when the account was registered. The id and this time together identify the account in every backup.
    pub registered_at: DateTime<Utc>,
    /// The time when the account was deleted.
    pub deleted_at: DateTime<Utc>,
}

/// Deletes the account of a viewer who knows its password.
///
/// # Errors
/// See [`DeletionRefusal`].
#[service_call("account.delete_own")]
pub async fn delete_own(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    password: &str,
) -> Result<DeletedAccount, Error<DeletionRefusal>> {
    let confirmed = confirm(services, client, viewer.user_id, password).await;
    let user = confirmed.map_err(|error| {
        error.map(|refusal| match refusal {
            SignInRefusal::TooMany(wait) => DeletionRefusal::TooMany(wait),
            SignInRefusal::InvalidCredentials => DeletionRefusal::WrongPassword,
        })
    })?;
    delete_by(services, user.id, Warrant::Password(Box::new(user))).await
}

/// Sends the viewer a mail with a link that deletes their account without the password.
///
/// # Errors
/// See [`DeletionRefusal`].
#[service_call("account.request_deletion")]
pub async fn request_deletion(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
) -> Result<(), Error<DeletionRefusal>> {
    let user = by_id(services, viewer.user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active).ok_or(DeletionRefusal::Inactive)?;
    services
        .limits
        .mail
        .take(client, &user.email, MailCause::OwnAccount)
        .map_err(DeletionRefusal::TooMany)?;
    let link = NewLink::new(services, LinkPurpose::DeleteAccount, &user.email)?;
    Ok(links::send(services, user.id, link).await?)
}

/// Deletes an account by the link that was sent to its address.
///
/// # Errors
/// See [`DeletionRefusal`].
#[service_call("account.confirm_deletion")]
pub async fn confirm_deletion(
    services: &Services,
    token: &str,
) -> Result<DeletedAccount, Error<DeletionRefusal>> {
    let found = links::find(services, token, &[LinkPurpose::DeleteAccount]).await?;
    let Some((link, user)) = found else { return Err(DeletionRefusal::from(LinkInvalid).into()) };
    delete_by(services, user.id, Warrant::Link { link: link.id, email: link.email }).await
}

/// Deletes an account for staff, at the request of its owner.
///
/// # Errors
/// See [`DeletionRefusal`].
#[service_call("account.delete_user")]
pub async fn delete_user(
    services: &Services,
    by: Actor,
    user: UserId,
) -> Result<DeletedAccount, Error<DeletionRefusal>> {
    delete_by(services, user, Warrant::Staff(by)).await
}

/// Deletes an account if the warrant allows it, and tells its owner by mail. Refuses the access tokens of the account
/// on this node at once.
pub(crate) async fn delete_by(
    services: &Services,
    user: UserId,
    warrant: Warrant,
) -> Result<DeletedAccount, Error<DeletionRefusal>> {
    let command = DeletionCommand {
        user,
        warrant,
        papers: Arc::clone(&services.papers),
        clock: Arc::clone(&services.clock),
        secrets: Some(Arc::clone(&services.secrets)),
    };
    let deleted = run(&services.database, command).await?;
    services.outbox.wake();
    services.events.appended(user);
    if let Err(error) = services.deactivated.refresh().await {
        tracing::warn!(%error, "the deactivated accounts could not be read; the next read is in a few seconds");
    }
    Ok(deleted)
}

/// Deletes an account for the operator, without a running server. Sends no mail. If `registered_at` is given, refuses
/// an account that was registered at another time: after a backup was restored, the id may belong to somebody else.
///
/// # Errors
/// See [`DeletionRefusal`].
#[service_call]
pub async fn delete_in(
    database: &Database,
    clock: Arc<dyn Clock>,
    user: UserId,
    registered_at: Option<DateTime<Utc>>,
) -> Result<DeletedAccount, Error<DeletionRefusal>> {
    let papers = Arc::new(Papers::new(database.clone()));
    let warrant = match registered_at {
        Some(at) => Warrant::Recorded { registered_at: at },
        None => Warrant::Staff(Actor::Operator),
    };
    run(database, DeletionCommand { user, warrant, papers, clock, secrets: None }).await
}

async fn run(
    database: &Database,
    command: DeletionCommand,
) -> Result<DeletedAccount, Error<DeletionRefusal>> {
    let policy = WritePolicy::not_idempotent("account.delete").retry_taken_keys();
    let user = command.user;
    let deleted = database
        .write_for(user, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    failpoint::boundary("deletion.committed");
    tracing::info!(user = %user, "an account was deleted");
    Ok(deleted)
}

/// Reads a page of the deleted accounts, in the order of their ids: at most `limit` accounts with ids above `after`.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn deleted_accounts(
    database: &Database,
    after: UserId,
    limit: u64,
) -> Result<Vec<DeletedAccount>, DbErr> {
    let rows = user::Entity::find()
        .filter(user::Column::DeletedAt.is_not_null())
        .filter(user::Column::Id.gt(after))
        .order_by_asc(user::Column::Id)
        .limit(limit)
        .all(database.reader())
        .await?;
    let deleted = |row: user::Model| {
        let deleted_at = row.deleted_at?;
        Some(DeletedAccount { id: row.id, registered_at: row.created_at, deleted_at })
    };
    Ok(rows.into_iter().filter_map(deleted).collect())
}

//! The transaction that deletes an account.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{AccountLinkId, UserId, guardian_consent, user};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::{DELETED, DeletedAccount, DeletionRefusal};
use super::{erase, orders};
use crate::account::administration::{Actor, check_actor, is_active_admin, keep_an_admin, lock_accounts};
use crate::account::links::{self, LinkInvalid};
use crate::account::{AdministrationRefusal, validation};
use crate::auth::Secrets;
use crate::clock::Clock;
use crate::database::lock_user;
use crate::error::Error;
use crate::mail::{self, MailFacts, MailKind};
use crate::paper::Papers;
use crate::session::close_all_of;
use crate::{audit, failpoint};

/// The reason why somebody may delete an account.
pub(crate) enum Warrant {
    /// The owner gave the right password. The value is the account as it was when the password was compared.
    Password(Box<user::Model>),
    /// The owner presents a link that was sent to their address.
    Link {
        /// The id of the link.
        link: AccountLinkId,
        /// The address to which the link was sent.
        email: String,
    },
    /// Staff or the operator delete the account at the request of the owner.
    Staff(Actor),
    /// A guardian asks for the deletion with the token that revokes their consent.
    Guardian {
        /// The hash of the token.
        token_hash: String,
    },
    /// The account was deleted before, and a restored backup brought it back.
    Recorded {
        /// The time when the deleted account was registered.
        registered_at: DateTime<Utc>,
    },
}

pub(super) struct DeletionCommand {
    pub(super) user: UserId,
    pub(super) warrant: Warrant,
    pub(super) papers: Arc<Papers>,
    pub(super) clock: Arc<dyn Clock>,
    /// The secrets that encrypt the mail about the deletion. If None, no mail is sent.
    pub(super) secrets: Option<Arc<Secrets>>,
}

impl DeletionCommand {
    pub(super) async fn run(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<DeletedAccount, Error<DeletionRefusal>> {
        lock_user(transaction, self.user).await?.ok_or_else(|| self.not_found())?;
        failpoint::boundary("deletion.locked");
        let now = self.clock.now();
        let row = user::Entity::find_by_id(self.user).one(transaction).await?;
        let row = row.ok_or_else(|| self.not_found())?;
        self.check(transaction, &row, now).await?;

        close_all_of(transaction, &self.papers, row.id, now).await?;
        failpoint::boundary("deletion.sittings-closed");
        orders::texts(transaction, row.id, &row.email).await?;
        erase::rows(transaction, row.id).await?;
        failpoint::boundary("deletion.rows-erased");
        erase::texts(transaction, row.id, &row.email).await?;
        erase::account(transaction, row.id, now).await?;
        failpoint::boundary("deletion.texts-erased");
        let actor = match &self.warrant {
            Warrant::Password(_) | Warrant::Link { .. } => Some(row.id),
            Warrant::Staff(actor) => actor.id(),
            Warrant::Guardian { .. } | Warrant::Recorded { .. } => None,
        };
        audit::append(transaction, now, actor, DELETED, ("users", row.id.0)).await?;
        if let Some(secrets) = &self.secrets
            && validation::check_email(&row.email).is_ok()
        {
            // The mail refers to no account, and its content is erased when it is delivered.
            let facts = MailFacts::default();
            let mail = mail::compose(secrets, MailKind::AccountDeleted, &row.email, facts, now)?;
            mail.append(transaction, None).await?;
        }
        failpoint::boundary("deletion.audited");
        Ok(DeletedAccount { id: row.id, registered_at: row.created_at, deleted_at: now })
    }

    /// Returns the refusal if the account does not exist, or if the warrant (the reason for the deletion) does not fit
    /// the account.
    fn not_found(&self) -> DeletionRefusal {
        match self.warrant {
            Warrant::Staff(_) | Warrant::Recorded { .. } => AdministrationRefusal::UserNotFound.into(),
            Warrant::Password(_) => DeletionRefusal::Inactive,
            Warrant::Link { .. } | Warrant::Guardian { .. } => LinkInvalid.into(),
        }
    }

    /// Checks the warrant, and that another active admin remains if the account is an active admin. Marks the link of
    /// a [`Warrant::Link`] as used.
    async fn check(
        &self,
        transaction: &DatabaseTransaction,
        row: &user::Model,
        now: DateTime<Utc>,
    ) -> Result<(), Error<DeletionRefusal>> {
        let is_active = row.status == UserStatus::Active;
        match &self.warrant {
            Warrant::Password(user) => {
                if !is_active {
                    return Err(DeletionRefusal::Inactive.into());
                }
                // The password or the address may have changed after the password was compared. Then the comparison
                // no longer counts.
                if row.password_hash != user.password_hash || row.email != user.email {
                    return Err(DeletionRefusal::WrongPassword.into());
                }
            }
            Warrant::Link { link, email } => {
                let is_taken = links::take(transaction, *link, now).await?;
                if !is_active || row.email != *email || !is_taken {
                    return Err(self.not_found().into());
                }
            }
            Warrant::Guardian { token_hash } => {
                let consent = guardian_consent::Entity::find()
                    .filter(guardian_consent::Column::UserId.eq(row.id))
                    .filter(guardian_consent::Column::RevokeTokenHash.eq(token_hash.as_str()))
                    .one(transaction)
                    .await?;
                consent.ok_or_else(|| self.not_found())?;
            }
            Warrant::Recorded { registered_at } => {
                // PostgreSQL and MariaDB store microseconds, so smaller fractions of a second are not compared.
                if row.created_at.trunc_subsecs(6) != registered_at.trunc_subsecs(6) {
                    return Err(self.not_found().into());
                }
            }
            Warrant::Staff(_) => {}
        }
        let by = match self.warrant {
            Warrant::Staff(actor) => Some(actor),
            _ => None,
        };
        if row.role != Role::Admin && by.is_none() {
            return Ok(());
        }
        // If two admins are deleted at once, both transactions lock the same rows. So the second transaction finds
        // that the first admin was deleted.
        let actor = by.and_then(Actor::id);
        let rows = lock_accounts(transaction, row.id, actor).await?;
        let find = |id: UserId| rows.iter().find(|row| row.id == id);
        if let Some(by) = by {
            check_actor(by, actor.map(find), row).map_err(DeletionRefusal::from)?;
        }
        if is_active_admin(row) {
            keep_an_admin(transaction, &rows, row).await.map_err(|error| error.map(DeletionRefusal::from))?;
        }
        Ok(())
    }
}

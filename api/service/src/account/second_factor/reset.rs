//! Removes the second factor of a user who has lost it.

use chrono::{DateTime, Utc};
use jishu_entity::{UserId, user};
use jishu_service_macros::service_call;
use sea_orm::DatabaseTransaction;

use super::change::remove;
use crate::account::administration::{Actor, AdministrationRefusal, check_actor, lock_accounts};
use crate::account::refresh::revoke_all;
use crate::account::{Admin, by_id, links};
use crate::database::{Database, WritePolicy};
use crate::error::Error;
use crate::mail::MailKind;
use crate::outbox::NewMessage;
use crate::{Services, audit};

const SECOND_FACTOR_RESET: &str = "user.second_factor_reset";

/// Removes the second factor of another account, ends the sessions of that account, and tells its owner by mail.
/// Returns the account. If the second factor is off, only deletes what is left of an unfinished set-up.
///
/// # Errors
/// See [`AdministrationRefusal`].
#[service_call("account.reset_second_factor")]
pub async fn reset_second_factor(
    services: &Services,
    admin: Admin,
    user: UserId,
) -> Result<user::Model, Error<AdministrationRefusal>> {
    let found = by_id(services, user).await?.ok_or(AdministrationRefusal::UserNotFound)?;
    let notice = links::notice(services, MailKind::SecondFactorReset, &found.email)?;
    let (actor, now) = (Actor::Admin(admin), services.clock.now());
    let row = run(&services.database, Reset { actor, user, notice: Some(notice), now }).await?;
    services.outbox.wake();
    services.ended_sessions.refresh_or_warn().await;
    Ok(row)
}

/// Removes the second factor as [`reset_second_factor`] does, for the operator. Sends no mail, because only a running
/// server has the key that encrypts mails.
///
/// # Errors
/// See [`AdministrationRefusal`].
#[service_call]
pub async fn reset_second_factor_in(
    database: &Database,
    now: DateTime<Utc>,
    user: UserId,
) -> Result<user::Model, Error<AdministrationRefusal>> {
    run(database, Reset { actor: Actor::Operator, user, notice: None, now }).await
}

struct Reset {
    actor: Actor,
    user: UserId,
    notice: Option<NewMessage>,
    now: DateTime<Utc>,
}

async fn run(database: &Database, reset: Reset) -> Result<user::Model, Error<AdministrationRefusal>> {
    let policy = WritePolicy::idempotent("second_factor.reset");
    let (actor, user) = (reset.actor.id(), reset.user);
    let (row, was_on) = database
        .write_for(user, policy, reset, |transaction, reset| Box::pin(reset.run(transaction)))
        .await?;
    if was_on {
        tracing::info!(actor = actor.map(|id| id.0), %user, "the second factor of an account was removed");
    }
    Ok(row)
}

impl Reset {
    /// Returns the account, and whether its second factor was on.
    async fn run(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<(user::Model, bool), Error<AdministrationRefusal>> {
        let rows = lock_accounts(transaction, self.user, self.actor.id()).await?;
        let find = |id: UserId| rows.iter().find(|row| row.id == id);
        let row = find(self.user).filter(|row| row.deleted_at.is_none());
        let row = row.ok_or(AdministrationRefusal::UserNotFound)?.clone();
        check_actor(self.actor, self.actor.id().map(find), &row)?;
        if !remove(transaction, self.user, self.now).await? {
            return Ok((row, false));
        }
        // Somebody who has the lost device may be signed in there, so all sessions end.
        revoke_all(transaction, self.user, self.now).await?;
        let target = ("users", self.user.0);
        audit::append(transaction, self.now, self.actor.id(), SECOND_FACTOR_RESET, target).await?;
        if let Some(notice) = &self.notice {
            notice.append(transaction, Some(self.user)).await?;
        }
        Ok((row, true))
    }
}

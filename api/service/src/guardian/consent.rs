//! Gives and revokes the consent of a guardian.

use chrono::{DateTime, Utc};
use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user::UserStatus;
use jishu_entity::{AccountLinkId, UserId, guardian_consent};
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use crate::account::{self, DeletionRefusal, LinkInvalid, Warrant};
use crate::auth::LinkToken;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault};
use crate::mail::{self, MailFacts, MailKind, MailLink};
use crate::outbox::NewMessage;
use crate::{Services, audit};

struct ConsentCommand {
    link: AccountLinkId,
    user: UserId,
    guardian_email: String,
    revoke_token_hash: String,
    mail: NewMessage,
    now: DateTime<Utc>,
}

/// Stores the consent of a guardian who used a link. A second mail tells the guardian how to revoke the consent.
///
/// # Errors
/// Refuses a link that does not work.
#[service_call("guardian.give")]
pub async fn give(services: &Services, token: &str) -> Result<(), Error<LinkInvalid>> {
    let found = account::find_link(services, token, &[LinkPurpose::GuardianConsent]).await?;
    let Some((link, user)) = found else { return Err(LinkInvalid.into()) };
    let revoking = LinkToken::generate()
        .map_err(|error| Fault::Inconsistent(format!("the system's random source failed: {error}")))?;
    let now = services.clock.now();
    let facts = MailFacts {
        link: Some(MailLink { token: revoking.as_str(), expires_at: None }),
        account: Some(&user.email),
    };
    let mail = mail::compose(&services.secrets, MailKind::GuardianConsented, &link.email, facts, now)?;
    let (revoke_token_hash, guardian_email) = (revoking.hash(), link.email);
    let command =
        ConsentCommand { link: link.id, user: user.id, guardian_email, revoke_token_hash, mail, now };
    let policy = WritePolicy::not_idempotent("guardian.consent");
    services
        .database
        .write_for(user.id, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.outbox.wake();
    Ok(())
}

impl ConsentCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<LinkInvalid>> {
        let Self { link, user, guardian_email, revoke_token_hash, mail, now } = self;
        let is_active = lock_user(transaction, *user).await? == Some(UserStatus::Active);
        if !is_active || !account::take_link(transaction, *link, *now).await? {
            return Err(LinkInvalid.into());
        }
        let updated = guardian_consent::Entity::update_many()
            .col_expr(guardian_consent::Column::ConsentedAt, Expr::value(*now))
            .col_expr(guardian_consent::Column::RevokedAt, Expr::value(None::<DateTime<Utc>>))
            .col_expr(guardian_consent::Column::RevokeTokenHash, Expr::value(revoke_token_hash.as_str()))
            .filter(guardian_consent::Column::UserId.eq(*user))
            .filter(guardian_consent::Column::GuardianEmail.eq(guardian_email.as_str()))
            .exec(transaction)
            .await?;
        if updated.rows_affected != 1 {
            return Err(LinkInvalid.into());
        }
        mail.append(transaction, Some(*user)).await?;
        audit::append(transaction, *now, None, "guardian.consented", ("users", user.0)).await?;
        Ok(())
    }
}

/// The effect of revoking a consent on the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The account stays. It needs a new consent, of the same guardian.
    Revoked,
    /// The account was deleted.
    Deleted,
}

/// Revokes a consent with the token of the mail that confirmed the consent. Also deletes the account if
/// `deletes_account` is true. Revoking a consent again does nothing. Sittings that are open continue.
///
/// # Errors
/// Refuses a token that does not work, or whose user is no longer a minor. Refuses to delete the last active admin.
#[service_call("guardian.revoke")]
pub async fn revoke(
    services: &Services,
    token: &str,
    deletes_account: bool,
) -> Result<RevokeOutcome, Error<DeletionRefusal>> {
    let invalid = || DeletionRefusal::from(LinkInvalid);
    let token_hash = LinkToken::parse(token).ok_or_else(invalid)?.hash();
    let found = guardian_consent::Entity::find()
        .filter(guardian_consent::Column::RevokeTokenHash.eq(token_hash.as_str()))
        .one(services.database.reader())
        .await?;
    let user = found.ok_or_else(invalid)?.user_id;
    // A guardian cannot revoke the consent for a person who is no longer a minor.
    let row = account::by_id(services, user).await?.ok_or_else(invalid)?;
    let now = services.clock.now();
    if !row.birth_year.is_some_and(|year| services.consent.is_minor(year, now)) {
        return Err(invalid().into());
    }
    if deletes_account {
        account::delete_by(services, user, Warrant::Guardian { token_hash }).await?;
        return Ok(RevokeOutcome::Deleted);
    }
    let policy = WritePolicy::idempotent("guardian.revoke");
    let input = (user, token_hash, now);
    services
        .database
        .write_for(user, policy, input, |transaction, (user, token_hash, now)| {
            Box::pin(async move {
                lock_user(transaction, *user).await?.ok_or(DeletionRefusal::Link(LinkInvalid))?;
                let revoked = guardian_consent::Entity::update_many()
                    .col_expr(guardian_consent::Column::RevokedAt, Expr::value(*now))
                    .filter(guardian_consent::Column::RevokeTokenHash.eq(token_hash.as_str()))
                    .filter(guardian_consent::Column::RevokedAt.is_null())
                    .exec(transaction)
                    .await?;
                if revoked.rows_affected == 1 {
                    account::end_links(transaction, *user, &[LinkPurpose::GuardianConsent], *now).await?;
                    audit::append(transaction, *now, None, "guardian.revoked", ("users", user.0)).await?;
                }
                Ok::<_, Error<DeletionRefusal>>(())
            })
        })
        .await?;
    Ok(RevokeOutcome::Revoked)
}

/// Deletes the consent for a user, and ends the links to guardians, because the owner of the address has taken the
/// account over from somebody who had not verified the address. Does nothing if there is no consent. The caller must
/// have locked the user's row.
pub(crate) async fn forget(
    transaction: &DatabaseTransaction,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let deleted = guardian_consent::Entity::delete_many()
        .filter(guardian_consent::Column::UserId.eq(user))
        .exec(transaction)
        .await?;
    if deleted.rows_affected > 0 {
        account::end_links(transaction, user, &[LinkPurpose::GuardianConsent], now).await?;
        audit::append(transaction, now, Some(user), "guardian.forgotten", ("users", user.0)).await?;
    }
    Ok(())
}

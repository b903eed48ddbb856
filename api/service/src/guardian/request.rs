//! Asks a guardian to consent.

use chrono::{DateTime, Utc};
use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, guardian_consent};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, DatabaseTransaction, IntoActiveModel,
};

use super::{is_given, of_user};
use crate::account::{self, InvalidField, NewLink};
use crate::auth::Viewer;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Refusal};
use crate::limit::{ClientAddress, MailCause, RetryAfter};
use crate::{Services, audit};

/// A reason not to ask a guardian to consent. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum GuardianRequestRefusal {
    /// The account was deleted or deactivated.
    #[error("This account is not active.")]
    Inactive,
    /// The account has not verified its e-mail address. Somebody else may own the address. If that person takes the
    /// account over by a new password, no stranger may be its guardian.
    #[error("Verify the e-mail address of the account first.")]
    EmailNotVerified,
    /// The year of birth of the user is not known.
    #[error("The year of birth of this account is missing. Add it to the account first.")]
    BirthYearMissing,
    /// The account needs no consent.
    #[error("This account needs no consent. Nothing to do.")]
    NotNeeded,
    /// The address is not valid, or it is the address of the account itself.
    #[error(
        "Give the e-mail address of a parent or guardian. It must differ from the address of the account."
    )]
    Address,
    /// A consent is in force.
    #[error("A guardian has consented already. Nothing to do.")]
    AlreadyGiven,
    /// Another guardian, with another address, has revoked the consent.
    #[error(
        "A guardian has revoked the consent, and only the same guardian can consent again. Give the same address."
    )]
    RevokedByOther,
    /// Too many mails were sent to this address, or too many requests came from this client.
    #[error("Too many mails. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for GuardianRequestRefusal {}

struct RequestCommand {
    user: UserId,
    email: String,
    link: NewLink,
    now: DateTime<Utc>,
}

/// Sends a guardian a mail with a link by which they consent. Earlier links of the account to guardians stop working.
///
/// # Errors
/// See [`GuardianRequestRefusal`].
#[service_call("guardian.request")]
pub async fn request(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    guardian_email: &str,
) -> Result<(), Error<GuardianRequestRefusal>> {
    let user = account::by_id(services, viewer.user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active);
    let user = user.ok_or(GuardianRequestRefusal::Inactive)?;
    let now = services.clock.now();
    if !services.consent.is_on() {
        return Err(GuardianRequestRefusal::NotNeeded.into());
    }
    let birth_year = user.birth_year.ok_or(GuardianRequestRefusal::BirthYearMissing)?;
    if !services.consent.is_minor(birth_year, now) {
        return Err(GuardianRequestRefusal::NotNeeded.into());
    }
    let email =
        account::check_email(guardian_email).map_err(|_: InvalidField| GuardianRequestRefusal::Address)?;
    if email == user.email {
        return Err(GuardianRequestRefusal::Address.into());
    }
    if user.email_verified_at.is_none() {
        return Err(GuardianRequestRefusal::EmailNotVerified.into());
    }
    // The stored consent is read before the budget for mails is charged, so that a refused request uses up no mail. The
    // transaction reads it again, because the consent may change meanwhile.
    let consent = of_user(services.database.reader(), user.id).await?;
    if let Some(refusal) = consent.and_then(|row| refusal_of(&row, &email)) {
        return Err(refusal.into());
    }
    services.limits.mail.take(client, &email, MailCause::Anybody).map_err(GuardianRequestRefusal::TooMany)?;
    let link = NewLink::about(services, LinkPurpose::GuardianConsent, &email, Some(&user.email))?;
    let command = RequestCommand { user: user.id, email, link, now };
    let policy = WritePolicy::not_idempotent("guardian.request").retry_taken_keys();
    services
        .database
        .write_for(user.id, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.outbox.wake();
    Ok(())
}

/// Returns why this guardian may not be asked: a consent is in force, or a guardian with another address revoked it.
/// Returns None if the guardian may be asked.
fn refusal_of(row: &guardian_consent::Model, email: &str) -> Option<GuardianRequestRefusal> {
    if is_given(row) {
        return Some(GuardianRequestRefusal::AlreadyGiven);
    }
    // After a revocation, only the same address may be asked. So a minor cannot get a consent from a second address.
    let is_revoked_by_other = row.revoked_at.is_some() && row.guardian_email != email;
    is_revoked_by_other.then_some(GuardianRequestRefusal::RevokedByOther)
}

impl RequestCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<GuardianRequestRefusal>> {
        let Self { user, email, link, now } = self;
        if lock_user(transaction, *user).await? != Some(UserStatus::Active) {
            return Err(GuardianRequestRefusal::Inactive.into());
        }
        let consent = of_user(transaction, *user).await?;
        if let Some(refusal) = consent.as_ref().and_then(|row| refusal_of(row, email)) {
            return Err(refusal.into());
        }
        match consent {
            Some(row) => {
                let mut row = row.into_active_model();
                row.guardian_email = Set(email.clone());
                row.requested_at = Set(*now);
                row.update(transaction).await?;
            }
            None => {
                let row = guardian_consent::ActiveModel {
                    id: NotSet,
                    user_id: Set(*user),
                    guardian_email: Set(email.clone()),
                    revoke_token_hash: Set(None),
                    requested_at: Set(*now),
                    consented_at: Set(None),
                    revoked_at: Set(None),
                };
                row.insert(transaction).await?;
            }
        }
        account::end_links(transaction, *user, &[LinkPurpose::GuardianConsent], *now).await?;
        link.insert(transaction, *user).await?;
        audit::append(transaction, *now, Some(*user), "guardian.asked", ("users", user.0)).await?;
        Ok(())
    }
}

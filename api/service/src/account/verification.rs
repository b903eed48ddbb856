//! Verifies e-mail addresses: proves by links that users receive mail at their addresses.

use jishu_entity::account_link::{self, LinkPurpose};
use jishu_entity::user::{self, UserStatus};
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, SqlErr};

use super::by_id;
use super::credentials::{SignInRefusal, confirm};
use super::links::{self, LinkInvalid, NewLink};
use super::second_factor::end_linking_challenges;
use crate::auth::Viewer;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::limit::{ClientAddress, MailCause, RetryAfter};
use crate::mail::MailKind;
use crate::outbox::NewMessage;
use crate::{Services, audit};

/// A reason not to verify an address. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum VerifyRefusal {
    /// The link does not work.
    #[error(transparent)]
    Link(#[from] LinkInvalid),
    /// Another account got the new address after the link was sent.
    #[error("Another account has this e-mail address now. Choose another address.")]
    EmailTaken,
    /// The link works, but the client is not signed in to the account of the link and gave no password.
    #[error("Sign in to the account of this link first, or give its password.")]
    PasswordRequired,
    /// The link works, but the password is not that of the account of the link.
    #[error(
        "This is not the password of the account. If you did not make this account, reset its password instead."
    )]
    WrongPassword,
    /// Too many attempts came from this network address, or too many on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for VerifyRefusal {}

/// Uses a link that proves that a user receives mail at an address, and returns the account. The address is that of
/// the account, or a new address. A new address becomes the address of the account, and a mail to the old address
/// says so.
///
/// The link alone is not enough, for two reasons. A stranger can register with another person's address. If that
/// person used the link without a thought, the stranger's password would open a verified account. And a user can
/// mistype a new address: then the owner of that address could take over the account. So whoever uses the link must
/// be signed in to the account, or give its password.
///
/// # Errors
/// See [`VerifyRefusal`].
#[service_call("account.verify")]
pub async fn verify(
    services: &Services,
    client: ClientAddress,
    viewer: Option<Viewer>,
    token: &str,
    password: Option<&str>,
) -> Result<user::Model, Error<VerifyRefusal>> {
    let purposes = [LinkPurpose::VerifyEmail, LinkPurpose::ChangeEmail];
    let found = links::find(services, token, &purposes).await?;
    let Some((link, user)) = found else { return Err(VerifyRefusal::from(LinkInvalid).into()) };
    if link.expires_at <= services.clock.now() {
        return Err(VerifyRefusal::from(LinkInvalid).into());
    }
    match password {
        _ if viewer.is_some_and(|viewer| viewer.user_id == user.id) => {}
        None => return Err(VerifyRefusal::PasswordRequired.into()),
        Some(password) => {
            confirm(services, client, user.id, password).await.map_err(|error| {
                error.map(|refusal| match refusal {
                    SignInRefusal::InvalidCredentials => VerifyRefusal::WrongPassword,
                    SignInRefusal::TooMany(wait) => VerifyRefusal::TooMany(wait),
                })
            })?;
        }
    }
    let notice = match link.purpose {
        LinkPurpose::ChangeEmail => Some(links::notice(services, MailKind::EmailChanged, &user.email)?),
        _ => None,
    };
    let owner = user.id;
    let verification = Verification { link, user, notice, now: services.clock.now() };
    let policy = WritePolicy::not_idempotent("account.verify");
    services
        .database
        .write_for(owner, policy, verification, |transaction, verification| {
            Box::pin(verification.run(transaction))
        })
        .await?;
    services.outbox.wake();
    Ok(by_id(services, owner).await?.ok_or_else(|| Fault::missing(format!("user {owner}")))?)
}

/// The use of a link that verifies an address. `user` is the account as it was when the link was found.
struct Verification {
    link: account_link::Model,
    user: user::Model,
    notice: Option<NewMessage>,
    now: chrono::DateTime<chrono::Utc>,
}

impl Verification {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<VerifyRefusal>> {
        let Self { link, user, notice, now } = self;
        let status = lock_user(transaction, user.id).await?;
        if status != Some(UserStatus::Active) || !links::take(transaction, link.id, *now).await? {
            return Err(VerifyRefusal::from(LinkInvalid).into());
        }
        let is_change = link.purpose == LinkPurpose::ChangeEmail;
        let mut update = user::Entity::update_many()
            .col_expr(user::Column::EmailVerifiedAt, Expr::value(*now))
            .filter(user::Column::Id.eq(user.id));
        // A new address replaces only the address that the account had when the link was found, because the notice
        // goes to that address. Without a new address, the account must still have the address of the link.
        if is_change {
            update = update
                .col_expr(user::Column::Email, Expr::value(link.email.as_str()))
                .filter(user::Column::Email.eq(user.email.as_str()));
        } else {
            update = update.filter(user::Column::Email.eq(link.email.as_str()));
        }
        let updated = update.exec(transaction).await.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Error::from(VerifyRefusal::EmailTaken),
            _ => error.into(),
        })?;
        if updated.rows_affected != 1 {
            return Err(VerifyRefusal::from(LinkInvalid).into());
        }
        // After a change of the address, links that were sent to the old address must not work. After a verification,
        // other links that verify the same address have no use.
        let ended: &[LinkPurpose] = match is_change {
            true => &[LinkPurpose::VerifyEmail, LinkPurpose::ResetPassword, LinkPurpose::ChangeEmail],
            false => &[LinkPurpose::VerifyEmail],
        };
        links::end(transaction, user.id, ended, *now).await?;
        if is_change {
            // A sign-in at the issuer that waits for the second factor found the account by the old address. Its
            // identity must not become a way into the account.
            end_linking_challenges(transaction, user.id, *now).await?;
        }
        let action = if is_change { "user.email_changed" } else { "user.email_verified" };
        audit::append(transaction, *now, Some(user.id), action, ("users", user.id.0)).await?;
        if let Some(notice) = notice {
            notice.append(transaction, Some(user.id)).await?;
        }
        Ok(())
    }
}

/// A reason not to send another verification mail. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ResendRefusal {
    /// The account was deleted or deactivated.
    #[error("This account is not active.")]
    Inactive,
    /// The address is verified already.
    #[error("This e-mail address is verified already. Nothing to do.")]
    AlreadyVerified,
    /// Too many mails were sent to this address, or too many requests came from this client.
    #[error("Too many mails. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for ResendRefusal {}

/// Sends the viewer another mail with a link to verify their address. Earlier links keep working.
///
/// # Errors
/// See [`ResendRefusal`].
#[service_call("account.resend_verification")]
pub async fn resend_verification(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
) -> Result<(), Error<ResendRefusal>> {
    let user = by_id(services, viewer.user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active).ok_or(ResendRefusal::Inactive)?;
    if user.email_verified_at.is_some() {
        return Err(ResendRefusal::AlreadyVerified.into());
    }
    services.limits.mail.take(client, &user.email, MailCause::OwnAccount).map_err(ResendRefusal::TooMany)?;
    Ok(links::send(services, user.id, NewLink::new(services, LinkPurpose::VerifyEmail, &user.email)?).await?)
}

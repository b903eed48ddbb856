//! Sets new passwords, by a link in a mail or by the current password. A new password ends all earlier sessions of
//! the account.

use chrono::{DateTime, Utc};
use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user::UserStatus;
use jishu_entity::{AccountLinkId, second_factor, user};
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::client::SignInClient;
use super::credentials::{SignInRefusal, confirm};
use super::links::{self, LinkInvalid};
use super::new_refresh_token::{NewRefreshToken, SignedIn};
use super::refresh;
use super::second_factor::{NewChallenge, forget_unconfirmed};
use super::sign_in::SignInOutcome;
use super::validation::{InvalidField, check_password};
use crate::auth::Viewer;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::limit::RetryAfter;
use crate::mail::MailKind;
use crate::outbox::NewMessage;
use crate::{Services, audit, guardian};

/// A reason not to set a new password. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PasswordRefusal {
    /// The link does not work.
    #[error(transparent)]
    Link(#[from] LinkInvalid),
    /// The current password is wrong, or it changed while the request ran. Or the account is not active.
    #[error("The current password is not right.")]
    WrongPassword,
    /// The new password is not allowed.
    #[error(transparent)]
    Invalid(InvalidField),
    /// Too many attempts came from this network address, or too many on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for PasswordRefusal {}

/// Sets a new password by a link, and signs in. The link proves that its user receives mail at the address of the
/// account, so it also verifies that address. If the account has a second factor, the sign-in waits for it.
///
/// # Errors
/// See [`PasswordRefusal`].
#[service_call("account.reset_password")]
pub async fn reset_password(
    services: &Services,
    client: SignInClient,
    token: &str,
    password: String,
) -> Result<SignInOutcome, Error<PasswordRefusal>> {
    let found = links::find(services, token, &[LinkPurpose::ResetPassword]).await?;
    let Some((link, user)) = found else { return Err(PasswordRefusal::from(LinkInvalid).into()) };
    if link.email != user.email || link.expires_at <= services.clock.now() {
        return Err(PasswordRefusal::from(LinkInvalid).into());
    }
    set(services, client, user, password, Some(link.id)).await
}

/// Sets a new password for a viewer who knows the current one, and begins a new session. All other sessions of the
/// viewer end.
///
/// # Errors
/// See [`PasswordRefusal`].
#[service_call("account.change_password")]
pub async fn change_password(
    services: &Services,
    client: SignInClient,
    viewer: Viewer,
    current: &str,
    password: String,
) -> Result<SignedIn, Error<PasswordRefusal>> {
    let confirmed = confirm(services, client.address, viewer.user_id, current).await;
    let user = confirmed.map_err(|error| {
        error.map(|refusal| match refusal {
            SignInRefusal::TooMany(wait) => PasswordRefusal::TooMany(wait),
            SignInRefusal::InvalidCredentials => PasswordRefusal::WrongPassword,
        })
    })?;
    match set(services, client, user, password, None).await? {
        SignInOutcome::SignedIn(signed_in) => Ok(*signed_in),
        // Unreachable: a sign-in waits for the second factor only if a link set the password.
        SignInOutcome::SecondFactorRequired(_) => Err(PasswordRefusal::WrongPassword.into()),
    }
}

async fn set(
    services: &Services,
    client: SignInClient,
    user: user::Model,
    password: String,
    link: Option<AccountLinkId>,
) -> Result<SignInOutcome, Error<PasswordRefusal>> {
    check_password(&password, &user.email).map_err(PasswordRefusal::Invalid)?;
    let hash = services.passwords.hash(password).await?;
    let token = NewRefreshToken::of_new_session(services, client).map_err(Fault::from)?;
    let notice = links::notice(services, MailKind::PasswordChanged, &user.email)?;
    let challenge = NewChallenge::new(services)?;
    let (now, owner) = (token.now, user.id);
    let (of_token, of_challenge) = (token.clone(), challenge.clone());
    let command = NewPassword { user, link, hash, token: of_token, challenge: of_challenge, notice, now };
    let policy = WritePolicy::not_idempotent("account.new_password").retry_taken_keys();
    let (user, is_challenged) = services
        .database
        .write_for(owner, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.outbox.wake();
    services.ended_sessions.refresh_or_warn().await;
    if is_challenged {
        return Ok(SignInOutcome::SecondFactorRequired(challenge.into_challenge()));
    }
    Ok(SignInOutcome::SignedIn(Box::new(token.signed_in(services, user)?)))
}

struct NewPassword {
    /// The account, as it was when the link was found or the current password was compared.
    user: user::Model,
    /// The link that allows the new password. None if the current password allows it.
    link: Option<AccountLinkId>,
    hash: String,
    token: NewRefreshToken,
    challenge: NewChallenge,
    notice: NewMessage,
    now: DateTime<Utc>,
}

impl NewPassword {
    /// Stores the password, ends all sessions of the account, and begins a new session. If a link sets the password of
    /// an account with a second factor, stores a challenge instead of a new session. Appends a mail to the owner and an
    /// audit event. Returns the account, and whether it stored a challenge.
    async fn run(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<(user::Model, bool), Error<PasswordRefusal>> {
        let Self { user, link, hash, token, challenge, notice, now } = self;
        let refusal = || match link {
            Some(_) => PasswordRefusal::from(LinkInvalid),
            None => PasswordRefusal::WrongPassword,
        };
        if lock_user(transaction, user.id).await? != Some(UserStatus::Active) {
            return Err(refusal().into());
        }
        let mut update = user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(hash.as_str()))
            .filter(user::Column::Id.eq(user.id))
            .filter(user::Column::Email.eq(user.email.as_str()));
        let mut changed = user.clone();
        match link {
            Some(link) => {
                if !links::take(transaction, *link, *now).await? {
                    return Err(refusal().into());
                }
                if user.email_verified_at.is_none() {
                    update = update.col_expr(user::Column::EmailVerifiedAt, Expr::value(*now));
                    changed.email_verified_at = Some(*now);
                }
            }
            // The password of the account may have changed after the given current password was compared with it. Then
            // the comparison no longer counts.
            None => update = update.filter(user::Column::PasswordHash.eq(user.password_hash.as_str())),
        }
        if update.exec(transaction).await?.rows_affected != 1 {
            return Err(refusal().into());
        }
        if changed.email_verified_at != user.email_verified_at {
            guardian::forget(transaction, user.id, *now).await?;
        }
        // Somebody who knew the old password may have begun to set up a second factor.
        forget_unconfirmed(transaction, user.id).await?;
        // Somebody who stole the account may have asked for a new address. The link to that address must not work any
        // more.
        links::end(transaction, user.id, &[LinkPurpose::ResetPassword, LinkPurpose::ChangeEmail], *now)
            .await?;
        refresh::revoke_all(transaction, user.id, *now).await?;
        // A viewer who gives the current password is in a session that has passed the second factor.
        let is_challenged = link.is_some() && second_factor::Entity::is_on(transaction, user.id).await?;
        if is_challenged {
            challenge.insert(transaction, user.id, None).await?;
        } else {
            token.insert(transaction, user.id).await?;
        }
        let action = if link.is_some() { "user.password_reset" } else { "user.password_changed" };
        audit::append(transaction, *now, Some(user.id), action, ("users", user.id.0)).await?;
        notice.append(transaction, Some(user.id)).await?;
        changed.password_hash.clone_from(hash);
        Ok((changed, is_challenged))
    }
}

//! Checks e-mail addresses and passwords, within the budgets of attempts.

use std::time::Duration;

use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, second_factor, user};

use super::network;
use super::requests::AccountRequest;
use super::validation::fold_email;
use super::{by_email, by_id};
use crate::auth::{MAX_PASSWORD_BYTES, PasswordVerdict, TimedVerdict};
use crate::error::{Error, Refusal};
use crate::limit::{ClientAddress, RetryAfter, SignInAttempt};
use crate::{Services, security};

/// A reason not to sign a user in.
#[derive(Debug, thiserror::Error)]
pub enum SignInRefusal {
    /// The e-mail address is unknown, the password is wrong, the account is deactivated, or the account must verify its
    /// address first. Or the account changed during the sign-in. The client does not learn which of these is the
    /// reason.
    #[error("The e-mail address or the password is not right.")]
    InvalidCredentials,
    /// Too many attempts came from this network address, or too many attempts on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for SignInRefusal {}

/// The kind of accounts that may pass the check of a password.
#[derive(Clone, Copy)]
pub(super) struct Admitted {
    /// Whether only accounts with a verified e-mail address may pass.
    pub(super) verified_only: bool,
}

/// Checks the password of a user who is signed in. Failures count as failed sign-ins of the account.
///
/// # Errors
/// See [`SignInRefusal`].
pub(super) async fn confirm(
    services: &Services,
    client: ClientAddress,
    user: UserId,
    password: &str,
) -> Result<user::Model, Error<SignInRefusal>> {
    let found = by_id(services, user).await?.ok_or(SignInRefusal::InvalidCredentials)?;
    let who = Admitted { verified_only: false };
    let (confirmed, _is_outdated) = authenticate(services, client, &found.email, password, who).await?;
    // Another account may have got the address after the user was read.
    if confirmed.id == user { Ok(confirmed) } else { Err(SignInRefusal::InvalidCredentials.into()) }
}

/// Checks an e-mail address and a password within the budgets of attempts. Returns the account, and whether its
/// stored password hash is outdated.
pub(super) async fn authenticate(
    services: &Services,
    client: ClientAddress,
    email: &str,
    password: &str,
    who: Admitted,
) -> Result<(user::Model, bool), Error<SignInRefusal>> {
    let folded = fold_email(email);
    let attempt = admit(services, client, &folded).await?;
    let checked = match check_password(services, email, password, who).await {
        Ok(checked) => checked,
        Err(error) => {
            attempt.undecided();
            return Err(error);
        }
    };
    let (user, is_outdated, has_second_factor) = match checked {
        PasswordCheck::Right { user, is_outdated, has_second_factor } => {
            (user, is_outdated, has_second_factor)
        }
        PasswordCheck::Wrong { reason, user, verified } => {
            security::sign_in_failed(client, reason, user.as_ref().map(|user| user.id));
            if let Some(user) = user.filter(|_| reason == UNVERIFIED) {
                remind(services, client, user);
            }
            let Some(spent) = attempt.failed() else {
                tokio::time::sleep(verified.pad).await;
                return Err(SignInRefusal::InvalidCredentials.into());
            };
            // Another budget is spent, so only the separate budget for accounts that are known at this network admitted
            // the attempt. An account that is not known here would be refused. So a wrong password gets the same
            // refusal, after the same time. Otherwise the response would show that the account is known.
            services.passwords.pad_refused(verified.work).await;
            return Err(SignInRefusal::TooMany(spent.wait).into());
        }
    };
    // Wrong codes of the second factor count against the same budgets. So the right password alone must not refill
    // the budgets of an account with a second factor.
    if has_second_factor {
        attempt.half_succeeded();
    } else {
        attempt.succeeded();
    }
    Ok((user, is_outdated))
}

/// The reason in the log for the right password of an account that must verify its address first.
const UNVERIFIED: &str = "not verified";

/// Queues another mail with a link to verify the address of this account. Does nothing if a budget for reminders
/// is spent. The mail is sent later, so that the time of the response does not show that the password was right.
fn remind(services: &Services, client: ClientAddress, user: user::Model) {
    if services.limits.mail.take_for_reminder(client, &user.email) {
        let request = AccountRequest::Verify { user: Box::new(user) };
        if services.account_requests.add(request).is_err() {
            tracing::warn!(
                "too many requests wait, so no verification mail was sent; the next sign-in retries"
            );
        }
    }
}

/// Admits an attempt to sign in, or refuses it if a budget is spent. If a session of the account began or
/// continued in this network before, a separate budget may admit the attempt. `email` must have the stored form.
pub(super) async fn admit<'s>(
    services: &'s Services,
    client: ClientAddress,
    email: &str,
) -> Result<SignInAttempt<'s>, Error<SignInRefusal>> {
    let limits = &services.limits.sign_in;
    let spent = match limits.sign_in(client, email) {
        Ok(attempt) => return Ok(attempt),
        Err(spent) => spent,
    };
    let is_known = limits.knows(client, email)
        || (limits.may_look_up(client, email) && network::is_known(services, client, email).await?);
    if is_known && let Ok(attempt) = limits.sign_in_where_known(client, email, spent) {
        return Ok(attempt);
    }
    // Waits as long as a password check takes. Otherwise the time of the refusal would show which accounts are known
    // in this network.
    services.passwords.pad_refused(Duration::ZERO).await;
    if spent.of_account {
        security::account_locked(client, spent.wait);
    } else {
        security::too_many_requests(client, "sign-ins", spent.wait);
    }
    Err(SignInRefusal::TooMany(spent.wait).into())
}

/// The result of checking an e-mail address and a password.
enum PasswordCheck {
    Right { user: user::Model, is_outdated: bool, has_second_factor: bool },
    Wrong { reason: &'static str, user: Option<user::Model>, verified: TimedVerdict },
}

async fn check_password(
    services: &Services,
    email: &str,
    password: &str,
    who: Admitted,
) -> Result<PasswordCheck, Error<SignInRefusal>> {
    let user = by_email(services.database.reader(), email).await?;
    // A password that is too long cannot be right. An empty password is hashed in its place, so that the response
    // takes as long as for a shorter wrong password.
    let is_too_long = password.len() > MAX_PASSWORD_BYTES;
    let given = if is_too_long { String::new() } else { password.to_owned() };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let verified = services.passwords.verify(given, hash).await?;
    let wrong = |reason, user| Ok(PasswordCheck::Wrong { reason, user, verified });
    let Some(user) = user else { return wrong("credentials", None) };
    match verified.verdict {
        PasswordVerdict::Unreadable => {
            let message = "a stored password hash cannot be read, so its user cannot sign in. Store another hash for \
                           this user";
            tracing::warn!(user = %user.id, "{message}");
            wrong("unreadable hash", Some(user))
        }
        PasswordVerdict::Wrong => wrong("credentials", Some(user)),
        _ if is_too_long => wrong("credentials", Some(user)),
        _ if user.status != UserStatus::Active => wrong("deactivated", Some(user)),
        _ if who.verified_only && user.email_verified_at.is_none() => wrong(UNVERIFIED, Some(user)),
        verdict => {
            let has_second_factor = second_factor::Entity::is_on(services.database.reader(), user.id).await?;
            let is_outdated = verdict == PasswordVerdict::RightAndOutdated;
            Ok(PasswordCheck::Right { user, is_outdated, has_second_factor })
        }
    }
}

//! Signs users in, and makes the tokens of a session.

use std::time::Duration;

use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, user};
use sea_orm::{DatabaseTransaction, EntityTrait, QuerySelect};

use super::client::SignInClient;
use super::network;
use super::new_session::{NewSession, SignedIn};
use super::oidc::NewIdentity;
use super::requests::AccountRequest;
use super::second_factor::{self, NewChallenge, SecondFactorChallenge};
use super::validation::fold_email;
use super::{by_email, by_id, hashes};
use crate::Services;
use crate::auth::{MAX_PASSWORD_BYTES, PasswordVerdict, TimedVerdict};
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::limit::{ClientAddress, RetryAfter, SignInAttempt};
use crate::metrics::SignInResult;
use crate::security;

/// The outcome of a correct password, or of a sign-in at an issuer.
#[derive(Clone, Debug)]
pub enum SignInOutcome {
    /// The user is signed in.
    SignedIn(Box<SignedIn>),
    /// The account has a second factor. [`second_factor::complete_login`] signs in.
    SecondFactorRequired(SecondFactorChallenge),
}

/// A reason not to sign a user in.
#[derive(Debug, thiserror::Error)]
pub enum SignInRefusal {
    /// The e-mail address is unknown, the password is wrong, or the account is deactivated. Or the account must verify its
    /// address first. The client does not learn which.
    #[error("The e-mail address or the password is not right.")]
    InvalidCredentials,
    /// Too many attempts came from this network address, or too many attempts on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for SignInRefusal {}

/// Signs a user in. An unknown e-mail address takes as long as a wrong password.
///
/// If accounts must verify their addresses, the right password of an account that has not done so gets the same refusal as
/// a wrong one. Otherwise a stranger who registers with an address and then signs in would learn whether it had an account
/// before. The owner of the address gets another mail.
///
/// # Errors
/// See [`SignInRefusal`].
#[tracing::instrument(level = "debug", name = "account.login", skip_all)]
pub async fn login(
    services: &Services,
    client: SignInClient,
    email: &str,
    password: String,
) -> Result<SignInOutcome, Error<SignInRefusal>> {
    let result = login_uncounted(services, client, email, password).await;
    if let Some(metrics) = services.metrics.business() {
        metrics.sign_in(if result.is_ok() { SignInResult::Succeeded } else { SignInResult::Failed });
    }
    result
}

async fn login_uncounted(
    services: &Services,
    client: SignInClient,
    email: &str,
    password: String,
) -> Result<SignInOutcome, Error<SignInRefusal>> {
    let who = Admitted { verified_only: services.requires_verified_email };
    let (user, is_outdated) = authenticate(services, client.address, email, &password, who).await?;
    if !is_outdated {
        return begin(services, client, user, None).await;
    }
    let rehash = hashes::replacement(services, &user, password.clone()).await;
    match begin(services, client, user, rehash).await {
        // Another sign-in may have replaced the hash of the old system. The new hash decides whether the password is
        // still the same.
        Err(Error::Refused(SignInRefusal::InvalidCredentials)) => {
            let (user, _is_outdated) = authenticate(services, client.address, email, &password, who).await?;
            begin(services, client, user, None).await
        }
        begun => begun,
    }
}

/// The accounts that a password admits.
#[derive(Clone, Copy)]
struct Admitted {
    /// Only accounts that have verified their addresses.
    verified_only: bool,
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
    // The address may have gone to another account since it was read.
    if confirmed.id == user { Ok(confirmed) } else { Err(SignInRefusal::InvalidCredentials.into()) }
}

/// Checks an e-mail address and a password within the budgets. Returns the account, and whether its hash is outdated.
async fn authenticate(
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
            // Sends the same response as for an account that has not signed in from there before.
            services.passwords.pad_refused(verified.work).await;
            return Err(SignInRefusal::TooMany(spent.wait).into());
        }
    };
    // Wrong codes count against the same budgets, so a right password must not fill them again.
    if has_second_factor {
        attempt.undecided();
    } else {
        attempt.succeeded();
    }
    Ok((user, is_outdated))
}

/// The reason in the log for the right password of an account that must verify its address first.
const UNVERIFIED: &str = "not verified";

/// Asks for another mail to the owner of an account who must verify its address. It is sent later, so that the time of the
/// response does not show that the password was right.
fn remind(services: &Services, client: ClientAddress, user: user::Model) {
    if services.limits.mail.take(client, &user.email).is_ok() {
        let request = AccountRequest::Verify { user: Box::new(user) };
        if services.account_requests.add(request).is_err() {
            tracing::warn!("a mail that verifies an address was not sent, because too many requests wait");
        }
    }
}

/// Admits an attempt, or refuses it if a budget is spent. An account that signed in from there before has another
/// budget.
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
    // Waits as long as a password check takes, so that the time does not show which accounts are known here.
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
    // A password that is too long cannot be right. An empty one is hashed in its place, so that it takes as long.
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
            let has_second_factor = second_factor::is_on(services.database.reader(), user.id).await?;
            let is_outdated = verdict == PasswordVerdict::RightAndOutdated;
            Ok(PasswordCheck::Right { user, is_outdated, has_second_factor })
        }
    }
}

/// Begins a session of this user, with a new family of refresh tokens. If the account has a second factor, begins a
/// challenge instead.
async fn begin(
    services: &Services,
    client: SignInClient,
    user: user::Model,
    rehash: Option<String>,
) -> Result<SignInOutcome, Error<SignInRefusal>> {
    begin_with(services, client, user, rehash, None).await
}

/// Begins a session as [`begin`] does, and links an identity to the account in the same transaction, if given.
pub(super) async fn begin_with(
    services: &Services,
    client: SignInClient,
    user: user::Model,
    rehash: Option<String>,
    identity: Option<NewIdentity>,
) -> Result<SignInOutcome, Error<SignInRefusal>> {
    let session = NewSession::new(services, client)
        .map_err(Fault::from)?
        .skipping_recorded_visit(services, &user.email);
    let challenge = NewChallenge::new(services)?;
    // If two sign-ins come from a new network at once, the second is retried and finds the row of the first.
    let policy = WritePolicy::not_idempotent("session.begin").retry_taken_keys();
    let input = (session.clone(), challenge.clone(), user.clone(), rehash, identity);
    let is_challenged = services
        .database
        .write_for(user.id, policy, input, |transaction, (session, challenge, user, rehash, identity)| {
            Box::pin(async move {
                check_unchanged(transaction, user).await?;
                if let Some(identity) = identity {
                    identity.insert(transaction, user.id).await?;
                }
                if let Some(hash) = rehash {
                    hashes::replace(transaction, user, hash).await?;
                }
                // After the lock, so that a factor that is switched on meanwhile counts.
                if second_factor::is_on(transaction, user.id).await? {
                    challenge.insert(transaction, user.id).await?;
                    return Ok(true);
                }
                session.insert(transaction, user.id).await?;
                Ok(false)
            })
        })
        .await?;
    if is_challenged {
        return Ok(SignInOutcome::SecondFactorRequired(challenge.into_challenge()));
    }
    Ok(SignInOutcome::SignedIn(Box::new(session.signed_in(services, user)?)))
}

/// Locks the account, and checks that neither its status, its address nor its password changed since the password was
/// compared. A new password ends all sessions, so no session may begin after it with the old password.
async fn check_unchanged(
    transaction: &DatabaseTransaction,
    user: &user::Model,
) -> Result<(), Error<SignInRefusal>> {
    let status = lock_user(transaction, user.id).await?;
    let stored: Option<(String, String)> = user::Entity::find_by_id(user.id)
        .select_only()
        .columns([user::Column::PasswordHash, user::Column::Email])
        .into_tuple()
        .one(transaction)
        .await?;
    let is_same = stored.is_some_and(|(hash, email)| hash == user.password_hash && email == user.email);
    if status == Some(UserStatus::Active) && is_same {
        Ok(())
    } else {
        Err(SignInRefusal::InvalidCredentials.into())
    }
}

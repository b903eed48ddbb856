//! Signs users in, and makes the tokens of a session.

use jishu_entity::user::UserStatus;
use jishu_entity::{second_factor, user};
use jishu_service_macros::service_call;
use sea_orm::{DatabaseTransaction, EntityTrait, QuerySelect};

use super::client::SignInClient;
use super::credentials::{Admitted, SignInRefusal, authenticate};
use super::hashes;
use super::new_session::{NewSession, SignedIn};
use super::oidc::NewIdentity;
use super::second_factor::{NewChallenge, SecondFactorChallenge};
use crate::Services;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault};
use crate::metrics::SignInResult;

/// The outcome of a correct password, or of a sign-in at an issuer.
#[derive(Clone, Debug)]
pub enum SignInOutcome {
    /// The user is signed in.
    SignedIn(Box<SignedIn>),
    /// The account has a second factor. [`super::complete_login`] signs in.
    SecondFactorRequired(SecondFactorChallenge),
}

/// Signs a user in. An unknown e-mail address takes as long as a wrong password.
///
/// If accounts must verify their addresses, the right password of an account that has not done so gets the same refusal as
/// a wrong one. Otherwise a stranger who registers with an address and then signs in would learn whether it had an account
/// before. The owner of the address gets another mail.
///
/// # Errors
/// See [`SignInRefusal`].
#[service_call("account.login")]
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
                if second_factor::Entity::is_on(transaction, user.id).await? {
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

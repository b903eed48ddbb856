//! Signs users in: checks the password, and begins a session or a challenge.

use jishu_entity::user::UserStatus;
use jishu_entity::{second_factor, user};
use jishu_service_macros::service_call;
use sea_orm::{DatabaseTransaction, EntityTrait, QuerySelect};

use super::client::SignInClient;
use super::credentials::{Admitted, SignInRefusal, authenticate};
use super::hashes;
use super::new_refresh_token::{NewRefreshToken, SignedIn};
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
    /// The account has a second factor. [`super::complete_login`] completes the sign-in.
    SecondFactorRequired(SecondFactorChallenge),
}

/// Signs a user in by an e-mail address and a password. The refusal of an unknown e-mail address takes as long as that
/// of a wrong password.
///
/// If accounts must verify their addresses, the right password of an account with an unverified address gets the same
/// refusal as a wrong password. The address gets another mail with a link for its verification. With a different
/// refusal, a stranger could register with any address and then sign in. The refusal would show whether the address had
/// an account before.
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
        // Another sign-in may have replaced the outdated hash meanwhile. So the password is compared with the new
        // hash.
        Err(Error::Refused(SignInRefusal::InvalidCredentials)) => {
            let (user, _is_outdated) = authenticate(services, client.address, email, &password, who).await?;
            begin(services, client, user, None).await
        }
        begun => begun,
    }
}

/// Begins a session of this user, which is a new family of refresh tokens. If the account has a second factor, begins
/// a challenge instead. `rehash` replaces the stored password hash, if given.
async fn begin(
    services: &Services,
    client: SignInClient,
    user: user::Model,
    rehash: Option<String>,
) -> Result<SignInOutcome, Error<SignInRefusal>> {
    begin_with(services, client, user, rehash, None).await
}

/// Begins a session or a challenge as [`begin`] does. If an identity is given, the transaction that begins the session
/// also links the identity to the account. A challenge only stores the identity, and a right code links it later.
/// Otherwise somebody without the second factor could add a way into the account.
pub(super) async fn begin_with(
    services: &Services,
    client: SignInClient,
    user: user::Model,
    rehash: Option<String>,
    identity: Option<NewIdentity>,
) -> Result<SignInOutcome, Error<SignInRefusal>> {
    let token = NewRefreshToken::of_new_session(services, client)
        .map_err(Fault::from)?
        .skipping_recorded_visit(services, &user.email);
    let challenge = NewChallenge::new(services)?;
    // Two sign-ins of an account can come from a new network at once. Then the second transaction is retried, and
    // finds the row of the network that the first one inserted.
    let policy = WritePolicy::not_idempotent("session.begin").retry_taken_keys();
    let input = (token.clone(), challenge.clone(), user.clone(), rehash, identity);
    let is_challenged = services
        .database
        .write_for(user.id, policy, input, |transaction, (token, challenge, user, rehash, identity)| {
            Box::pin(async move {
                check_unchanged(transaction, user).await?;
                if let Some(hash) = rehash {
                    hashes::replace(transaction, user, hash).await?;
                }
                // Reads the second factor after locking the user's row, so that a second factor that was switched on
                // meanwhile counts.
                if second_factor::Entity::is_on(transaction, user.id).await? {
                    challenge.insert(transaction, user.id, identity.as_ref()).await?;
                    return Ok(true);
                }
                if let Some(identity) = identity {
                    identity.insert(transaction, user.id).await?;
                }
                token.insert(transaction, user.id).await?;
                Ok(false)
            })
        })
        .await?;
    if is_challenged {
        return Ok(SignInOutcome::SecondFactorRequired(challenge.into_challenge()));
    }
    Ok(SignInOutcome::SignedIn(Box::new(token.signed_in(services, user)?)))
}

/// Locks the user's row. Refuses if the account is not active, or if its address or its password has changed since
/// the user was read. A new password ends all sessions, so no session may begin after that with the old password.
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

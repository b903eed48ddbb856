//! Signs users in, and makes the tokens of a session.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, refresh_token, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, DatabaseTransaction, DbErr, EntityTrait,
    QuerySelect,
};
use uuid::Uuid;

use super::network::{self, NetworkVisit};
use super::validation::fold_email;
use super::{by_email, by_id, hashes, verification};
use crate::Services;
use crate::auth::{
    AccessToken, MAX_PASSWORD_BYTES, PasswordVerdict, RefreshToken, RefreshTokenError, TimedVerdict, Viewer,
};
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::limit::{ClientAddress, RetryAfter, SignInAttempt};
use crate::security;

/// A user with the tokens of their session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The user who signed in.
    pub user: user::Model,
    /// The token for the `Authorization` header.
    pub access: AccessToken,
    /// The token that can be exchanged once for the next pair of tokens.
    pub refresh: RefreshToken,
    /// When the refresh token expires.
    pub refresh_expires_at: DateTime<Utc>,
}

/// A reason not to sign a user in.
#[derive(Debug, thiserror::Error)]
pub enum SignInRefusal {
    /// The e-mail address is unknown, the password is wrong, or the account is deactivated. The client does not learn
    /// which.
    #[error("The e-mail address or the password is not right.")]
    InvalidCredentials,
    /// The password is right, but the account must verify its e-mail address first. A new mail is on its way.
    #[error("This e-mail address is not verified yet. Open the link in the mail that we sent you.")]
    EmailNotVerified,
    /// Too many attempts came from this network address, or too many attempts on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for SignInRefusal {}

/// Signs a user in. An unknown e-mail address takes as long as a wrong password.
///
/// # Errors
/// See [`SignInRefusal`].
pub async fn login(
    services: &Services,
    client: ClientAddress,
    email: &str,
    password: String,
) -> Result<SignedIn, Error<SignInRefusal>> {
    let (user, is_outdated) = authenticate(services, client, email, &password).await?;
    if services.requires_verified_email && user.email_verified_at.is_none() {
        verification::remind(services, client, &user).await?;
        return Err(SignInRefusal::EmailNotVerified.into());
    }
    if !is_outdated {
        return begin(services, client, user, None).await;
    }
    let rehash = hashes::replacement(services, &user, password.clone()).await;
    match begin(services, client, user, rehash).await {
        // Another sign-in may have replaced the hash of the old system. The new hash decides whether the password is
        // still the same.
        Err(Error::Refused(SignInRefusal::InvalidCredentials)) => {
            let (user, _is_outdated) = authenticate(services, client, email, &password).await?;
            begin(services, client, user, None).await
        }
        begun => begun,
    }
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
    let (confirmed, _is_outdated) = authenticate(services, client, &found.email, password).await?;
    // The address may have gone to another account since it was read.
    if confirmed.id == user { Ok(confirmed) } else { Err(SignInRefusal::InvalidCredentials.into()) }
}

/// Checks an e-mail address and a password within the budgets. Returns the account, and whether its hash is outdated.
async fn authenticate(
    services: &Services,
    client: ClientAddress,
    email: &str,
    password: &str,
) -> Result<(user::Model, bool), Error<SignInRefusal>> {
    let folded = fold_email(email);
    let attempt = admit(services, client, &folded).await?;
    let checked = match check_password(services, email, password).await {
        Ok(checked) => checked,
        Err(error) => {
            attempt.undecided();
            return Err(error);
        }
    };
    let (user, is_outdated) = match checked {
        PasswordCheck::Right { user, is_outdated } => (user, is_outdated),
        PasswordCheck::Wrong { reason, user, verified } => {
            security::sign_in_failed(client, reason, user);
            let Some(spent) = attempt.failed() else {
                tokio::time::sleep(verified.pad).await;
                return Err(SignInRefusal::InvalidCredentials.into());
            };
            // Sends the same response as for an account that has not signed in from there before.
            services.passwords.pad_refused(verified.work).await;
            return Err(SignInRefusal::TooMany(spent.wait).into());
        }
    };
    attempt.succeeded();
    Ok((user, is_outdated))
}

/// Admits an attempt, or refuses it if a budget is spent. An account that signed in from there before has another
/// budget.
async fn admit<'s>(
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
    Right { user: user::Model, is_outdated: bool },
    Wrong { reason: &'static str, user: Option<UserId>, verified: TimedVerdict },
}

async fn check_password(
    services: &Services,
    email: &str,
    password: &str,
) -> Result<PasswordCheck, Error<SignInRefusal>> {
    let user = by_email(services.database.reader(), email).await?;
    // A password that is too long cannot be right. An empty one is hashed in its place, so that it takes as long.
    let is_too_long = password.len() > MAX_PASSWORD_BYTES;
    let given = if is_too_long { String::new() } else { password.to_owned() };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let verified = services.passwords.verify(given, hash).await?;
    let wrong = |reason, user| Ok(PasswordCheck::Wrong { reason, user, verified });
    let Some(user) = user else { return wrong("credentials", None) };
    let id = Some(user.id);
    match verified.verdict {
        PasswordVerdict::Unreadable => {
            let message = "a stored password hash cannot be read, so its user cannot sign in. Store another hash for \
                           this user";
            tracing::warn!(user = %user.id, "{message}");
            wrong("unreadable hash", id)
        }
        PasswordVerdict::Wrong => wrong("credentials", id),
        _ if is_too_long => wrong("credentials", id),
        _ if user.status != UserStatus::Active => wrong("deactivated", id),
        verdict => {
            Ok(PasswordCheck::Right { user, is_outdated: verdict == PasswordVerdict::RightAndOutdated })
        }
    }
}

/// Begins a session of this user, with a new family of refresh tokens.
async fn begin(
    services: &Services,
    client: ClientAddress,
    user: user::Model,
    rehash: Option<String>,
) -> Result<SignedIn, Error<SignInRefusal>> {
    let session = NewSession::new(services, client)
        .map_err(Fault::from)?
        .skipping_recorded_visit(services, &user.email);
    // If two sign-ins come from a new network at once, the second is retried and finds the row of the first.
    let policy = WritePolicy::not_idempotent("session.begin").retry_taken_keys();
    let input = (session.clone(), user.clone(), rehash);
    services
        .database
        .write_for(user.id, policy, input, |transaction, (session, user, rehash)| {
            Box::pin(async move {
                check_unchanged(transaction, user).await?;
                if let Some(hash) = rehash {
                    hashes::replace(transaction, user, hash).await?;
                }
                session.insert(transaction, user.id).await?;
                Ok(())
            })
        })
        .await?;
    Ok(session.signed_in(services, user)?)
}

/// Locks the account, and checks that neither its status nor its password changed since the password was compared. A
/// change ends all sessions, so no session may begin after it with the old password.
async fn check_unchanged(
    transaction: &DatabaseTransaction,
    user: &user::Model,
) -> Result<(), Error<SignInRefusal>> {
    let status = lock_user(transaction, user.id).await?;
    let hash: Option<String> = user::Entity::find_by_id(user.id)
        .select_only()
        .column(user::Column::PasswordHash)
        .into_tuple()
        .one(transaction)
        .await?;
    let has_same_password = hash.as_deref() == Some(user.password_hash.as_str());
    if status == Some(UserStatus::Active) && has_same_password {
        Ok(())
    } else {
        Err(SignInRefusal::InvalidCredentials.into())
    }
}

/// A session whose refresh token is about to be stored.
#[derive(Clone)]
pub(super) struct NewSession {
    pub(super) refresh: RefreshToken,
    pub(super) family: Uuid,
    pub(super) now: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) visit: NetworkVisit,
}

impl NewSession {
    /// Makes the first session of a new family.
    pub(super) fn new(services: &Services, client: ClientAddress) -> Result<Self, RefreshTokenError> {
        Self::of(services, client, Uuid::new_v4())
    }

    /// Makes the next session of a family.
    pub(super) fn of(
        services: &Services,
        client: ClientAddress,
        family: Uuid,
    ) -> Result<Self, RefreshTokenError> {
        let now = services.clock.now();
        Ok(Self {
            refresh: RefreshToken::generate(&services.secrets)?,
            family,
            now,
            expires_at: now + services.refresh_token_ttl,
            visit: NetworkVisit::new(services, client, now),
        })
    }

    /// Skips recording the network if this node recorded the same visit less than a day ago.
    pub(super) fn skipping_recorded_visit(self, services: &Services, email: &str) -> Self {
        Self { visit: self.visit.unless_recorded(services, email), ..self }
    }

    /// Stores the hash of the token, and the network to which it was issued.
    pub(super) async fn insert(
        &self,
        transaction: &DatabaseTransaction,
        user_id: UserId,
    ) -> Result<(), DbErr> {
        let row = refresh_token::ActiveModel {
            id: NotSet,
            user_id: Set(user_id),
            token_hash: Set(self.refresh.hash()),
            family_id: Set(self.family.to_string()),
            created_at: Set(self.now),
            expires_at: Set(self.expires_at),
            used_at: Set(None),
            revoked_at: Set(None),
            successor: Set(None),
            successor_until: Set(None),
        };
        row.insert(transaction).await?;
        self.visit.record(transaction, user_id).await
    }

    /// Issues the access token, after the session is stored.
    pub(super) fn signed_in(self, services: &Services, user: user::Model) -> Result<SignedIn, Fault> {
        self.visit.remember(services, &user.email);
        let viewer = Viewer { user_id: user.id, role: user.role, session_id: self.family };
        let access = services.tokens.issue(viewer, self.now)?;
        Ok(SignedIn { user, access, refresh: self.refresh, refresh_expires_at: self.expires_at })
    }
}

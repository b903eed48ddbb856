//! Signs in, and makes the tokens of a session.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, refresh_token, user};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::network::{self, Seen};
use super::validation::fold_email;
use super::{by_email, hashes};
use crate::Services;
use crate::auth::{
    AccessToken, MAX_PASSWORD_BYTES, PasswordError, RefreshToken, RefreshTokenError, TokenError, Verdict,
    Verified, Viewer,
};
use crate::database::WriteOptions;
use crate::limit::{ClientAddress, RetryAfter, SignInAttempt};
use crate::security;

/// A user with the tokens of their session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who signed in.
    pub user: user::Model,
    /// For the `Authorization` header.
    pub access: AccessToken,
    /// For the next access token; works once.
    pub refresh: RefreshToken,
    /// When the refresh token stops working.
    pub refresh_expires_at: DateTime<Utc>,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown address, wrong password, or a deactivated account: which one is not told.
    #[error("The e-mail address or the password is not right.")]
    InvalidCredentials,
    /// Too many attempts from this address, or too many failures against this account.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
    /// Too many passwords are being checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The access token could not be made.
    #[error(transparent)]
    AccessToken(#[from] TokenError),
    /// The refresh token could not be made.
    #[error(transparent)]
    RefreshToken(#[from] RefreshTokenError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Signs in. An unknown address takes as long as a wrong password.
///
/// # Errors
/// See [`SignInError`].
pub async fn login(
    services: &Services,
    client: ClientAddress,
    email: &str,
    password: String,
) -> Result<SignedIn, SignInError> {
    let folded = fold_email(email);
    let attempt = admit(services, client, &folded).await?;
    let checked = match check_password(services, email, &password).await {
        Ok(checked) => checked,
        Err(error) => {
            attempt.undecided();
            return Err(error);
        }
    };
    let (user, is_outdated) = match checked {
        Checked::Right { user, is_outdated } => (user, is_outdated),
        Checked::Wrong { reason, user, verified } => {
            security::sign_in_failed(client, reason, user);
            let Some(spent) = attempt.failed() else {
                tokio::time::sleep(verified.pad).await;
                return Err(SignInError::InvalidCredentials);
            };
            // The same response as for an account that is not known there.
            services.passwords.pad_refused(verified.work).await;
            return Err(SignInError::TooMany(spent.wait));
        }
    };
    attempt.succeeded();
    let rehash = if is_outdated { hashes::replacement(services, &user, password).await } else { None };
    begin(services, client, user, rehash).await
}

/// Admits an attempt, or refuses it if a budget is spent. Still admits an account that signed in from there
/// before.
async fn admit<'s>(
    services: &'s Services,
    client: ClientAddress,
    email: &str,
) -> Result<SignInAttempt<'s>, SignInError> {
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
    // Takes as long as the check of a password, so that the time does not show which accounts are known here.
    services.passwords.pad_refused(Duration::ZERO).await;
    if spent.of_account {
        security::account_locked(client, spent.wait);
    } else {
        security::too_many_requests(client, "sign-ins", spent.wait);
    }
    Err(SignInError::TooMany(spent.wait))
}

enum Checked {
    Right { user: user::Model, is_outdated: bool },
    Wrong { reason: &'static str, user: Option<UserId>, verified: Verified },
}

async fn check_password(services: &Services, email: &str, password: &str) -> Result<Checked, SignInError> {
    let user = by_email(services.database.reader(), email).await?;
    // One too long was never set; it costs a hash all the same.
    let is_too_long = password.len() > MAX_PASSWORD_BYTES;
    let given = if is_too_long { String::new() } else { password.to_owned() };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let verified = services.passwords.verify(given, hash).await?;
    let wrong = |reason, user| Ok(Checked::Wrong { reason, user, verified });
    let Some(user) = user else { return wrong("credentials", None) };
    let id = Some(user.id);
    match verified.verdict {
        Verdict::Unreadable => {
            let message = "a stored password hash cannot be read, so the user cannot sign in. Replace the hash of \
                           this user";
            tracing::warn!(user = %user.id, "{message}");
            wrong("unreadable hash", id)
        }
        Verdict::Wrong => wrong("credentials", id),
        _ if is_too_long => wrong("credentials", id),
        _ if user.status != UserStatus::Active => wrong("deactivated", id),
        verdict => Ok(Checked::Right { user, is_outdated: verdict == Verdict::RightAndOutdated }),
    }
}

/// Begins a session of this user: a new family of refresh tokens.
async fn begin(
    services: &Services,
    client: ClientAddress,
    user: user::Model,
    rehash: Option<String>,
) -> Result<SignedIn, SignInError> {
    let session = NewSession::new(services, client)?.seen_as(services, &user.email);
    // Two sign-ins from a new network at once: the second finds the record of the first.
    let options =
        WriteOptions { name: "session.begin", looks_before_it_writes: false, another_may_be_first: true };
    let command = (session.clone(), user.clone(), rehash);
    services
        .database
        .write_for(user.id, options, command, |transaction, (session, user, rehash)| {
            Box::pin(async move {
                if let Some(hash) = rehash {
                    hashes::replace(transaction, user, hash).await?;
                }
                session.insert(transaction, user.id).await
            })
        })
        .await?;
    session.signed_in(services, user)
}

/// A refresh token that is about to be stored.
#[derive(Clone)]
pub(super) struct NewSession {
    pub(super) refresh: RefreshToken,
    pub(super) family: Uuid,
    pub(super) now: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) seen: Seen,
}

impl NewSession {
    /// The first of a new family.
    pub(super) fn new(services: &Services, client: ClientAddress) -> Result<Self, RefreshTokenError> {
        Self::of(services, client, Uuid::new_v4())
    }

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
            seen: Seen::new(services, client, now),
        })
    }

    /// Skips recording the network if this node recorded it a short while ago.
    pub(super) fn seen_as(self, services: &Services, email: &str) -> Self {
        Self { seen: self.seen.unless_recorded(services, email), ..self }
    }

    /// Stores the hash of the token, and the network that it was issued to.
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
        self.seen.record(transaction, user_id).await
    }

    /// Issues the access token, after the session is stored.
    pub(super) fn signed_in(self, services: &Services, user: user::Model) -> Result<SignedIn, SignInError> {
        self.seen.remember(services, &user.email);
        let viewer = Viewer { user_id: user.id, role: user.role, session_id: self.family };
        let access = services.tokens.issue(viewer, self.now)?;
        Ok(SignedIn { user, access, refresh: self.refresh, refresh_expires_at: self.expires_at })
    }
}

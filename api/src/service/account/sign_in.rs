//! Signing in, and the refresh tokens that keep a session going.
//!
//! A refresh token works once; each exchange gives the next of its family. Presenting a used one means that
//! two parties hold it, so the whole family ends (RFC 9700, section 4.14.2).

use chrono::{DateTime, Utc};
use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, refresh_token, user};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
};
use uuid::Uuid;

use super::by_email;
use super::validation::fold_email;
use crate::auth::{
    AccessToken, MAX_PASSWORD_BYTES, PasswordError, RefreshToken, RefreshTokenError, TokenError, Viewer,
};
use crate::database::{IsFailure, WriteOptions, lock_user};
use crate::limit::{ClientAddress, RetryAfter};
use crate::service::Services;

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

/// Why a refresh token was not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Not one of ours, expired, revoked, or used before.
    #[error("This refresh token does not work any more. Sign in again.")]
    Invalid,
    /// Too many attempts from this address.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
    /// Tokens could not be made.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl IsFailure for RefreshError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
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
    let attempt =
        services.limits.sign_in.sign_in(client, &fold_email(email)).map_err(SignInError::TooMany)?;
    match check_password(services, email, password).await {
        Ok(user) => {
            attempt.succeeded(&user.email);
            begin(services, user).await
        }
        Err(error) => {
            match &error {
                SignInError::InvalidCredentials => attempt.failed(),
                _ => attempt.undecided(),
            }
            Err(error)
        }
    }
}

async fn check_password(
    services: &Services,
    email: &str,
    password: String,
) -> Result<user::Model, SignInError> {
    let user = by_email(services.database.reader(), email).await?;
    // One too long was never set; it costs a hash all the same.
    let password = if password.len() > MAX_PASSWORD_BYTES { String::new() } else { password };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let matches = services.passwords.verify(password, hash).await?;
    match user {
        Some(user) if matches && user.status == UserStatus::Active => Ok(user),
        _ => Err(SignInError::InvalidCredentials),
    }
}

/// Begins a session of this user: a new family of refresh tokens.
async fn begin(services: &Services, user: user::Model) -> Result<SignedIn, SignInError> {
    let session = NewSession::new(services)?;
    let options =
        WriteOptions { name: "session.begin", looks_before_it_writes: false, another_may_be_first: false };
    services
        .database
        .write_for(user.id, options, (session.clone(), user.id), |transaction, (session, user)| {
            Box::pin(session.insert(transaction, *user))
        })
        .await?;
    session.signed_in(services, user)
}

/// A refresh token that is about to be stored.
#[derive(Clone)]
pub(super) struct NewSession {
    refresh: RefreshToken,
    family: Uuid,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl NewSession {
    /// The first of a new family.
    pub(super) fn new(services: &Services) -> Result<Self, SignInError> {
        Self::of(services, Uuid::new_v4())
    }

    fn of(services: &Services, family: Uuid) -> Result<Self, SignInError> {
        let now = services.clock.now();
        Ok(Self {
            refresh: RefreshToken::generate()?,
            family,
            now,
            expires_at: now + services.refresh_token_ttl,
        })
    }

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
        };
        row.insert(transaction).await?;
        Ok(())
    }

    pub(super) fn signed_in(self, services: &Services, user: user::Model) -> Result<SignedIn, SignInError> {
        let viewer = Viewer { user_id: user.id, role: user.role, session_id: self.family };
        let access = services.tokens.issue(viewer, self.now)?;
        Ok(SignedIn { user, access, refresh: self.refresh, refresh_expires_at: self.expires_at })
    }
}

struct Exchange {
    presented: String,
    /// Its family is set when the presented token is found.
    next: NewSession,
}

/// What became of a presented token. A refusal is a value here, because revoking the family must be committed.
enum Exchanged {
    Next(Box<user::Model>, NewSession),
    Refused,
}

/// Exchanges a refresh token for the next pair.
///
/// # Errors
/// See [`RefreshError`]. A token that was used before ends its family.
pub async fn refresh(
    services: &Services,
    client: ClientAddress,
    token: &str,
) -> Result<SignedIn, RefreshError> {
    let attempt = services.limits.sign_in.other(client).map_err(RefreshError::TooMany)?;
    match exchange(services, token).await {
        Ok(signed_in) => {
            attempt.succeeded_free(&signed_in.user.email);
            Ok(signed_in)
        }
        Err(error) => {
            match &error {
                RefreshError::Invalid => attempt.failed(),
                _ => attempt.undecided(),
            }
            Err(error)
        }
    }
}

async fn exchange(services: &Services, token: &str) -> Result<SignedIn, RefreshError> {
    let presented = RefreshToken::parse(token).map_err(|_| RefreshError::Invalid)?;
    let exchange = Exchange { presented: presented.hash(), next: NewSession::of(services, Uuid::nil())? };
    let options =
        WriteOptions { name: "session.refresh", looks_before_it_writes: false, another_may_be_first: false };
    let exchanged = services
        .database
        .write(options, exchange, |transaction, exchange| Box::pin(exchange.run(transaction)))
        .await?;
    match exchanged {
        Exchanged::Next(user, session) => Ok(session.signed_in(services, *user)?),
        Exchanged::Refused => Err(RefreshError::Invalid),
    }
}

impl Exchange {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Exchanged, RefreshError> {
        let now = self.next.now;
        let Some(owner) = self.token(transaction).await?.map(|token| token.user_id) else {
            return Ok(Exchanged::Refused);
        };
        // Two exchanges of one token stand in line here, so it is read again behind the lock.
        let status = lock_user(transaction, owner).await?;
        let Some(token) = self.token(transaction).await? else { return Ok(Exchanged::Refused) };
        if token.used_at.is_some() {
            let family = refresh_token::Column::FamilyId.eq(token.family_id);
            revoke(transaction, owner, Some(family), now).await?;
            tracing::warn!(user = %owner, "a used refresh token was presented; its session is ended");
            return Ok(Exchanged::Refused);
        }
        let ended = token.revoked_at.is_some() || token.expires_at <= now;
        let Ok(family) = Uuid::try_parse(&token.family_id) else { return Ok(Exchanged::Refused) };
        if ended || status != Some(UserStatus::Active) {
            return Ok(Exchanged::Refused);
        }
        let Some(user) = user::Entity::find_by_id(owner).one(transaction).await? else {
            return Ok(Exchanged::Refused);
        };
        let mut used: refresh_token::ActiveModel = token.into();
        used.used_at = Set(Some(now));
        used.update(transaction).await?;
        let next = NewSession { family, ..self.next.clone() };
        next.insert(transaction, owner).await?;
        Ok(Exchanged::Next(Box::new(user), next))
    }

    async fn token(&self, transaction: &DatabaseTransaction) -> Result<Option<refresh_token::Model>, DbErr> {
        refresh_token::Entity::find()
            .filter(refresh_token::Column::TokenHash.eq(self.presented.as_str()))
            .one(transaction)
            .await
    }
}

/// Ends the viewer's session, or all of their sessions. Access tokens already issued work until they expire.
///
/// # Errors
/// The database's.
pub async fn logout(services: &Services, viewer: Viewer, everywhere: bool) -> Result<(), DbErr> {
    let options =
        WriteOptions { name: "session.end", looks_before_it_writes: true, another_may_be_first: false };
    let command = (viewer, everywhere, services.clock.now());
    services
        .database
        .write_for(viewer.user_id, options, command, |transaction, (viewer, everywhere, now)| {
            Box::pin(async move {
                // An exchange that is under way must not slip its new token past this.
                lock_user(transaction, viewer.user_id).await?;
                let family = refresh_token::Column::FamilyId.eq(viewer.session_id.to_string());
                revoke(transaction, viewer.user_id, (!everywhere).then_some(family), *now).await
            })
        })
        .await
}

async fn revoke(
    connection: &impl ConnectionTrait,
    owner: UserId,
    family: Option<Expr>,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let mut update = refresh_token::Entity::update_many()
        .col_expr(refresh_token::Column::RevokedAt, Expr::value(now))
        .filter(refresh_token::Column::UserId.eq(owner))
        .filter(refresh_token::Column::RevokedAt.is_null());
    if let Some(family) = family {
        update = update.filter(family);
    }
    update.exec(connection).await?;
    Ok(())
}

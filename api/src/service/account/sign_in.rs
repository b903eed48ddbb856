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
use crate::auth::{
    AccessToken, MAX_PASSWORD_BYTES, PasswordError, RefreshToken, RefreshTokenError, TokenError, Viewer,
};
use crate::database::{IsFailure, WriteOptions, lock_user};
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
pub async fn login(services: &Services, email: &str, password: String) -> Result<SignedIn, SignInError> {
    let user = by_email(services.database.reader(), email).await?;
    // One too long was never set; it costs a hash all the same.
    let password = if password.len() > MAX_PASSWORD_BYTES { String::new() } else { password };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let matches = services.passwords.verify(password, hash).await?;
    match user {
        Some(user) if matches && user.status == UserStatus::Active => begin(services, user).await,
        _ => Err(SignInError::InvalidCredentials),
    }
}

/// Begins a session of this user: a new family of refresh tokens.
pub(super) async fn begin(services: &Services, user: user::Model) -> Result<SignedIn, SignInError> {
    let now = services.clock.now();
    let refresh = RefreshToken::generate()?;
    let row =
        Issue { user_id: user.id, family: Uuid::new_v4(), now, expires_at: now + services.refresh_token_ttl };
    let signed_in = signed_in(services, user, &refresh, &row)?;
    let options = WriteOptions { name: "session.begin", looks_before_it_writes: false };
    services
        .database
        .write(options, (row, refresh.hash()), |transaction, (row, hash)| {
            Box::pin(async move { row.insert(transaction, hash.clone()).await })
        })
        .await?;
    Ok(signed_in)
}

fn signed_in(
    services: &Services,
    user: user::Model,
    refresh: &RefreshToken,
    issue: &Issue,
) -> Result<SignedIn, SignInError> {
    let viewer = Viewer { user_id: user.id, role: user.role, session_id: issue.family };
    let access = services.tokens.issue(viewer, issue.now)?;
    Ok(SignedIn { user, access, refresh: refresh.clone(), refresh_expires_at: issue.expires_at })
}

/// A refresh token that is about to be stored.
struct Issue {
    user_id: UserId,
    family: Uuid,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Issue {
    async fn insert(&self, connection: &impl ConnectionTrait, token_hash: String) -> Result<(), DbErr> {
        let row = refresh_token::ActiveModel {
            id: NotSet,
            user_id: Set(self.user_id),
            token_hash: Set(token_hash),
            family_id: Set(self.family.to_string()),
            created_at: Set(self.now),
            expires_at: Set(self.expires_at),
            used_at: Set(None),
            revoked_at: Set(None),
        };
        row.insert(connection).await?;
        Ok(())
    }
}

struct Exchange {
    presented: String,
    next: String,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// What became of a presented token. A refusal is a value here, because revoking the family must be committed.
enum Exchanged {
    Next(Box<user::Model>, Issue),
    Refused,
}

/// Exchanges a refresh token for the next pair.
///
/// # Errors
/// See [`RefreshError`]. A token that was used before ends its family.
pub async fn refresh(services: &Services, token: &str) -> Result<SignedIn, RefreshError> {
    let presented = RefreshToken::parse(token).map_err(|_| RefreshError::Invalid)?;
    let next = RefreshToken::generate().map_err(SignInError::from)?;
    let now = services.clock.now();
    let exchange = Exchange {
        presented: presented.hash(),
        next: next.hash(),
        now,
        expires_at: now + services.refresh_token_ttl,
    };
    let options = WriteOptions { name: "session.refresh", looks_before_it_writes: false };
    let exchanged = services
        .database
        .write(options, exchange, |transaction, exchange| Box::pin(exchange.run(transaction)))
        .await?;
    match exchanged {
        Exchanged::Next(user, issue) => Ok(signed_in(services, *user, &next, &issue)?),
        Exchanged::Refused => Err(RefreshError::Invalid),
    }
}

impl Exchange {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Exchanged, RefreshError> {
        let Some(owner) = self.token(transaction).await?.map(|token| token.user_id) else {
            return Ok(Exchanged::Refused);
        };
        // Two exchanges of one token stand in line here, so it is read again behind the lock.
        let status = lock_user(transaction, owner).await?;
        let Some(token) = self.token(transaction).await? else { return Ok(Exchanged::Refused) };
        if token.used_at.is_some() {
            let family = refresh_token::Column::FamilyId.eq(token.family_id);
            revoke(transaction, owner, Some(family), self.now).await?;
            tracing::warn!(user = %owner, "a used refresh token was presented; its session is ended");
            return Ok(Exchanged::Refused);
        }
        let ended = token.revoked_at.is_some() || token.expires_at <= self.now;
        let Ok(family) = Uuid::try_parse(&token.family_id) else { return Ok(Exchanged::Refused) };
        if ended || status != Some(UserStatus::Active) {
            return Ok(Exchanged::Refused);
        }
        let Some(user) = user::Entity::find_by_id(owner).one(transaction).await? else {
            return Ok(Exchanged::Refused);
        };
        let mut used: refresh_token::ActiveModel = token.into();
        used.used_at = Set(Some(self.now));
        used.update(transaction).await?;
        let issue = Issue { user_id: owner, family, now: self.now, expires_at: self.expires_at };
        issue.insert(transaction, self.next.clone()).await?;
        Ok(Exchanged::Next(Box::new(user), issue))
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
    let options = WriteOptions { name: "session.end", looks_before_it_writes: true };
    let command = (viewer, everywhere, services.clock.now());
    services
        .database
        .write(options, command, |transaction, (viewer, everywhere, now)| {
            Box::pin(async move {
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

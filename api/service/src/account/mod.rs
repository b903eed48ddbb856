//! Accounts: registering, signing in, staying signed in, signing out.

mod cleaning;
mod hashes;
mod network;
mod refresh;
mod sign_in;
mod staff;
mod validation;

use chrono::{DateTime, Utc};
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr,
    EntityTrait, QueryFilter, SqlErr,
};

pub use cleaning::{erase_old, keep_clean};
pub use refresh::{RefreshError, Refusal, logout, refresh};
use sign_in::NewSession;
pub use sign_in::{SignInError, SignedIn, login};
pub use staff::{Author, StaffError, Support};
pub use validation::{InvalidField, MIN_PASSWORD_CHARS};

use super::{Services, audit};
use crate::auth::{PasswordError, Passwords};
use crate::database::{Database, IsFailure, QueueKey, WriteOptions};
use crate::limit::{ClientAddress, RetryAfter};
use crate::security;

/// Who registers.
#[derive(Clone)]
pub struct Registration {
    /// What to call them.
    pub name: String,
    /// Their address, in any case.
    pub email: String,
    /// As they typed it.
    pub password: String,
    /// What they may do.
    pub role: Role,
}

/// Why an account was not made. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// What is wrong with each field.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))]
    Invalid(Vec<InvalidField>),
    /// The address has an account.
    #[error("This e-mail address has an account. Sign in instead.")]
    EmailTaken,
    /// Too many attempts, or accounts, from this address.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No tokens could be made.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl IsFailure for RegisterError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// Makes an account.
///
/// # Errors
/// See [`RegisterError`].
pub async fn create(services: &Services, registration: Registration) -> Result<user::Model, RegisterError> {
    create_in(&services.database, &services.passwords, services.clock.now(), registration).await
}

/// Makes an account without a running server.
///
/// # Errors
/// See [`RegisterError`].
pub async fn create_in(
    database: &Database,
    passwords: &Passwords,
    now: DateTime<Utc>,
    registration: Registration,
) -> Result<user::Model, RegisterError> {
    insert((database, passwords, now), registration, None).await
}

/// Makes an account and signs in to it, or does neither.
///
/// # Errors
/// See [`RegisterError`].
pub async fn register(
    services: &Services,
    client: ClientAddress,
    registration: Registration,
) -> Result<SignedIn, RegisterError> {
    let attempt = services.limits.sign_in.register(client).map_err(|wait| {
        security::too_many_requests(client, "registrations", wait);
        RegisterError::TooMany(wait)
    })?;
    let session = NewSession::new(services, client).map_err(SignInError::from)?;
    let place = (&services.database, services.passwords.as_ref(), services.clock.now());
    let user = match insert(place, registration, Some(session.clone())).await {
        Ok(user) => user,
        Err(error) => {
            // Whoever tries many addresses learns which have accounts.
            match &error {
                RegisterError::EmailTaken => {
                    security::sign_in_failed(client, "address taken", None);
                    attempt.failed();
                }
                _ => attempt.undecided(),
            }
            return Err(error);
        }
    };
    attempt.succeeded();
    Ok(session.signed_in(services, user)?)
}

async fn insert(
    (database, passwords, now): (&Database, &Passwords, DateTime<Utc>),
    registration: Registration,
    session: Option<NewSession>,
) -> Result<user::Model, RegisterError> {
    let checked = validation::check(&registration).map_err(RegisterError::Invalid)?;
    let password_hash = passwords.hash(registration.password).await?;
    let row = user::ActiveModel {
        id: NotSet,
        name: Set(checked.name),
        email: Set(checked.email),
        password_hash: Set(password_hash),
        role: Set(registration.role),
        status: Set(UserStatus::Active),
        created_at: Set(now),
    };
    let options =
        WriteOptions { name: "account.create", looks_before_it_writes: false, another_may_be_first: false };
    let key = QueueKey::registration(row.email.as_ref());
    database
        .write_for(key, options, (row, session), |transaction, (row, session)| {
            Box::pin(async move {
                let user = row.clone().insert(transaction).await.map_err(|error| match error.sql_err() {
                    Some(SqlErr::UniqueConstraintViolation(_)) => RegisterError::EmailTaken,
                    _ => error.into(),
                })?;
                audit(transaction, &user, "user.registered").await?;
                if let Some(session) = session {
                    session.insert(transaction, user.id).await?;
                }
                Ok(user)
            })
        })
        .await
}

/// A user by id. Has no owner: the caller checks who may see it.
///
/// # Errors
/// The database's.
pub async fn by_id(services: &Services, id: UserId) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find_by_id(id).one(services.database.reader()).await
}

/// A user by address. Has no owner: it is for signing in, and for support.
pub(super) async fn by_email(
    connection: &impl ConnectionTrait,
    email: &str,
) -> Result<Option<user::Model>, DbErr> {
    // PostgreSQL refuses text with a NUL in it.
    if email.contains('\0') {
        return Ok(None);
    }
    user::Entity::find().filter(user::Column::Email.eq(validation::fold_email(email))).one(connection).await
}

async fn audit(connection: &impl ConnectionTrait, user: &user::Model, action: &str) -> Result<(), DbErr> {
    audit::append(connection, user.created_at, Some(user.id), action, ("users", user.id.0)).await
}

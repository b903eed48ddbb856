//! Accounts: registration, signing in, second factors, sessions, changes and deletion.

mod administration;
mod cleaning;
mod client;
mod credentials;
mod deactivated;
mod deletion;
mod ended_sessions;
mod hashes;
mod links;
mod network;
mod new_password;
mod new_refresh_token;
mod oidc;
mod owner;
mod profile;
mod refresh;
mod requests;
mod second_factor;
mod sessions;
mod sign_in;
mod staff;
mod validation;
mod verification;

use chrono::{DateTime, Utc};
use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, user};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr,
    EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};
use serde_json::json;

pub use administration::{
    Actor, AdministrationRefusal, set_birth_year, set_password, set_role, set_status, set_status_in,
};
pub use cleaning::{erase_old, keep_clean};
pub use client::{ClientProgram, SignInClient};
pub use credentials::SignInRefusal;
pub use deactivated::DeactivatedAccounts;
pub use deletion::{
    DeletedAccount, DeletionRefusal, confirm_deletion, delete_in, delete_own, delete_user, deleted_accounts,
    request_deletion,
};
pub(crate) use deletion::{Warrant, delete_by};
pub use ended_sessions::EndedSessions;
pub use links::LinkInvalid;
pub(crate) use links::{NewLink, end as end_links, find as find_link, take as take_link};
pub use new_password::{PasswordRefusal, change_password, reset_password};
use new_refresh_token::NewRefreshToken;
pub use new_refresh_token::SignedIn;
pub use oidc::{
    BegunOidcLogin, LinkedIdentity, OidcBeginRefusal, OidcLinkRefusal, OidcLoginRefusal, OidcReturn,
    begin_oidc_link, begin_oidc_login, complete_oidc_login, link_oidc_identity, linked_identities,
    unlink_oidc_identity,
};
pub use owner::OwnerRefusal;
pub use profile::{ProfileChange, ProfileRefusal, update_profile};
pub use refresh::{InvalidToken, RefreshRefusal, logout, refresh};
use requests::AccountRequest;
pub use requests::{AccountRequests, PasswordResetRefusal, keep_answering, request_password_reset};
pub use second_factor::{
    ChallengeRefusal, SecondFactorChallenge, SecondFactorProof, SecondFactorRefusal, SecondFactorSetUp,
    SecondFactorStatus, begin_second_factor, complete_login, confirm_second_factor, disable_second_factor,
    replace_recovery_codes, reseal_second_factors, reset_second_factor, reset_second_factor_in,
    second_factor_status,
};
pub use sessions::{LiveSession, SessionNotFound, end_other_sessions, end_session, live_sessions};
pub use sign_in::{SignInOutcome, login};
pub use staff::{Admin, Author, NotStaff, StaffRefusal, Support};
use validation::ValidFields;
pub use validation::{InvalidField, MIN_PASSWORD_CHARS};
pub(crate) use validation::{check_email, check_name, fold_email};
pub use verification::{ResendRefusal, VerifyRefusal, resend_verification, verify};

use super::Services;
use super::audit::{self, StateChange};
use crate::auth::Passwords;
use crate::database::{Database, QueueKey, WritePolicy};
use crate::error::{Error, Fault, Refusal};
use crate::limit::{MailCause, RetryAfter};
use crate::security;

/// The fields of a new account.
#[derive(Clone)]
pub struct Registration {
    /// The name of the user.
    pub name: String,
    /// The e-mail address as the user typed it. The address is stored without surrounding spaces and in lower case.
    pub email: String,
    /// The password as the user typed it.
    pub password: String,
    /// The role of the user.
    pub role: Role,
    /// The year of birth. None if the user did not give it.
    pub birth_year: Option<i32>,
}

/// A reason not to make an account. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RegisterRefusal {
    /// Some fields are not valid. Each item says what is wrong with one field.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))]
    Invalid(Vec<InvalidField>),
    /// The e-mail address already has an account.
    #[error("This e-mail address has an account. Sign in instead.")]
    EmailTaken,
    /// Too many attempts came from this network address, too many accounts were made there, or this network address
    /// caused too many mails. Or too many mails were sent to the e-mail address.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for RegisterRefusal {}

/// Makes an account whose e-mail address counts as verified without a mail, because the operator vouches for the
/// address.
///
/// # Errors
/// See [`RegisterRefusal`].
#[service_call("account.create")]
pub async fn create(
    services: &Services,
    registration: Registration,
) -> Result<user::Model, Error<RegisterRefusal>> {
    create_in(&services.database, &services.passwords, services.clock.now(), registration).await
}

/// Makes an account as [`create`] does, but without a running server.
///
/// # Errors
/// See [`RegisterRefusal`].
#[service_call]
pub async fn create_in(
    database: &Database,
    passwords: &Passwords,
    now: DateTime<Utc>,
    registration: Registration,
) -> Result<user::Model, Error<RegisterRefusal>> {
    let (role, password) = (registration.role, registration.password.clone());
    let fields = validation::check(&registration).map_err(RegisterRefusal::Invalid)?;
    let hash = passwords.hash(password).await?;
    let row = user::ActiveModel { email_verified_at: Set(Some(now)), ..row(fields, role, hash, now) };
    store(database, row, None, None).await
}

/// The outcome of a registration.
#[derive(Clone, Debug)]
pub enum Registered {
    /// The account was made, and its user is signed in.
    SignedIn(Box<SignedIn>),
    /// Nobody is signed in, because the address must be verified first. A mail to the address follows. The mail has a
    /// link to verify the address, or says that the address has an account already.
    Requested,
}

/// Makes an account and signs in to it, or does neither. Also sends a link to verify the address of the account.
///
/// If accounts must verify their addresses, only queues the registration, and nobody is signed in. Then the outcome
/// is the same whether or not the address has an account.
///
/// # Errors
/// See [`RegisterRefusal`].
#[service_call("account.register")]
pub async fn register(
    services: &Services,
    client: SignInClient,
    registration: Registration,
) -> Result<Registered, Error<RegisterRefusal>> {
    let attempt = services.limits.sign_in.register(client.address).map_err(RegisterRefusal::TooMany)?;
    let registered = register_admitted(services, client, registration).await;
    match &registered {
        Ok(_) => attempt.succeeded(),
        // A registration with an address that has an account counts as a failure. Otherwise somebody could try many
        // addresses to find out which of them have accounts.
        Err(Error::Refused(RegisterRefusal::EmailTaken)) => {
            security::sign_in_failed(client.address, "address taken", None);
            attempt.failed();
        }
        Err(_) => attempt.undecided(),
    }
    registered
}

async fn register_admitted(
    services: &Services,
    client: SignInClient,
    registration: Registration,
) -> Result<Registered, Error<RegisterRefusal>> {
    let (role, password) = (registration.role, registration.password.clone());
    let checked = validation::check(&registration);
    let year = services.consent.check_new(registration.birth_year, services.clock.now());
    let fields = match (checked, year) {
        (Ok(fields), Ok(())) => fields,
        (checked, year) => {
            let invalid = checked.err().into_iter().flatten().chain(year.err()).collect();
            return Err(RegisterRefusal::Invalid(invalid).into());
        }
    };
    let email = fields.email.clone();
    if services.requires_verified_email {
        services
            .limits
            .mail
            .take(client.address, &email, MailCause::Anybody)
            .map_err(RegisterRefusal::TooMany)?;
        let hash = services.passwords.hash(password).await?;
        let row = Box::new(row(fields, role, hash, services.clock.now()));
        services.account_requests.add(AccountRequest::Register { row, email })?;
        return Ok(Registered::Requested);
    }
    let hash = services.passwords.hash(password).await?;
    let token = NewRefreshToken::of_new_session(services, client).map_err(Fault::from)?;
    let link = NewLink::new(services, LinkPurpose::VerifyEmail, &email)?;
    let row = row(fields, role, hash, services.clock.now());
    let user = store(&services.database, row, Some(token.clone()), Some(link)).await?;
    services.outbox.wake();
    Ok(Registered::SignedIn(Box::new(token.signed_in(services, user)?)))
}

/// Makes the row of an account whose e-mail address is not verified.
fn row(fields: ValidFields, role: Role, password_hash: String, now: DateTime<Utc>) -> user::ActiveModel {
    user::ActiveModel {
        id: NotSet,
        name: Set(fields.name),
        email: Set(fields.email),
        password_hash: Set(password_hash),
        role: Set(role),
        status: Set(UserStatus::Active),
        created_at: Set(now),
        email_verified_at: Set(None),
        birth_year: Set(fields.birth_year),
        deleted_at: Set(None),
    }
}

/// Stores an account and its audit event. Stores its first refresh token and the link to verify its address in the
/// same transaction, if `token` and `link` are given.
async fn store(
    database: &Database,
    row: user::ActiveModel,
    token: Option<NewRefreshToken>,
    link: Option<NewLink>,
) -> Result<user::Model, Error<RegisterRefusal>> {
    let policy = WritePolicy::not_idempotent("account.create");
    let key = QueueKey::registration(row.email.as_ref());
    database
        .write_for(key, policy, (row, token, link), |transaction, (row, token, link)| {
            Box::pin(async move {
                let user = row.clone().insert(transaction).await.map_err(|error| match error.sql_err() {
                    Some(SqlErr::UniqueConstraintViolation(_)) => RegisterRefusal::EmailTaken.into(),
                    _ => Error::from(error),
                })?;
                audit(transaction, &user, "user.registered").await?;
                if let Some(token) = token {
                    token.insert(transaction, user.id).await?;
                }
                if let Some(link) = link {
                    link.insert(transaction, user.id).await?;
                }
                Ok(user)
            })
        })
        .await
}

/// Checks the name, the e-mail address and the password of a new account. Returns the name and the e-mail address in
/// the form in which they are stored, or all problems.
pub(super) fn check(registration: &Registration) -> Result<(String, String), Vec<InvalidField>> {
    validation::check(registration).map(|fields| (fields.name, fields.email))
}

/// Reads a page of accounts for the operator, in the order of their ids: at most `limit` accounts with ids above
/// `after`. Skips deleted accounts. If a role is given, skips the accounts with other roles.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn list(
    database: &Database,
    role: Option<Role>,
    after: UserId,
    limit: u64,
) -> Result<Vec<user::Model>, DbErr> {
    let mut users = user::Entity::find().filter(user::Column::Id.gt(after));
    users = users.filter(user::Column::DeletedAt.is_null());
    if let Some(role) = role {
        users = users.filter(user::Column::Role.eq(role));
    }
    users.order_by_asc(user::Column::Id).limit(limit).all(database.reader()).await
}

/// Finds a user by id, also if the account was deactivated or deleted. The query is not limited to an owner, so the
/// caller must check who may see the user.
///
/// # Errors
/// Returns the database's error.
#[service_call("account.by_id")]
pub async fn by_id(services: &Services, id: UserId) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find_by_id(id).one(services.database.reader()).await
}

/// Finds the users with these ids, in any order, also those whose accounts were deactivated or deleted. The query is
/// not limited to an owner, so the caller must check who may see these users.
///
/// # Errors
/// Returns the database's error.
#[service_call("account.by_ids")]
pub async fn by_ids(services: &Services, ids: Vec<UserId>) -> Result<Vec<user::Model>, DbErr> {
    user::Entity::find().filter(user::Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// Finds the account with this e-mail address for the operator. Returns None if no account has the address.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn find(database: &Database, email: &str) -> Result<Option<user::Model>, DbErr> {
    by_email(database.reader(), email).await
}

/// Finds the user with this e-mail address, in upper or lower case. Returns None if no account has the address. The
/// query is not limited to an owner, because signing in and support use it.
pub(super) async fn by_email(
    connection: &impl ConnectionTrait,
    email: &str,
) -> Result<Option<user::Model>, DbErr> {
    // No account has an address with a NUL character, and PostgreSQL refuses a query that contains such text.
    if email.contains('\0') {
        return Ok(None);
    }
    user::Entity::find()
        .filter(user::Column::Email.eq(fold_email(email)))
        // A deleted account has the text `deleted:` and its id in place of an address. Nobody may find it by that
        // text.
        .filter(user::Column::DeletedAt.is_null())
        .one(connection)
        .await
}

async fn audit(connection: &impl ConnectionTrait, user: &user::Model, action: &str) -> Result<(), DbErr> {
    let change = StateChange::created(json!({ "role": user.role.to_value() }));
    let target = ("users", user.id.0);
    audit::append_change(connection, user.created_at, Some(user.id), action, target, &change).await
}

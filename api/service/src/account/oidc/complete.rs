//! Completes a sign-in at the issuer.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jishu_entity::UserId;
use jishu_entity::oidc_login::{self, Column};
use jishu_entity::user::{self, Role, UserStatus};
use jishu_service_macros::service_call;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, SqlErr};

use super::begin::{VERIFIER_PURPOSE, provider};
use super::identity::{self, NewIdentity};
use crate::account::client::SignInClient;
use crate::account::credentials::SignInRefusal;
use crate::account::new_session::NewSession;
use crate::account::sign_in::{SignInOutcome, begin_with};
use crate::account::validation::{ValidFields, check_email, check_name};
use crate::account::{audit, by_email, by_id, links, row};
use crate::auth::{BrowserKey, OidcState};
use crate::database::{QueueKey, WritePolicy};
use crate::error::{Error, Fault, Refusal};
use crate::limit::RetryAfter;
use crate::mail::MailKind;
use crate::oidc::{AuthorizationRequest, OidcFailure, OidcIdentity};
use crate::{Services, security};

/// Number of tries to find or make the account. A sign-in in another tab can make it in between.
const TRIES: usize = 3;

/// The values that a browser brings back from the issuer.
#[derive(Clone)]
pub struct OidcReturn {
    /// The code in the address.
    pub code: String,
    /// The state in the address.
    pub state: String,
    /// The key that the browser kept.
    pub browser_key: String,
}

/// A reason not to complete a sign-in at the issuer.
#[derive(Debug, thiserror::Error)]
pub enum OidcLoginRefusal {
    /// The sign-in is unknown, used or expired, or it began in another browser. Or the issuer refused it.
    #[error("This sign-in did not work, or it has expired. Begin again.")]
    Invalid,
    /// The issuer does not respond.
    #[error("The sign-in with another account does not work at the moment. Try again later.")]
    Unavailable,
    /// The issuer has not verified the address, so it cannot make an account or open one.
    #[error(
        "The other account has no verified e-mail address. Verify it there, or sign in with your password."
    )]
    EmailNotVerified,
    /// An account with the address exists, and it has not verified the address.
    #[error("An account with this e-mail address exists, but it has not verified the address.")]
    AccountExists,
    /// The account was deactivated.
    #[error("This account is not active.")]
    Inactive,
    /// Too many attempts came from this network address.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for OidcLoginRefusal {}

/// Completes a sign-in. Makes an account at the first sign-in, or links the account with the same address if both sides have
/// verified it.
///
/// # Errors
/// See [`OidcLoginRefusal`].
#[service_call("account.complete_oidc_login")]
pub async fn complete_oidc_login(
    services: &Services,
    client: SignInClient,
    returned: &OidcReturn,
) -> Result<SignInOutcome, Error<OidcLoginRefusal>> {
    services.limits.sign_in.begin_elsewhere(client.address).map_err(|wait| {
        security::too_many_requests(client.address, "sign-ins", wait);
        OidcLoginRefusal::TooMany(wait)
    })?;
    let identity = identify(services, client, returned, None).await?;
    let mut outcome = Ok(None);
    for _ in 0..TRIES {
        outcome = sign_in(services, client, &identity).await;
        if !matches!(outcome, Ok(None)) {
            break;
        }
    }
    let outcome = outcome?.ok_or_else(|| Fault::Inconsistent("an account comes and goes".to_owned()))?;
    services.outbox.wake();
    Ok(outcome)
}

/// Takes the sign-in to which a browser returns, and asks the issuer who the person is. A sign-in works once.
pub(super) async fn identify(
    services: &Services,
    client: SignInClient,
    returned: &OidcReturn,
    linking: Option<UserId>,
) -> Result<OidcIdentity, Error<OidcLoginRefusal>> {
    let invalid = |reason| {
        security::sign_in_failed(client.address, reason, linking);
        OidcLoginRefusal::Invalid
    };
    let provider = provider(services).ok_or_else(|| invalid("no issuer"))?;
    let taken = take(services, returned, linking).await?.ok_or_else(|| invalid("state"))?;
    let verifier = services.secrets.open(VERIFIER_PURPOSE, &taken.state_hash, &taken.code_verifier);
    let verifier = verifier.ok_or_else(|| invalid("state"))?;
    let request = AuthorizationRequest {
        redirect_uri: &taken.redirect_uri,
        state: &returned.state,
        nonce: &taken.nonce,
        code_verifier: &verifier,
    };
    let completed = provider.complete(&returned.code, request, services.clock.now()).await;
    Ok(completed.map_err(|error| match error {
        OidcFailure::Unavailable(_) => {
            tracing::warn!(%error, "a sign-in at the issuer could not be completed");
            OidcLoginRefusal::Unavailable
        }
        OidcFailure::CodeRefused(_) => invalid("code"),
        OidcFailure::InvalidIdToken(_) => {
            tracing::warn!(%error, "a sign-in at the issuer was refused");
            invalid("ID token")
        }
    })?)
}

/// Deletes the row of a sign-in and returns it. Only one of several requests at once gets it. A request without the key of
/// the browser leaves it in place: the state is in an address, and others may have seen it.
async fn take(
    services: &Services,
    returned: &OidcReturn,
    linking: Option<UserId>,
) -> Result<Option<oidc_login::Model>, Error<OidcLoginRefusal>> {
    let (Some(state), Some(key)) =
        (OidcState::parse(&returned.state), BrowserKey::parse(&returned.browser_key))
    else {
        return Ok(None);
    };
    let reader = services.database.reader();
    let found = oidc_login::Entity::find().filter(Column::StateHash.eq(state.hash())).one(reader).await?;
    let belongs = |login: &oidc_login::Model| {
        verify_slices_are_equal(login.browser_hash.as_bytes(), key.hash().as_bytes()).is_ok()
            && login.user_id == linking
            && login.expires_at > services.clock.now()
    };
    let Some(login) = found.filter(belongs) else { return Ok(None) };
    let policy = WritePolicy::not_idempotent("oidc.take");
    let is_taken = services
        .database
        .write(policy, login.id, |transaction, id| {
            Box::pin(async move {
                let deleted = oidc_login::Entity::delete_by_id(*id).exec(transaction).await?;
                Ok::<_, Error<OidcLoginRefusal>>(deleted.rows_affected == 1)
            })
        })
        .await?;
    Ok(is_taken.then_some(login))
}

/// Signs a person in. Returns None if another sign-in has changed something in between, so that this one must look again.
async fn sign_in(
    services: &Services,
    client: SignInClient,
    identity: &OidcIdentity,
) -> Result<Option<SignInOutcome>, Error<OidcLoginRefusal>> {
    let reader = services.database.reader();
    if let Some(owner) = identity::owner(reader, identity).await? {
        let user = by_id(services, owner).await?.ok_or(OidcLoginRefusal::Inactive)?;
        return begin_session(services, client, user, None).await;
    }
    let email = match &identity.email {
        Some((email, true)) => check_email(email).map_err(|_invalid| OidcLoginRefusal::EmailNotVerified)?,
        _ => return Err(OidcLoginRefusal::EmailNotVerified.into()),
    };
    let link = NewIdentity {
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        notice: None,
        now: services.clock.now(),
    };
    match by_email(reader, &email).await? {
        Some(user) if user.email_verified_at.is_some() => {
            let notice = Some(links::notice(services, MailKind::IdentityLinked, &user.email)?);
            begin_session(services, client, user, Some(NewIdentity { notice, ..link })).await
        }
        // A stranger may have registered with this address, and would keep a way into the account.
        Some(_) => Err(OidcLoginRefusal::AccountExists.into()),
        None => create(services, client, email, identity.name.as_deref(), link).await,
    }
}

async fn begin_session(
    services: &Services,
    client: SignInClient,
    user: user::Model,
    link: Option<NewIdentity>,
) -> Result<Option<SignInOutcome>, Error<OidcLoginRefusal>> {
    if user.status != UserStatus::Active {
        security::sign_in_failed(client.address, "deactivated", Some(user.id));
        return Err(OidcLoginRefusal::Inactive.into());
    }
    match begin_with(services, client, user, None, link).await {
        Ok(outcome) => Ok(Some(outcome)),
        // The status or the password has changed since the row was read.
        Err(Error::Refused(SignInRefusal::InvalidCredentials)) => Ok(None),
        Err(Error::Refused(SignInRefusal::TooMany(wait))) => Err(OidcLoginRefusal::TooMany(wait).into()),
        Err(Error::Failed(fault)) if is_taken(&fault) => Ok(None),
        Err(Error::Failed(fault)) => Err(fault.into()),
    }
}

/// Returns whether a unique key refused a row.
fn is_taken(fault: &Fault) -> bool {
    let error = fault.database_error().and_then(sea_orm::DbErr::sql_err);
    matches!(error, Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Makes an account for a person whose address the issuer has verified. Its password is random, so nobody knows it; the
/// owner can choose one by a mail.
async fn create(
    services: &Services,
    client: SignInClient,
    email: String,
    name: Option<&str>,
    link: NewIdentity,
) -> Result<Option<SignInOutcome>, Error<OidcLoginRefusal>> {
    let attempt = services.limits.sign_in.register(client.address).map_err(OidcLoginRefusal::TooMany)?;
    let local_part = email.split('@').next().unwrap_or_default();
    let name = name.and_then(|name| check_name(name).ok());
    let name = name.or_else(|| check_name(local_part).ok()).unwrap_or_else(|| "Learner".to_owned());
    let random = OidcState::generate()
        .map_err(|error| Fault::Inconsistent(format!("the system's random source failed: {error}")))?;
    let hash = services.passwords.hash(random.as_str().to_owned()).await?;
    let fields = ValidFields { name, email, birth_year: None };
    let mut row = row(fields, Role::Learner, hash, link.now);
    row.email_verified_at = Set(Some(link.now));
    let session = NewSession::new(services, client).map_err(Fault::from)?;
    let policy = WritePolicy::not_idempotent("oidc.create");
    let key = QueueKey::registration(row.email.as_ref());
    let created = services
        .database
        .write_for(key, policy, (row, link, session.clone()), |transaction, (row, link, session)| {
            Box::pin(async move {
                let user = row.clone().insert(transaction).await?;
                audit(transaction, &user, "user.registered").await?;
                link.insert(transaction, user.id).await?;
                session.insert(transaction, user.id).await?;
                Ok::<_, Error<OidcLoginRefusal>>(user)
            })
        })
        .await;
    match created {
        Ok(user) => {
            attempt.succeeded();
            let signed_in = session.signed_in(services, user)?;
            Ok(Some(SignInOutcome::SignedIn(Box::new(signed_in))))
        }
        Err(Error::Failed(fault)) if is_taken(&fault) => {
            attempt.undecided();
            Ok(None)
        }
        Err(error) => {
            attempt.undecided();
            Err(error)
        }
    }
}

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
use crate::account::new_refresh_token::NewRefreshToken;
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

/// Number of tries to find the account or to make it. Between finding and making, a sign-in in another tab can make
/// the account.
const TRIES: usize = 3;

/// The values that a browser brings back from a sign-in at the issuer.
#[derive(Clone)]
pub struct OidcReturn {
    /// The authorization code in the address to which the browser returned.
    pub code: String,
    /// The state in the address to which the browser returned.
    pub state: String,
    /// The key that the browser has kept since it began the sign-in.
    pub browser_key: String,
}

/// A reason not to complete a sign-in at the issuer.
#[derive(Debug, thiserror::Error)]
pub enum OidcLoginRefusal {
    /// The sign-in is unknown, used or expired, or it began in another browser. Or the issuer refused the code, or
    /// its ID token is not valid.
    #[error("This sign-in did not work, or it has expired. Begin again.")]
    Invalid,
    /// The issuer does not respond, or its response cannot be used.
    #[error("The sign-in with another account does not work at the moment. Try again later.")]
    Unavailable,
    /// The issuer has not verified an e-mail address of the person, or the verified address cannot be stored. So the
    /// sign-in cannot make an account, and cannot link an existing account.
    #[error(
        "The other account has no verified e-mail address that can be used here. Verify one there, or sign in with \
         your password."
    )]
    EmailNotVerified,
    /// An account with the e-mail address exists, and the account has not verified the address.
    #[error(
        "An account with this e-mail address exists, but that account has not verified the address. Sign in to it \
         with its password, and verify the address first."
    )]
    AccountExists,
    /// The account was deactivated or deleted.
    #[error("This account is not active.")]
    Inactive,
    /// Too many attempts came from this network address, or too many accounts were made there.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for OidcLoginRefusal {}

/// Completes a sign-in at the issuer. If the account has a second factor, the sign-in then waits for it.
///
/// The first sign-in of an identity makes an account. If an account with the same address exists, the sign-in links the
/// identity to that account instead. That requires that the issuer and the account have both verified the address. If
/// that account has a second factor, [`crate::account::complete_login`] links the identity.
///
/// # Errors
/// See [`OidcLoginRefusal`].
#[service_call("account.complete_oidc_login")]
pub async fn complete_oidc_login(
    services: &Services,
    client: SignInClient,
    returned: &OidcReturn,
) -> Result<SignInOutcome, Error<OidcLoginRefusal>> {
    services.limits.sign_in.begin_elsewhere(client.address).map_err(OidcLoginRefusal::TooMany)?;
    let identity = identify(services, client, returned, None).await?;
    let mut outcome = Ok(None);
    for _ in 0..TRIES {
        outcome = sign_in(services, client, &identity).await;
        if !matches!(outcome, Ok(None)) {
            break;
        }
    }
    let outcome =
        outcome?.ok_or_else(|| Fault::Inconsistent("the account changed at every try".to_owned()))?;
    services.outbox.wake();
    Ok(outcome)
}

/// Deletes the stored sign-in to which the browser returns, so that the sign-in can be completed only once. Exchanges
/// the returned code at the issuer for the identity of the person. `linking` is the account that began to link an
/// identity, or None for a sign-in.
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
            tracing::warn!(%error, "the server refused a sign-in at the issuer");
            invalid("ID token")
        }
    })?)
}

/// Deletes the row of a sign-in and returns it, so only one of several requests at once gets it. Returns None if
/// there is no row for the state, if the row has expired, or if it belongs to another browser or to another account.
///
/// A request without the right browser key leaves the row in place. The state is part of an address, so other people
/// may have seen it.
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

/// Signs a person in, and makes or links an account if the identity has none. Returns None if another request changed
/// the account or the identity meanwhile. Then the caller must try again.
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
        // A stranger may have registered with this address. If the sign-in linked the account, the stranger would still
        // have a password for that account.
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
        // The status, the address or the password of the account has changed since the account was read.
        Err(Error::Refused(SignInRefusal::InvalidCredentials)) => Ok(None),
        Err(Error::Refused(SignInRefusal::TooMany(wait))) => Err(OidcLoginRefusal::TooMany(wait).into()),
        Err(Error::Failed(fault)) if is_taken(&fault) => Ok(None),
        Err(Error::Failed(fault)) => Err(fault.into()),
    }
}

/// Returns whether the fault is that a unique key refused a row.
fn is_taken(fault: &Fault) -> bool {
    let error = fault.database_error().and_then(sea_orm::DbErr::sql_err);
    matches!(error, Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Makes an account for a person whose address the issuer has verified, links the identity, and signs in. Returns
/// None if another request used the address or the identity first.
///
/// The password of the account is random, so nobody knows it. The owner can choose a password by a link in a mail.
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
    let token = NewRefreshToken::of_new_session(services, client).map_err(Fault::from)?;
    let policy = WritePolicy::not_idempotent("oidc.create");
    let key = QueueKey::registration(row.email.as_ref());
    let created = services
        .database
        .write_for(key, policy, (row, link, token.clone()), |transaction, (row, link, token)| {
            Box::pin(async move {
                let user = row.clone().insert(transaction).await?;
                audit(transaction, &user, "user.registered").await?;
                link.insert(transaction, user.id).await?;
                token.insert(transaction, user.id).await?;
                Ok::<_, Error<OidcLoginRefusal>>(user)
            })
        })
        .await;
    match created {
        Ok(user) => {
            attempt.succeeded();
            let signed_in = token.signed_in(services, user)?;
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

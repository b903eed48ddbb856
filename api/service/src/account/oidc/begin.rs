//! Begins a sign-in at the issuer.

use std::convert::Infallible;

use chrono::TimeDelta;
use jishu_entity::oidc_login::{self, Column};
use jishu_entity::{OidcLoginId, UserId};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter,
    QuerySelect,
};

use crate::Services;
use crate::account::owner::{OwnerRefusal, confirm_owner};
use crate::auth::{BrowserKey, OidcState, Viewer, random_text};
use crate::database::WritePolicy;
use crate::error::{Error, Fault, Refusal};
use crate::limit::{ClientAddress, RetryAfter};
use crate::oidc::{AuthorizationRequest, OidcProvider};

/// The time that a person has for signing in at the issuer.
const LOGIN_LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// The purpose of the key that encrypts code verifiers.
pub(super) const VERIFIER_PURPOSE: &str = "oidc code verifier";

/// A reason not to begin a sign-in at the issuer.
#[derive(Debug, thiserror::Error)]
pub enum OidcBeginRefusal {
    /// The operator has not set up an issuer.
    #[error("This platform has no sign-in with another account. Sign in with your password.")]
    NotSetUp,
    /// The operator has not allowed this address as one to which the issuer sends people back.
    #[error("The address to return to is not allowed. Ask the operator of this platform to allow it.")]
    RedirectNotAllowed,
    /// The issuer does not respond, or its response cannot be used.
    #[error("The sign-in with another account does not work at the moment. Try again later.")]
    Unavailable,
    /// The request to link an identity does not prove that it comes from the owner of the account.
    #[error(transparent)]
    Owner(#[from] OwnerRefusal),
    /// Too many attempts came from this network address.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for OidcBeginRefusal {}

/// A sign-in at the issuer that has begun.
#[derive(Clone, Debug)]
pub struct BegunOidcLogin {
    /// The address at the issuer to which the frontend must send the browser.
    pub authorization_url: String,
    /// The key that the browser keeps secret. The sign-in can be completed only with this key.
    pub browser_key: BrowserKey,
}

/// Begins a sign-in at the issuer, after which the browser returns to `redirect_uri`. The sign-in expires after ten
/// minutes.
///
/// # Errors
/// See [`OidcBeginRefusal`].
#[service_call("account.begin_oidc_login")]
pub async fn begin_oidc_login(
    services: &Services,
    client: ClientAddress,
    redirect_uri: &str,
) -> Result<BegunOidcLogin, Error<OidcBeginRefusal>> {
    begin(services, client, redirect_uri, None).await
}

/// Begins to link an identity at the issuer to the account of the viewer. Requires the password, or a sign-in within
/// the last ten minutes, because the identity will be a way into the account.
///
/// # Errors
/// See [`OidcBeginRefusal`].
#[service_call("account.begin_oidc_link")]
pub async fn begin_oidc_link(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    redirect_uri: &str,
    password: Option<&str>,
) -> Result<BegunOidcLogin, Error<OidcBeginRefusal>> {
    confirm_owner(services, client, viewer, password)
        .await
        .map_err(|error| error.map(OidcBeginRefusal::Owner))?;
    begin(services, client, redirect_uri, Some(viewer.user_id)).await
}

/// Returns the issuer, if the operator has set one up.
pub(super) fn provider(services: &Services) -> Option<&OidcProvider> {
    services.oidc.as_deref()
}

async fn begin(
    services: &Services,
    client: ClientAddress,
    redirect_uri: &str,
    owner: Option<UserId>,
) -> Result<BegunOidcLogin, Error<OidcBeginRefusal>> {
    let provider = provider(services).ok_or(OidcBeginRefusal::NotSetUp)?;
    if !provider.allows_redirect_to(redirect_uri) {
        return Err(OidcBeginRefusal::RedirectNotAllowed.into());
    }
    services.limits.sign_in.begin_elsewhere(client).map_err(OidcBeginRefusal::TooMany)?;
    let random = |error| Fault::Inconsistent(format!("the system's random source failed: {error}"));
    let (state, browser_key) =
        (OidcState::generate().map_err(random)?, BrowserKey::generate().map_err(random)?);
    // RFC 7636, section 7.1 recommends 256 random bits for a code verifier.
    let (nonce, code_verifier) = (random_text().map_err(random)?, random_text().map_err(random)?);
    let request = AuthorizationRequest {
        redirect_uri,
        state: state.as_str(),
        nonce: &nonce,
        code_verifier: &code_verifier,
    };
    let authorization_url = provider.authorization_url(request).await.map_err(|error| {
        tracing::warn!(%error, "a sign-in at the issuer could not begin");
        OidcBeginRefusal::Unavailable
    })?;
    let now = services.clock.now();
    let sealed = services.secrets.seal(VERIFIER_PURPOSE, &state.hash(), &code_verifier);
    let row = oidc_login::ActiveModel {
        id: NotSet,
        user_id: Set(owner),
        state_hash: Set(state.hash()),
        browser_hash: Set(browser_key.hash()),
        nonce: Set(nonce),
        code_verifier: Set(sealed
            .map_err(|_unspecified| Fault::Inconsistent("a code verifier cannot be encrypted".to_owned()))?),
        redirect_uri: Set(redirect_uri.to_owned()),
        created_at: Set(now),
        expires_at: Set(now + LOGIN_LIFETIME),
    };
    let policy = WritePolicy::not_idempotent("oidc.begin");
    let stored = services.database.write(policy, row, |transaction, row| {
        Box::pin(async move {
            row.clone().insert(transaction).await?;
            Ok::<_, Error<Infallible>>(())
        })
    });
    stored.await.map_err(Fault::from)?;
    Ok(BegunOidcLogin { authorization_url, browser_key })
}

/// Finds at most `limit` sign-ins at the issuer whose rows can be deleted, because they have expired.
pub(in crate::account) async fn old_logins(
    services: &Services,
    limit: u64,
) -> Result<Vec<OidcLoginId>, DbErr> {
    oidc_login::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ExpiresAt.lte(services.clock.now()))
        .limit(limit)
        .into_tuple()
        .all(services.database.reader())
        .await
}

//! The mutations with which users sign in at an issuer of OpenID Connect, and link or unlink an account there.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::auth_payload::AuthPayload;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{ErrorCode, Identity, UserError};
use jishu_service::account::{
    self, BegunOidcLogin, OidcBeginRefusal, OidcLinkRefusal, OidcLoginRefusal, OidcReturn, OwnerRefusal,
};

/// The values that a browser brings back from the issuer of OpenID Connect.
#[derive(InputObject)]
pub(super) struct CompleteOidcLoginInput {
    /// The parameter `code` of the address to which the issuer sent the browser.
    #[graphql(secret)]
    code: String,
    /// The parameter `state` of the address to which the issuer sent the browser.
    #[graphql(secret)]
    state: String,
    /// The value of `browserKey` from `beginOidcLogin` or `beginOidcLink`, which the browser kept.
    #[graphql(secret)]
    browser_key: String,
}

impl From<CompleteOidcLoginInput> for OidcReturn {
    fn from(input: CompleteOidcLoginInput) -> Self {
        Self { code: input.code, state: input.state, browser_key: input.browser_key }
    }
}

/// The response to `beginOidcLogin` and `beginOidcLink`.
#[derive(SimpleObject)]
pub(super) struct BeginOidcLoginPayload {
    /// The address of the issuer to which the browser goes next. Null if the request was refused.
    authorization_url: Option<String>,
    /// A key for `completeOidcLogin` or `linkOidcIdentity`. Keep the key in the session storage of the browser, and
    /// never put it into an address. Null if the request was refused.
    browser_key: Option<String>,
    /// The reasons why the sign-in at the issuer did not begin. Empty on success.
    user_errors: Vec<UserError>,
}

impl BeginOidcLoginPayload {
    fn new(outcome: Result<BegunOidcLogin, OidcBeginRefusal>) -> ApiResult<Self> {
        let refusal = match outcome {
            Ok(begun) => {
                return Ok(Self {
                    authorization_url: Some(begun.authorization_url),
                    browser_key: Some(begun.browser_key.as_str().to_owned()),
                    user_errors: Vec::new(),
                });
            }
            Err(refusal) => refusal,
        };
        let (code, at): (_, &[&str]) = match &refusal {
            OidcBeginRefusal::TooMany(wait) | OidcBeginRefusal::Owner(OwnerRefusal::TooMany(wait)) => {
                return Err((*wait).into());
            }
            OidcBeginRefusal::NotSetUp => (ErrorCode::OidcNotSetUp, &[]),
            OidcBeginRefusal::RedirectNotAllowed => (ErrorCode::RedirectNotAllowed, &["redirectUri"]),
            OidcBeginRefusal::Unavailable => (ErrorCode::OidcUnavailable, &[]),
            OidcBeginRefusal::Owner(OwnerRefusal::Inactive) => (ErrorCode::AccountInactive, &[]),
            OidcBeginRefusal::Owner(OwnerRefusal::WrongPassword) => {
                (ErrorCode::InvalidCredentials, &["password"])
            }
            OidcBeginRefusal::Owner(OwnerRefusal::SignInTooOld) => {
                (ErrorCode::RecentSignInRequired, &["password"])
            }
        };
        let user_errors = vec![UserError::field(code, refusal.to_string(), at)];
        Ok(Self { authorization_url: None, browser_key: None, user_errors })
    }
}

/// The response to `linkOidcIdentity` and `unlinkOidcIdentity`.
#[derive(SimpleObject)]
pub(super) struct IdentitiesPayload {
    /// The identities that are linked to the account of the viewer now, oldest first.
    identities: Vec<Identity>,
    /// The reasons why nothing was changed. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct OidcMutation;

#[Object]
impl OidcMutation {
    /// Begins a sign-in at the issuer of OpenID Connect that the operator has configured. Send the browser to
    /// `authorizationUrl`, and keep `browserKey` for `completeOidcLogin`.
    async fn begin_oidc_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The address of the frontend to which the issuer sends the browser back. The operator must have allowed it."
        )]
        redirect_uri: String,
    ) -> ApiResult<BeginOidcLoginPayload> {
        let begun = account::begin_oidc_login(ctx.services()?, ctx.client()?, &redirect_uri).await;
        BeginOidcLoginPayload::new(refused_or(begun)?)
    }

    /// Completes a sign-in at the issuer of OpenID Connect. The first sign-in of an identity links the identity to the
    /// account that has verified the same e-mail address. If no account has the address, the sign-in makes an account.
    /// For this first sign-in, the issuer must have verified the address. If the account has a second factor, the
    /// response has a challenge, as in `login`. If this is the first sign-in of the identity, `completeLogin` links it.
    async fn complete_oidc_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The values that the browser brings back from the issuer.")]
        input: CompleteOidcLoginInput,
    ) -> ApiResult<AuthPayload> {
        let (services, client) = (ctx.services()?, ctx.sign_in_client()?);
        let completed = account::complete_oidc_login(services, client, &input.into()).await;
        match refused_or(completed)? {
            Ok(outcome) => Ok(AuthPayload::of(outcome)),
            Err(refusal) => Ok(AuthPayload::refused(vec![login_error(&refusal)?])),
        }
    }

    /// Begins to link an account at the issuer of OpenID Connect to the account of the signed-in user. Requires the
    /// password, or a sign-in within the last 10 minutes. Send the browser to `authorizationUrl`, and keep `browserKey`
    /// for `linkOidcIdentity`.
    async fn begin_oidc_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The address of the frontend to which the issuer sends the browser back. The operator must have allowed it."
        )]
        redirect_uri: String,
        #[graphql(
            desc = "The password of the account. Not required within 10 minutes after the sign-in.",
            secret
        )]
        password: Option<String>,
    ) -> ApiResult<BeginOidcLoginPayload> {
        let (services, viewer, client) = (ctx.services()?, ctx.require_viewer()?, ctx.client()?);
        let begun =
            account::begin_oidc_link(services, client, viewer, &redirect_uri, password.as_deref()).await;
        BeginOidcLoginPayload::new(refused_or(begun)?)
    }

    /// Links the account with which the user has just signed in at the issuer to the account of the signed-in user. The
    /// user must have verified their e-mail address. From then on, `completeOidcLogin` signs in to the account of the
    /// user. The user gets a mail.
    async fn link_oidc_identity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The values that the browser brings back from the issuer.")]
        input: CompleteOidcLoginInput,
    ) -> ApiResult<IdentitiesPayload> {
        let (services, viewer, client) = (ctx.services()?, ctx.require_viewer()?, ctx.sign_in_client()?);
        let linked = account::link_oidc_identity(services, client, viewer, &input.into()).await;
        let user_errors = match refused_or(linked)? {
            Ok(()) => Vec::new(),
            Err(refusal) => vec![link_error(&refusal)?],
        };
        Ok(IdentitiesPayload { identities: Identity::of_user(ctx, viewer.user_id).await?, user_errors })
    }

    /// Removes the link between an account at the issuer and the account of the signed-in user. If both accounts have
    /// verified the same e-mail address, the next `completeOidcLogin` with the account at the issuer links them again.
    /// Otherwise, the account at the issuer no longer signs in to the account of the user.
    async fn unlink_oidc_identity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the identity, from `viewer.linkedIdentities`.")] id: ID,
    ) -> ApiResult<IdentitiesPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let unlinked = match Identity::parse_id(&id) {
            Some(identity) => account::unlink_oidc_identity(services, viewer, identity).await,
            None => Err(OidcLinkRefusal::NotFound.into()),
        };
        let user_errors = match refused_or(unlinked)? {
            Ok(()) => Vec::new(),
            Err(refusal) => vec![link_error(&refusal)?],
        };
        Ok(IdentitiesPayload { identities: Identity::of_user(ctx, viewer.user_id).await?, user_errors })
    }
}

fn login_error(refusal: &OidcLoginRefusal) -> ApiResult<UserError> {
    let (code, message) = match refusal {
        OidcLoginRefusal::TooMany(wait) => return Err((*wait).into()),
        OidcLoginRefusal::Invalid => (ErrorCode::OidcLoginInvalid, refusal.to_string()),
        OidcLoginRefusal::Unavailable => (ErrorCode::OidcUnavailable, refusal.to_string()),
        OidcLoginRefusal::EmailNotVerified => (ErrorCode::OidcEmailNotVerified, refusal.to_string()),
        OidcLoginRefusal::Inactive => (ErrorCode::AccountInactive, refusal.to_string()),
        OidcLoginRefusal::AccountExists => (
            ErrorCode::OidcAccountExists,
            format!(
                "{refusal} Choose a new password with `requestPasswordReset`, which also verifies the address. Then \
                 begin again with `beginOidcLogin`. Or sign in with the password of that account, verify its address, \
                 and link the account of the issuer with `beginOidcLink` and `linkOidcIdentity`."
            ),
        ),
    };
    Ok(UserError::field(code, message, &[]))
}

fn link_error(refusal: &OidcLinkRefusal) -> ApiResult<UserError> {
    let (code, at): (_, &[&str]) = match refusal {
        OidcLinkRefusal::Login(refusal) => return login_error(refusal),
        OidcLinkRefusal::EmailNotVerified => (ErrorCode::EmailNotVerified, &[]),
        OidcLinkRefusal::Taken => (ErrorCode::OidcIdentityTaken, &[]),
        OidcLinkRefusal::NotFound => (ErrorCode::OidcIdentityNotFound, &["id"]),
    };
    Ok(UserError::field(code, refusal.to_string(), at))
}

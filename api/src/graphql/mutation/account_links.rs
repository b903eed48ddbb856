//! The mutations that verify an e-mail address and set a new password, most of them with a link from a mail.

use async_graphql::{Context, Object, SimpleObject};

use super::account::invalid_field;
use super::auth_payload::AuthPayload;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{ErrorCode, UserError, UserPayload};
use jishu_service::account::{
    self, LinkInvalid, PasswordRefusal, PasswordResetRefusal, ResendRefusal, SignInOutcome, VerifyRefusal,
};

/// The response to `resendVerification` and `requestPasswordReset`, which ask the server to send a mail.
#[derive(SimpleObject)]
pub(super) struct RequestedPayload {
    /// Whether the server accepted the request. The value does not show whether an account has the address.
    requested: bool,
    /// The reasons why the request was refused. Empty on success.
    user_errors: Vec<UserError>,
}

impl RequestedPayload {
    fn new(outcome: Result<(), UserError>) -> Self {
        Self { requested: outcome.is_ok(), user_errors: outcome.err().into_iter().collect() }
    }
}

#[derive(Default)]
pub(super) struct AccountLinksMutation;

#[Object]
impl AccountLinksMutation {
    /// Verifies an e-mail address with the token of a link that was sent to the address. The address is that of an
    /// account, or a new address that was given to `updateProfile`. A new address then becomes the address of the
    /// account. A link works once, and it does not sign anybody in.
    ///
    /// The link alone is not enough: a stranger may have registered with the address of another person, or a user may
    /// have mistyped a new address. So send the access token or the password of the account too. A person who has
    /// neither can choose a new password with `requestPasswordReset` and `resetPassword`. The link of the reset
    /// verifies the address of the account too.
    async fn verify_email(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token from the link: the text after `#token=`.", secret)] token: String,
        #[graphql(
            desc = "The password of the account. Required unless the request is signed in to the account.",
            secret
        )]
        password: Option<String>,
    ) -> ApiResult<UserPayload> {
        let (services, client, viewer) = (ctx.services()?, ctx.client()?, ctx.viewer());
        let verified = account::verify(services, client, viewer, &token, password.as_deref()).await;
        let outcome = match refused_or(verified)? {
            Ok(row) => Ok(row),
            Err(VerifyRefusal::Link(refusal)) => Err(link_invalid(refusal)),
            Err(VerifyRefusal::TooMany(wait)) => return Err(wait.into()),
            Err(refusal @ VerifyRefusal::PasswordRequired) => {
                Err(UserError::field(ErrorCode::PasswordRequired, refusal.to_string(), &["password"]))
            }
            Err(refusal @ VerifyRefusal::WrongPassword) => {
                let message = format!("{refusal} Use `requestPasswordReset`.");
                Err(UserError::field(ErrorCode::InvalidCredentials, message, &["password"]))
            }
            Err(refusal @ VerifyRefusal::EmailTaken) => {
                Err(UserError::field(ErrorCode::EmailTaken, refusal.to_string(), &["token"]))
            }
        };
        Ok(UserPayload { outcome })
    }

    /// Sends the signed-in user another mail with a link. `verifyEmail` with the token of the link verifies their
    /// e-mail address.
    async fn resend_verification(&self, ctx: &Context<'_>) -> ApiResult<RequestedPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let resent = account::resend_verification(services, ctx.client()?, viewer).await;
        let code = match refused_or(resent)? {
            Ok(()) => return Ok(RequestedPayload::new(Ok(()))),
            Err(ResendRefusal::TooMany(wait)) => return Err(wait.into()),
            Err(refusal @ ResendRefusal::Inactive) => (ErrorCode::AccountInactive, refusal),
            Err(refusal @ ResendRefusal::AlreadyVerified) => (ErrorCode::EmailAlreadyVerified, refusal),
        };
        let (code, refusal) = code;
        Ok(RequestedPayload::new(Err(UserError::field(code, refusal.to_string(), &[]))))
    }

    /// Asks for a mail with a link to choose a new password. The response, and the time that it takes, do not depend on
    /// whether an account has the address. The number of mails to one address is limited.
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The e-mail address of the account. Case does not matter.")] email: String,
    ) -> ApiResult<RequestedPayload> {
        match refused_or(account::request_password_reset(ctx.services()?, ctx.client()?, &email))? {
            Ok(()) => Ok(RequestedPayload::new(Ok(()))),
            Err(PasswordResetRefusal::TooMany(wait)) => Err(wait.into()),
        }
    }

    /// Sets a new password with the link of `requestPasswordReset`, ends all sessions of the account, and signs in. The
    /// link also verifies the address. Access tokens that were issued before stop working within seconds. If the
    /// account has a second factor, the response has a challenge for `completeLogin` instead of tokens.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token from the link: the text after `#token=`.", secret)] token: String,
        #[graphql(desc = "The new password: at least 8 characters.", secret)] password: String,
    ) -> ApiResult<AuthPayload> {
        let reset = account::reset_password(ctx.services()?, ctx.sign_in_client()?, &token, password).await;
        new_password(refused_or(reset)?)
    }

    /// Sets a new password for the signed-in user, ends all sessions of the user, and begins a new session with the
    /// tokens of the response. Access tokens that were issued before stop working within seconds.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The current password.", secret)] current: String,
        #[graphql(desc = "The new password: at least 8 characters.", secret)] password: String,
    ) -> ApiResult<AuthPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let client = ctx.sign_in_client()?;
        let changed = account::change_password(services, client, viewer, &current, password).await;
        new_password(refused_or(changed)?.map(|signed_in| SignInOutcome::SignedIn(Box::new(signed_in))))
    }
}

fn new_password(outcome: Result<SignInOutcome, PasswordRefusal>) -> ApiResult<AuthPayload> {
    let error = match outcome {
        Ok(outcome) => return Ok(AuthPayload::of(outcome)),
        Err(PasswordRefusal::TooMany(wait)) => return Err(wait.into()),
        Err(PasswordRefusal::Link(refusal)) => link_invalid(refusal),
        Err(refusal @ PasswordRefusal::WrongPassword) => {
            UserError::field(ErrorCode::InvalidCredentials, refusal.to_string(), &["current"])
        }
        Err(PasswordRefusal::Invalid(field)) => invalid_field(field, &[]),
    };
    Ok(AuthPayload::refused(vec![error]))
}

fn link_invalid(refusal: LinkInvalid) -> UserError {
    UserError::field(ErrorCode::LinkInvalid, refusal.to_string(), &["token"])
}

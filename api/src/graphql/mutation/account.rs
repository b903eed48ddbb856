//! The mutations for registering, signing in and signing out.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use jishu_entity::user::Role;

use crate::graphql::access;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::scalar::DateTime;
use crate::graphql::types::{ErrorCode, User, UserError};
use jishu_service::account::{
    self, InvalidField, RefreshRefusal, RegisterRefusal, Registered, Registration, SignInRefusal, SignedIn,
};

/// A new account.
#[derive(InputObject)]
pub(super) struct RegisterInput {
    /// The name of the person: 1 to 200 characters.
    name: String,
    /// The e-mail address of the person. Case does not matter.
    email: String,
    /// The password: at least 8 characters.
    #[graphql(secret)]
    password: String,
    /// The year of birth. Required where the operator asks for the consent of guardians: without it, the registration is
    /// refused with `BIRTH_YEAR_REQUIRED`.
    birth_year: Option<i32>,
}

/// The credentials of an account.
#[derive(InputObject)]
pub(super) struct LoginInput {
    /// The e-mail address of the account. Case does not matter.
    email: String,
    /// The password of the account.
    #[graphql(secret)]
    password: String,
}

/// The tokens of a session.
#[derive(SimpleObject)]
pub(super) struct AuthTokens {
    /// The access token, a JWT. Send it in the header `Authorization: Bearer`.
    access_token: String,
    /// The time at which the access token expires.
    access_token_expires_at: DateTime,
    /// The token for `refreshTokens`. It works once. For a short time after its use (20 seconds by default) it
    /// returns the same new refresh token again, until that one is used. So two tabs may refresh at once, and a
    /// client may retry after a lost response. Using it later ends the session.
    refresh_token: String,
    /// The time at which the refresh token expires.
    refresh_token_expires_at: DateTime,
}

/// The response to a mutation that signs in: a session, or the reasons to refuse. There is neither if an address must be
/// verified first.
pub(super) struct AuthPayload {
    pub(super) outcome: Result<Option<SignedIn>, Vec<UserError>>,
}

/// The response to a mutation that signs in.
#[Object]
impl AuthPayload {
    /// The user who is signed in now. Null if the request was refused, or if the address must be verified first.
    async fn user(&self, ctx: &Context<'_>) -> Option<User> {
        let signed_in = self.signed_in()?;
        access::sign_in(ctx, signed_in.user.id);
        Some(signed_in.user.clone().into())
    }

    /// The tokens of the session. Null if the request was refused, or if the address must be verified first.
    async fn tokens(&self) -> Option<AuthTokens> {
        self.signed_in().map(|signed_in| AuthTokens {
            access_token: signed_in.access.token.clone(),
            access_token_expires_at: DateTime(signed_in.access.expires_at),
            refresh_token: signed_in.refresh.as_str().to_owned(),
            refresh_token_expires_at: DateTime(signed_in.refresh_expires_at),
        })
    }

    /// The reasons why the request was refused. Empty on success.
    async fn user_errors(&self) -> &[UserError] {
        self.outcome.as_ref().err().map_or(&[], Vec::as_slice)
    }
}

impl AuthPayload {
    fn signed_in(&self) -> Option<&SignedIn> {
        self.outcome.as_ref().ok()?.as_ref()
    }
}

/// The response to `logout`.
#[derive(SimpleObject)]
pub(super) struct LogoutPayload {
    /// Always empty at present, since a sign-out is never refused.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Creates an account and signs in to it. A mail with a link to verify the address follows.
    ///
    /// If the server requires verified addresses, the response is the same for every address: it has neither a user nor
    /// tokens nor errors. A mail then says how to go on.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new account.")] input: RegisterInput,
    ) -> ApiResult<AuthPayload> {
        let RegisterInput { name, email, password, birth_year } = input;
        let registration = Registration { name, email, password, role: Role::Learner, birth_year };
        let outcome = match refused_or(account::register(ctx.services()?, ctx.client()?, registration).await)?
        {
            Ok(Registered::SignedIn(signed_in)) => Ok(Some(*signed_in)),
            Ok(Registered::Requested) => Ok(None),
            Err(RegisterRefusal::Invalid(fields)) => {
                Err(fields.into_iter().map(|field| invalid_field(field, &["input"])).collect())
            }
            Err(refusal @ RegisterRefusal::EmailTaken) => {
                Err(vec![UserError::field(ErrorCode::EmailTaken, refusal.to_string(), &["input", "email"])])
            }
            Err(RegisterRefusal::TooMany(wait)) => return Err(wait.into()),
        };
        Ok(AuthPayload { outcome })
    }

    /// Signs in. An unknown e-mail address and a wrong password give the same error.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The credentials.")] input: LoginInput,
    ) -> ApiResult<AuthPayload> {
        let signed_in = account::login(ctx.services()?, ctx.client()?, &input.email, input.password).await;
        let outcome = match refused_or(signed_in)? {
            Ok(signed_in) => Ok(Some(signed_in)),
            Err(refusal @ SignInRefusal::InvalidCredentials) => {
                Err(vec![UserError::field(ErrorCode::InvalidCredentials, refusal.to_string(), &["input"])])
            }
            Err(refusal @ SignInRefusal::EmailNotVerified) => {
                Err(vec![UserError::field(ErrorCode::EmailNotVerified, refusal.to_string(), &["input"])])
            }
            Err(SignInRefusal::TooMany(wait)) => return Err(wait.into()),
        };
        Ok(AuthPayload { outcome })
    }

    /// Exchanges a refresh token for a new pair of tokens. Send it without an `Authorization` header. If the
    /// response is lost, send the same token again at once: it returns the same new refresh token. Sending a used
    /// token later, or after the new one was used, ends the session.
    async fn refresh_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token from the latest response.", secret)] refresh_token: String,
    ) -> ApiResult<AuthPayload> {
        let signed_in = account::refresh(ctx.services()?, ctx.client()?, &refresh_token).await;
        let outcome = match refused_or(signed_in)? {
            Ok(signed_in) => Ok(Some(signed_in)),
            Err(refusal @ RefreshRefusal::Invalid(_)) => Err(vec![UserError::field(
                ErrorCode::RefreshTokenInvalid,
                refusal.to_string(),
                &["refreshToken"],
            )]),
            Err(RefreshRefusal::TooMany(wait)) => return Err(wait.into()),
        };
        Ok(AuthPayload { outcome })
    }

    /// Ends the session. Its refresh token stops working at once; its access token works until it expires.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Whether to end the sessions on all other devices too.")] everywhere: bool,
    ) -> ApiResult<LogoutPayload> {
        let viewer = ctx.require_viewer()?;
        account::logout(ctx.services()?, viewer, everywhere).await?;
        Ok(LogoutPayload { user_errors: Vec::new() })
    }
}

/// Makes the error for a field below `at`.
pub(super) fn invalid_field(field: InvalidField, at: &[&'static str]) -> UserError {
    let (code, name) = match field {
        InvalidField::Name => (ErrorCode::NameInvalid, "name"),
        InvalidField::Email => (ErrorCode::EmailInvalid, "email"),
        InvalidField::BirthYearMissing => (ErrorCode::BirthYearRequired, "birthYear"),
        InvalidField::BirthYear => (ErrorCode::BirthYearInvalid, "birthYear"),
        InvalidField::PasswordTooShort | InvalidField::PasswordTooLong | InvalidField::PasswordIsEmail => {
            (ErrorCode::PasswordInvalid, "password")
        }
    };
    UserError::field(code, field.to_string(), &[at, &[name]].concat())
}

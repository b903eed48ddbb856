//! Registering, signing in and signing out.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use jishu_entity::user::Role;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::scalar::DateTime;
use crate::graphql::types::{ErrorCode, User, UserError};
use jishu_service::account::{
    self, InvalidField, RefreshError, RegisterError, Registration, SignInError, SignedIn,
};
use jishu_service::auth::PasswordError;

/// A new account.
#[derive(InputObject)]
pub(super) struct RegisterInput {
    /// What to call the person: 1 to 200 characters.
    name: String,
    /// Their e-mail address; case does not matter.
    email: String,
    /// At least 8 characters.
    #[graphql(secret)]
    password: String,
}

/// Who signs in.
#[derive(InputObject)]
pub(super) struct LoginInput {
    /// The e-mail address of the account; case does not matter.
    email: String,
    /// The account's password.
    #[graphql(secret)]
    password: String,
}

/// The tokens of a session.
#[derive(SimpleObject)]
pub(super) struct AuthTokens {
    /// A JWT for the header `Authorization: Bearer`.
    access_token: String,
    /// When the access token stops working.
    access_token_expires_at: DateTime,
    /// The token for `refreshTokens`. It works once. For a short time after its use (20 seconds by default) it
    /// returns the same new refresh token again, until that one is used. So two tabs may refresh at once, and a
    /// client may retry after a lost response. Using it later ends the session.
    refresh_token: String,
    /// When the refresh token stops working.
    refresh_token_expires_at: DateTime,
}

/// The response to `register`, `login` and `refreshTokens`.
#[derive(Default, SimpleObject)]
pub(super) struct AuthPayload {
    /// Who is signed in now; null when nobody is.
    user: Option<User>,
    /// The tokens of the session; null when nobody is signed in.
    tokens: Option<AuthTokens>,
    /// Why nobody is signed in.
    user_errors: Vec<UserError>,
}

/// The response to `logout`.
#[derive(SimpleObject)]
pub(super) struct LogoutPayload {
    /// Always empty at present: signing out cannot fail.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Makes an account and signs in to it.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new account.")] input: RegisterInput,
    ) -> ApiResult<AuthPayload> {
        let RegisterInput { name, email, password } = input;
        let registration = Registration { name, email, password, role: Role::Learner };
        match account::register(ctx.services()?, ctx.client()?, registration).await {
            Ok(signed_in) => Ok(signed_in.into()),
            Err(RegisterError::Invalid(fields)) => {
                Ok(refused(fields.into_iter().map(invalid_field).collect()))
            }
            Err(error @ RegisterError::EmailTaken) => Ok(refused(vec![UserError::field(
                ErrorCode::EmailTaken,
                error.to_string(),
                &["input", "email"],
            )])),
            Err(RegisterError::TooMany(wait)) => Err(wait.into()),
            Err(RegisterError::Password(error)) => Err(password_error(error)),
            Err(RegisterError::SignIn(error)) => Err(sign_in_error(error)),
            Err(RegisterError::Database(error)) => Err(error.into()),
        }
    }

    /// Signs in. An unknown e-mail address and a wrong password are answered alike.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who signs in.")] input: LoginInput,
    ) -> ApiResult<AuthPayload> {
        match account::login(ctx.services()?, ctx.client()?, &input.email, input.password).await {
            Ok(signed_in) => Ok(signed_in.into()),
            Err(error @ SignInError::InvalidCredentials) => Ok(refused(vec![UserError::field(
                ErrorCode::InvalidCredentials,
                error.to_string(),
                &["input"],
            )])),
            Err(error) => Err(sign_in_error(error)),
        }
    }

    /// Exchanges a refresh token for the next pair of tokens. Send it without an `Authorization` header. If the
    /// response is lost, send the same token again at once: it returns the same new refresh token. A used token
    /// that is sent later, or after the new one was used, ends the session.
    async fn refresh_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token of the last answer.", secret)] refresh_token: String,
    ) -> ApiResult<AuthPayload> {
        match account::refresh(ctx.services()?, ctx.client()?, &refresh_token).await {
            Ok(signed_in) => Ok(signed_in.into()),
            Err(error @ RefreshError::Invalid(_)) => Ok(refused(vec![UserError::field(
                ErrorCode::RefreshTokenInvalid,
                error.to_string(),
                &["refreshToken"],
            )])),
            Err(RefreshError::TooMany(wait)) => Err(wait.into()),
            Err(RefreshError::SignIn(error)) => Err(sign_in_error(error)),
            Err(RefreshError::RefreshToken(error)) => Err(ApiError::internal(error.to_string())),
            Err(RefreshError::Database(error)) => Err(error.into()),
        }
    }

    /// Ends the session: its refresh token stops working at once, its access token when it expires.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Also end the sessions on every other device.")] everywhere: bool,
    ) -> ApiResult<LogoutPayload> {
        let viewer = ctx.require_viewer()?;
        account::logout(ctx.services()?, viewer, everywhere).await?;
        Ok(LogoutPayload { user_errors: Vec::new() })
    }
}

impl From<SignedIn> for AuthPayload {
    fn from(signed_in: SignedIn) -> Self {
        let tokens = AuthTokens {
            access_token: signed_in.access.token,
            access_token_expires_at: DateTime(signed_in.access.expires_at),
            refresh_token: signed_in.refresh.as_str().to_owned(),
            refresh_token_expires_at: DateTime(signed_in.refresh_expires_at),
        };
        Self { user: Some(signed_in.user.into()), tokens: Some(tokens), user_errors: Vec::new() }
    }
}

fn refused(user_errors: Vec<UserError>) -> AuthPayload {
    AuthPayload { user_errors, ..AuthPayload::default() }
}

fn invalid_field(field: InvalidField) -> UserError {
    let (code, name) = match field {
        InvalidField::Name => (ErrorCode::NameInvalid, "name"),
        InvalidField::Email => (ErrorCode::EmailInvalid, "email"),
        InvalidField::PasswordTooShort | InvalidField::PasswordTooLong | InvalidField::PasswordIsEmail => {
            (ErrorCode::PasswordInvalid, "password")
        }
    };
    UserError::field(code, field.to_string(), &["input", name])
}

fn sign_in_error(error: SignInError) -> ApiError {
    match error {
        SignInError::TooMany(wait) => wait.into(),
        SignInError::Password(error) => password_error(error),
        SignInError::Database(error) => error.into(),
        error => ApiError::internal(error.to_string()),
    }
}

fn password_error(error: PasswordError) -> ApiError {
    match error {
        PasswordError::Busy => {
            ApiError::Overloaded("Many people are signing in. Try again in a few seconds.")
        }
        error => ApiError::internal(error.to_string()),
    }
}

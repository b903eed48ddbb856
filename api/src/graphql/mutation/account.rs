//! The mutations for registering, signing in and signing out.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use jishu_entity::user::Role;

use super::auth_payload::AuthPayload;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{ErrorCode, UserError};
use jishu_service::account::{
    self, InvalidField, RefreshRefusal, RegisterRefusal, Registered, Registration, SignInRefusal,
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
    /// The year of birth. If the operator requires the consent of guardians, a registration without the year of birth
    /// is refused with `BIRTH_YEAR_REQUIRED`.
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

/// The response to `logout`.
#[derive(SimpleObject)]
pub(super) struct LogoutPayload {
    /// The reasons why the sign-out was refused. Always empty at present, because the server never refuses a sign-out.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Creates an account and signs in to it. The server sends a mail with a link. `verifyEmail` with the token of the
    /// link verifies the address.
    ///
    /// If the server requires verified addresses, nobody is signed in, and the response to valid input is the same for
    /// every address. That response has no user, no tokens and no errors. A mail to the address then says what to do
    /// next.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new account.")] input: RegisterInput,
    ) -> ApiResult<AuthPayload> {
        let RegisterInput { name, email, password, birth_year } = input;
        let registration = Registration { name, email, password, role: Role::Learner, birth_year };
        let registered = account::register(ctx.services()?, ctx.sign_in_client()?, registration).await;
        Ok(match refused_or(registered)? {
            Ok(Registered::SignedIn(signed_in)) => AuthPayload::signed_in(*signed_in),
            Ok(Registered::Requested) => AuthPayload::requested(),
            Err(RegisterRefusal::Invalid(fields)) => AuthPayload::refused(
                fields.into_iter().map(|field| invalid_field(field, &["input"])).collect(),
            ),
            Err(refusal @ RegisterRefusal::EmailTaken) => {
                let message = refusal.to_string();
                AuthPayload::refused(vec![UserError::field(
                    ErrorCode::EmailTaken,
                    message,
                    &["input", "email"],
                )])
            }
            Err(RegisterRefusal::TooMany(wait)) => return Err(wait.into()),
        })
    }

    /// Signs in with an e-mail address and a password. An unknown address, a wrong password and a deactivated account
    /// get the same error. If the server requires verified addresses, an account whose address is not verified gets
    /// this error too. With the right password, its owner also gets another mail, unless too many mails were sent.
    ///
    /// For an account with a second factor, the response has no tokens. Instead, `secondFactor` has a challenge for
    /// `completeLogin`.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The credentials.")] input: LoginInput,
    ) -> ApiResult<AuthPayload> {
        let (services, client) = (ctx.services()?, ctx.sign_in_client()?);
        let signed_in = account::login(services, client, &input.email, input.password).await;
        Ok(match refused_or(signed_in)? {
            Ok(outcome) => AuthPayload::of(outcome),
            Err(refusal @ SignInRefusal::InvalidCredentials) => {
                let message = match services.requires_verified_email {
                    true => format!(
                        "{refusal} Or the address is not verified yet: then open the link in the mail that we sent."
                    ),
                    false => refusal.to_string(),
                };
                AuthPayload::refused(vec![UserError::field(
                    ErrorCode::InvalidCredentials,
                    message,
                    &["input"],
                )])
            }
            Err(SignInRefusal::TooMany(wait)) => return Err(wait.into()),
        })
    }

    /// Exchanges a refresh token for a new access token and a new refresh token. Send the request without an
    /// `Authorization` header. If the response is lost, send the same refresh token again at once: the response then
    /// has the same new refresh token. If a used refresh token is sent later, or after the new refresh token was used,
    /// the session ends.
    async fn refresh_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The latest refresh token of the session.", secret)] refresh_token: String,
    ) -> ApiResult<AuthPayload> {
        let signed_in = account::refresh(ctx.services()?, ctx.sign_in_client()?, &refresh_token).await;
        Ok(match refused_or(signed_in)? {
            Ok(signed_in) => AuthPayload::signed_in(signed_in),
            Err(refusal @ RefreshRefusal::Invalid(_)) => AuthPayload::refused(vec![UserError::field(
                ErrorCode::RefreshTokenInvalid,
                refusal.to_string(),
                &["refreshToken"],
            )]),
            Err(RefreshRefusal::TooMany(wait)) => return Err(wait.into()),
        })
    }

    /// Ends the session of this request. Its refresh token stops working at once. Its access tokens and subscriptions
    /// stop working within seconds.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Whether to end all other sessions of the user too.")] everywhere: bool,
    ) -> ApiResult<LogoutPayload> {
        let viewer = ctx.require_viewer()?;
        account::logout(ctx.services()?, viewer, everywhere).await?;
        Ok(LogoutPayload { user_errors: Vec::new() })
    }
}

/// Makes the user error for a value that is not valid. `at` is the path of the argument that contains the value.
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

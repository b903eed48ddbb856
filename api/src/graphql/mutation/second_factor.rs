//! The mutations that set up, use, change and reset second factors.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use graphql_engine::guarded_fields;
use jishu_entity::UserId;

use super::auth_payload::AuthPayload;
use super::people;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{ErrorCode, UserError, UserPayload};
use jishu_service::account::{
    self, Admin, AdministrationRefusal, ChallengeRefusal, OwnerRefusal, SecondFactorProof,
    SecondFactorRefusal,
};

/// The second step of a sign-in: the challenge, with either a code or a recovery code.
#[derive(InputObject)]
pub(super) struct CompleteLoginInput {
    /// The value of `secondFactor.challenge` in the response to the first step of the sign-in.
    #[graphql(secret)]
    challenge: String,
    /// The code of 6 digits that the authenticator app shows now.
    #[graphql(secret)]
    code: Option<String>,
    /// A recovery code, with or without hyphens. Each recovery code works once.
    #[graphql(secret)]
    recovery_code: Option<String>,
}

/// The proof for a change of the second factor: a code or a recovery code, and the password unless the sign-in was
/// within the last 10 minutes.
#[derive(InputObject)]
pub(super) struct ChangeTwoFactorInput {
    /// The password of the account. Not required within 10 minutes after the sign-in.
    #[graphql(secret)]
    password: Option<String>,
    /// The code of 6 digits that the authenticator app shows now.
    #[graphql(secret)]
    code: Option<String>,
    /// A recovery code, with or without hyphens. Each recovery code works once.
    #[graphql(secret)]
    recovery_code: Option<String>,
}

/// The response to `beginTwoFactor`.
#[derive(SimpleObject)]
pub(super) struct BeginTwoFactorPayload {
    /// The secret of the second factor as base32, for people who type it into their authenticator app. Null if the
    /// request was refused.
    secret: Option<String>,
    /// The address with the secret, which begins with `otpauth://`, for a QR code that the authenticator app scans.
    /// Null if the request was refused.
    otpauth_url: Option<String>,
    /// The reasons why the set-up did not begin. Empty on success.
    user_errors: Vec<UserError>,
}

/// The response to a mutation that makes recovery codes.
#[derive(SimpleObject)]
pub(super) struct RecoveryCodesPayload {
    /// The 10 recovery codes, each of which works once. The server shows the codes only in this response, so the user
    /// must store them now. Null if the request was refused.
    recovery_codes: Option<Vec<String>>,
    /// The reasons why nothing was changed. Empty on success.
    user_errors: Vec<UserError>,
}

impl RecoveryCodesPayload {
    fn new(outcome: Result<Vec<String>, SecondFactorRefusal>, at: &[&str]) -> ApiResult<Self> {
        match outcome {
            Ok(codes) => Ok(Self { recovery_codes: Some(codes), user_errors: Vec::new() }),
            Err(refusal) => Ok(Self { recovery_codes: None, user_errors: vec![user_error(&refusal, at)?] }),
        }
    }
}

/// The response to `disableTwoFactor`.
#[derive(SimpleObject)]
pub(super) struct DisableTwoFactorPayload {
    /// Whether this request switched off the second factor.
    disabled: bool,
    /// The reasons why nothing was changed. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct SecondFactorMutation;

#[guarded_fields(requires_role)]
#[Object]
impl SecondFactorMutation {
    /// Completes a sign-in to an account with a second factor. The challenge comes from `login`, `completeOidcLogin` or
    /// `resetPassword`. After `completeOidcLogin`, a right code also links a new identity at the issuer to the account.
    /// Each code of the app works once. After 5 wrong codes, the challenge stops working, and the user must sign in
    /// again.
    async fn complete_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge, and a code.")] input: CompleteLoginInput,
    ) -> ApiResult<AuthPayload> {
        let CompleteLoginInput { challenge, code, recovery_code } = input;
        let (services, client) = (ctx.services()?, ctx.sign_in_client()?);
        let proof = proof(code, recovery_code)?;
        let field = code_field(&proof);
        let completed = account::complete_login(services, client, &challenge, proof).await;
        let (code, at) = match &refused_or(completed)? {
            Ok(signed_in) => return Ok(AuthPayload::signed_in(signed_in.clone())),
            Err(ChallengeRefusal::TooMany(wait)) => return Err((*wait).into()),
            Err(refusal @ ChallengeRefusal::Invalid) => {
                ((ErrorCode::ChallengeInvalid, refusal.to_string()), "challenge")
            }
            Err(refusal @ ChallengeRefusal::IdentityTaken) => {
                ((ErrorCode::OidcIdentityTaken, refusal.to_string()), "challenge")
            }
            Err(refusal @ ChallengeRefusal::WrongCode) => {
                ((ErrorCode::SecondFactorCodeInvalid, refusal.to_string()), field)
            }
        };
        Ok(AuthPayload::refused(vec![UserError::field(code.0, code.1, &["input", at])]))
    }

    /// Begins to set up a second factor for the signed-in user. Show `otpauthUrl` as a QR code. Within an hour, send a
    /// code of the app with `confirmTwoFactor`. Requires a verified e-mail address, and the password or a sign-in
    /// within the last 10 minutes.
    async fn begin_two_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The password of the account. Not required within 10 minutes after the sign-in.",
            secret
        )]
        password: Option<String>,
    ) -> ApiResult<BeginTwoFactorPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let begun = account::begin_second_factor(services, ctx.client()?, viewer, password.as_deref()).await;
        Ok(match refused_or(begun)? {
            Ok(set_up) => BeginTwoFactorPayload {
                secret: Some(set_up.secret),
                otpauth_url: Some(set_up.address),
                user_errors: Vec::new(),
            },
            Err(refusal) => BeginTwoFactorPayload {
                secret: None,
                otpauth_url: None,
                user_errors: vec![user_error(&refusal, &[])?],
            },
        })
    }

    /// Switches on the second factor of the signed-in user, and returns the recovery codes. From then on, each sign-in
    /// needs a code. All other sessions of the account end, because they began without a code. The user gets a mail.
    async fn confirm_two_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The code of 6 digits that the authenticator app shows now.", secret)] code: String,
    ) -> ApiResult<RecoveryCodesPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let confirmed = account::confirm_second_factor(services, ctx.client()?, viewer, code).await;
        RecoveryCodesPayload::new(refused_or(confirmed)?, &[])
    }

    /// Switches off the second factor of the signed-in user. The recovery codes stop working. The user gets a mail.
    async fn disable_two_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "A code or a recovery code, and the password unless the sign-in was within the last 10 minutes."
        )]
        input: ChangeTwoFactorInput,
    ) -> ApiResult<DisableTwoFactorPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let proof = proof(input.code, input.recovery_code)?;
        let field = code_field(&proof);
        let password = input.password.as_deref();
        let disabled = account::disable_second_factor(services, ctx.client()?, viewer, password, proof).await;
        let user_errors = match refused_or(disabled)? {
            Ok(()) => Vec::new(),
            Err(refusal) => vec![user_error_of_input(&refusal, field)?],
        };
        Ok(DisableTwoFactorPayload { disabled: user_errors.is_empty(), user_errors })
    }

    /// Replaces the recovery codes of the signed-in user, and returns the new codes. The earlier recovery codes stop
    /// working. The user gets a mail.
    async fn regenerate_recovery_codes(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "A code or a recovery code, and the password unless the sign-in was within the last 10 minutes."
        )]
        input: ChangeTwoFactorInput,
    ) -> ApiResult<RecoveryCodesPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let proof = proof(input.code, input.recovery_code)?;
        let field = code_field(&proof);
        let password = input.password.as_deref();
        let replaced =
            account::replace_recovery_codes(services, ctx.client()?, viewer, password, proof).await;
        match refused_or(replaced)? {
            Ok(codes) => RecoveryCodesPayload::new(Ok(codes), &[]),
            Err(refusal) => Ok(RecoveryCodesPayload {
                recovery_codes: None,
                user_errors: vec![user_error_of_input(&refusal, field)?],
            }),
        }
    }

    /// Removes the second factor of another account, whose owner has lost it, and ends the sessions of the account.
    /// Only for ADMIN. The owner gets a mail. If the second factor is off, the mutation only deletes an unfinished
    /// set-up by `beginTwoFactor`, without a mail. Admins cannot reset their own second factor.
    async fn reset_second_factor(
        &self,
        ctx: &Context<'_>,
        #[guard] admin: Admin,
        #[graphql(desc = "The id of the account.")] user_id: ID,
    ) -> ApiResult<UserPayload> {
        let reset = match UserId::parse(&user_id) {
            Some(id) => account::reset_second_factor(ctx.services()?, admin, id).await,
            None => Err(AdministrationRefusal::UserNotFound.into()),
        };
        people::payload(refused_or(reset)?)
    }
}

/// Makes the proof of the second factor from the code or the recovery code. Fails with `BAD_USER_INPUT` if a client
/// sends both codes or neither code, which is a fault of the client.
fn proof(code: Option<String>, recovery_code: Option<String>) -> ApiResult<SecondFactorProof> {
    match (code, recovery_code) {
        (Some(code), None) => Ok(SecondFactorProof::Code(code)),
        (None, Some(code)) => Ok(SecondFactorProof::RecoveryCode(code)),
        _ => Err(ApiError::bad_input("Send `code` or `recoveryCode`, and not both.")),
    }
}

/// Returns the name of the input field that has the proof.
fn code_field(proof: &SecondFactorProof) -> &'static str {
    match proof {
        SecondFactorProof::Code(_) => "code",
        SecondFactorProof::RecoveryCode(_) => "recoveryCode",
    }
}

fn user_error_of_input(refusal: &SecondFactorRefusal, code_field: &'static str) -> ApiResult<UserError> {
    match refusal {
        SecondFactorRefusal::WrongCode => Ok(UserError::field(
            ErrorCode::SecondFactorCodeInvalid,
            refusal.to_string(),
            &["input", code_field],
        )),
        refusal => user_error(refusal, &["input"]),
    }
}

/// Makes the user error for a refused change of the second factor. `at` is the path of the input with the password and
/// the code. It is empty if they are arguments of the mutation itself. Fails with a top-level error if there were too
/// many attempts.
fn user_error(refusal: &SecondFactorRefusal, at: &[&str]) -> ApiResult<UserError> {
    let below = |name: &'static str| [at, &[name]].concat();
    let (code, path) = match refusal {
        SecondFactorRefusal::TooMany(wait) | SecondFactorRefusal::Owner(OwnerRefusal::TooMany(wait)) => {
            return Err((*wait).into());
        }
        SecondFactorRefusal::Owner(OwnerRefusal::Inactive) => (ErrorCode::AccountInactive, Vec::new()),
        SecondFactorRefusal::Owner(OwnerRefusal::WrongPassword) => {
            (ErrorCode::InvalidCredentials, below("password"))
        }
        SecondFactorRefusal::Owner(OwnerRefusal::SignInTooOld) => {
            (ErrorCode::RecentSignInRequired, below("password"))
        }
        SecondFactorRefusal::EmailNotVerified => (ErrorCode::EmailNotVerified, Vec::new()),
        SecondFactorRefusal::AlreadyOn => (ErrorCode::SecondFactorAlreadyOn, Vec::new()),
        SecondFactorRefusal::NotBegun => (ErrorCode::SecondFactorNotBegun, Vec::new()),
        SecondFactorRefusal::NotOn => (ErrorCode::SecondFactorNotOn, Vec::new()),
        SecondFactorRefusal::WrongCode => (ErrorCode::SecondFactorCodeInvalid, below("code")),
    };
    Ok(UserError::field(code, refusal.to_string(), &path))
}

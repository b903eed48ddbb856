//! The mutations around the consent of guardians.

use async_graphql::{Context, Object, SimpleObject};

use super::deletion::deletion_error;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{ErrorCode, UserError};
use jishu_service::account::LinkInvalid;
use jishu_service::guardian::{self, ConsentRefusal, GuardianRequestRefusal, RevokeOutcome};

/// The response to a step of the consent of a guardian.
#[derive(SimpleObject)]
pub(super) struct GuardianConsentPayload {
    /// Whether the step was taken.
    done: bool,
    /// The reasons why nothing was changed. Empty on success.
    user_errors: Vec<UserError>,
}

impl GuardianConsentPayload {
    fn new(outcome: Result<(), UserError>) -> Self {
        Self { done: outcome.is_ok(), user_errors: outcome.err().into_iter().collect() }
    }
}

/// The response to `revokeGuardianConsent`.
#[derive(SimpleObject)]
pub(super) struct RevokeGuardianConsentPayload {
    /// Whether the consent is revoked now.
    revoked: bool,
    /// Whether the account was deleted.
    account_deleted: bool,
    /// The reasons why nothing was changed. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct GuardianMutation;

#[Object]
impl GuardianMutation {
    /// Sends a link to a parent or guardian, with which they can consent that the signed-in user purchases and sits tests.
    /// Earlier links to guardians stop working. The mail names the e-mail address of the account.
    async fn request_guardian_consent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The e-mail address of the parent or guardian.")] guardian_email: String,
    ) -> ApiResult<GuardianConsentPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let requested = guardian::request(services, ctx.client()?, viewer, &guardian_email).await;
        let outcome = match refused_or(requested)? {
            Ok(()) => Ok(()),
            Err(GuardianRequestRefusal::TooMany(wait)) => return Err(wait.into()),
            Err(refusal) => Err(request_error(&refusal)),
        };
        Ok(GuardianConsentPayload::new(outcome))
    }

    /// Consents by the link of `requestGuardianConsent`. Needs no sign-in. A second mail tells the guardian how to revoke.
    async fn give_guardian_consent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token from the link: the text after `#token=`.", secret)] token: String,
    ) -> ApiResult<GuardianConsentPayload> {
        let given = refused_or(guardian::give(ctx.services()?, &token).await)?;
        let error =
            |refusal: LinkInvalid| UserError::field(ErrorCode::LinkInvalid, refusal.to_string(), &["token"]);
        Ok(GuardianConsentPayload::new(given.map_err(error)))
    }

    /// Revokes the consent by the link in the second mail to the guardian, and deletes the account if asked to. Needs no
    /// sign-in. After that, the account can neither purchase nor start a test. A sitting that is open goes on. Revoking
    /// again changes nothing.
    async fn revoke_guardian_consent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token from the link: the text after `#token=`.", secret)] token: String,
        #[graphql(
            default,
            desc = "Whether to delete the account with all its data, as `deleteAccount` does. It cannot be undone."
        )]
        delete_account: bool,
    ) -> ApiResult<RevokeGuardianConsentPayload> {
        let revoked = guardian::revoke(ctx.services()?, &token, delete_account).await;
        Ok(match refused_or(revoked)? {
            Ok(outcome) => RevokeGuardianConsentPayload {
                revoked: true,
                account_deleted: outcome == RevokeOutcome::Deleted,
                user_errors: Vec::new(),
            },
            Err(refusal) => RevokeGuardianConsentPayload {
                revoked: false,
                account_deleted: false,
                user_errors: vec![deletion_error(refusal)?],
            },
        })
    }
}

fn request_error(refusal: &GuardianRequestRefusal) -> UserError {
    let (code, path): (_, &[&str]) = match refusal {
        GuardianRequestRefusal::BirthYearMissing => return ConsentRefusal::BirthYearMissing.into(),
        GuardianRequestRefusal::Inactive => (ErrorCode::AccountInactive, &[]),
        // Too many mails are a top-level error.
        GuardianRequestRefusal::NotNeeded
        | GuardianRequestRefusal::AlreadyGiven
        | GuardianRequestRefusal::TooMany(_) => (ErrorCode::GuardianConsentNotNeeded, &[]),
        GuardianRequestRefusal::Address => (ErrorCode::EmailInvalid, &["guardianEmail"]),
        GuardianRequestRefusal::RevokedByOther => (ErrorCode::GuardianConsentRevoked, &["guardianEmail"]),
    };
    UserError::field(code, refusal.to_string(), path)
}

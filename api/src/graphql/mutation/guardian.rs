//! The mutations that ask for, give and revoke the consent of a guardian.

use async_graphql::{Context, Object, SimpleObject};

use super::deletion::deletion_error;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{ErrorCode, UserError};
use jishu_service::account::LinkInvalid;
use jishu_service::guardian::{self, ConsentRefusal, GuardianRequestRefusal, RevokeOutcome};

/// The response to `requestGuardianConsent` and `giveGuardianConsent`.
#[derive(SimpleObject)]
pub(super) struct GuardianConsentPayload {
    /// Whether the server did what the mutation asks for.
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
    /// Whether the account of the minor was deleted.
    account_deleted: bool,
    /// The reasons why nothing was changed. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct GuardianMutation;

#[Object]
impl GuardianMutation {
    /// Sends a link to a parent or guardian of the signed-in user. With the link, the guardian can consent that the
    /// user purchases and sits tests. Earlier links that it sent stop working. The mail names the e-mail address of
    /// the account, which must be verified.
    async fn request_guardian_consent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The e-mail address of the parent or guardian.")] guardian_email: String,
    ) -> ApiResult<GuardianConsentPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let requested = guardian::request(services, ctx.client()?, viewer, &guardian_email).await;
        let outcome = match refused_or(requested)? {
            Ok(()) => Ok(()),
            Err(refusal) => Err(request_error(&refusal)?),
        };
        Ok(GuardianConsentPayload::new(outcome))
    }

    /// Gives the consent of a guardian with the link of `requestGuardianConsent`. Needs no sign-in. A second mail to
    /// the guardian says how to revoke the consent.
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

    /// Revokes the consent with the link in the second mail to the guardian, and deletes the account if `deleteAccount`
    /// is true. Needs no sign-in. If the account stays, it can neither purchase nor start a test afterwards, but an
    /// open sitting goes on. The link works more than once: until the guardian consents anew, the account is deleted or
    /// the user no longer needs a consent.
    async fn revoke_guardian_consent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token from the link: the text after `#token=`.", secret)] token: String,
        #[graphql(
            default,
            desc = "Whether to delete the account too, as the mutation `deleteAccount` does. A deletion cannot be undone."
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

/// Makes the user error for a request that was refused. Fails with a top-level error if too many requests came.
fn request_error(refusal: &GuardianRequestRefusal) -> ApiResult<UserError> {
    let message = refusal.to_string();
    let (code, path): (_, &[&str]) = match refusal {
        GuardianRequestRefusal::TooMany(wait) => return Err((*wait).into()),
        GuardianRequestRefusal::BirthYearMissing => return Ok(ConsentRefusal::BirthYearMissing.into()),
        GuardianRequestRefusal::Inactive => (ErrorCode::AccountInactive, &[]),
        GuardianRequestRefusal::EmailNotVerified => (ErrorCode::EmailNotVerified, &[]),
        GuardianRequestRefusal::NotNeeded | GuardianRequestRefusal::AlreadyGiven => {
            (ErrorCode::GuardianConsentNotNeeded, &[])
        }
        GuardianRequestRefusal::Address => (ErrorCode::EmailInvalid, &["guardianEmail"]),
        GuardianRequestRefusal::RevokedByOther => (ErrorCode::GuardianConsentRevoked, &["guardianEmail"]),
    };
    Ok(UserError::field(code, message, path))
}

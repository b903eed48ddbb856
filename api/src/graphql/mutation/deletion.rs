//! The mutations that delete an account.

use async_graphql::{Context, ID, Object, SimpleObject};
use graphql_engine::guarded_fields;
use jishu_entity::UserId;

use super::people::refused;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{ErrorCode, UserError};
use jishu_service::account::{self, Actor, Admin, AdministrationRefusal, DeletionRefusal};

/// The response to a mutation that deletes an account.
#[derive(SimpleObject)]
pub(super) struct DeleteAccountPayload {
    /// Whether the account was deleted.
    deleted: bool,
    /// The reasons why nothing was deleted. Empty on success.
    user_errors: Vec<UserError>,
}

/// The response to a request for a link that deletes an account.
#[derive(SimpleObject)]
pub(super) struct RequestAccountDeletionPayload {
    /// Whether the server sends a link to the address of the account.
    requested: bool,
    /// The reasons why the request was refused. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct DeletionMutation;

#[Object]
impl DeletionMutation {
    /// Deletes the account of the signed-in user for good. Open sittings end first. The server erases all data that
    /// names the person, and the answers, the cart and the sign-in sessions. Purchases, orders, refunds and the results
    /// of sittings stay, but without a name. Access tokens and subscriptions of the account stop working within
    /// seconds. Anybody can register with the e-mail address again. The account of the last active admin cannot be
    /// deleted.
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The current password. An account without a password uses `requestAccountDeletion` instead.",
            secret
        )]
        password: String,
    ) -> ApiResult<DeleteAccountPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let deleted = account::delete_own(services, ctx.client()?, viewer, &password).await;
        payload(refused_or(deleted)?.map(drop))
    }

    /// Sends a link to the e-mail address of the signed-in user. With the link, the user can delete the account without
    /// a password.
    async fn request_account_deletion(&self, ctx: &Context<'_>) -> ApiResult<RequestAccountDeletionPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let outcome = account::request_deletion(services, ctx.client()?, viewer).await;
        let user_errors = match refused_or(outcome)? {
            Ok(()) => Vec::new(),
            Err(refusal) => vec![deletion_error(refusal)?],
        };
        Ok(RequestAccountDeletionPayload { requested: user_errors.is_empty(), user_errors })
    }

    /// Deletes an account with the link of `requestAccountDeletion`, as `deleteAccount` does. Needs no sign-in.
    async fn confirm_account_deletion(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token from the link: the text after `#token=`.", secret)] token: String,
    ) -> ApiResult<DeleteAccountPayload> {
        payload(refused_or(account::confirm_deletion(ctx.services()?, &token).await)?.map(drop))
    }
}

#[derive(Default)]
pub(super) struct StaffDeletionMutation;

#[guarded_fields(requires_role)]
#[Object]
impl StaffDeletionMutation {
    /// Deletes the account of another user at the request of that user, as `deleteAccount` does. Only for ADMIN. A
    /// deletion cannot be undone. The account of the viewer and the account of the last active admin cannot be deleted.
    async fn delete_user(
        &self,
        ctx: &Context<'_>,
        #[guard] admin: Admin,
        #[graphql(desc = "The id of the account.")] user_id: ID,
    ) -> ApiResult<DeleteAccountPayload> {
        let deleted = match UserId::parse(&user_id) {
            Some(id) => account::delete_user(ctx.services()?, Actor::Admin(admin), id).await,
            None => Err(DeletionRefusal::from(AdministrationRefusal::UserNotFound).into()),
        };
        payload(refused_or(deleted)?.map(drop))
    }
}

fn payload(outcome: Result<(), DeletionRefusal>) -> ApiResult<DeleteAccountPayload> {
    let user_errors = match outcome {
        Ok(()) => Vec::new(),
        Err(refusal) => vec![deletion_error(refusal)?],
    };
    Ok(DeleteAccountPayload { deleted: user_errors.is_empty(), user_errors })
}

/// Makes the user error for a deletion that was refused. Fails with a top-level error if too many requests came, or if
/// the viewer has lost the role or was deactivated.
pub(super) fn deletion_error(refusal: DeletionRefusal) -> ApiResult<UserError> {
    let message = refusal.to_string();
    Ok(match refusal {
        DeletionRefusal::TooMany(wait) => return Err(wait.into()),
        DeletionRefusal::Administration(AdministrationRefusal::LastAdmin) => {
            UserError::field(ErrorCode::LastAdmin, message, &[])
        }
        DeletionRefusal::Administration(refusal) => return refused(&refusal),
        DeletionRefusal::Inactive => UserError::field(ErrorCode::AccountInactive, message, &[]),
        DeletionRefusal::WrongPassword => UserError::field(
            ErrorCode::InvalidCredentials,
            format!("{message} Correct it, or ask for a link with `requestAccountDeletion`."),
            &["password"],
        ),
        DeletionRefusal::Link(_) => UserError::field(ErrorCode::LinkInvalid, message, &["token"]),
    })
}

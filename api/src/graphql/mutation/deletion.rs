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

/// The response to a deletion.
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
    /// Whether a link is on its way to the address of the account.
    requested: bool,
    /// The reasons why the request was refused. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct DeletionMutation;

#[Object]
impl DeletionMutation {
    /// Deletes the account of the signed-in user for good. An open sitting ends first. Everything that names the person
    /// goes, with their answers, their cart and their sessions. Purchases and refunds stay in the books without a name.
    /// Access tokens and subscriptions of the account end within seconds. The e-mail address is free again. The last
    /// active admin cannot leave.
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The current password. An account without one uses `requestAccountDeletion` instead.",
            secret
        )]
        password: String,
    ) -> ApiResult<DeleteAccountPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let deleted = account::delete_own(services, ctx.client()?, viewer, &password).await;
        payload(refused_or(deleted)?.map(drop))
    }

    /// Sends a link to the address of the signed-in user with which they can delete their account without a password.
    async fn request_account_deletion(&self, ctx: &Context<'_>) -> ApiResult<RequestAccountDeletionPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let outcome = account::request_deletion(services, ctx.client()?, viewer).await;
        let user_errors = match refused_or(outcome)? {
            Ok(()) => Vec::new(),
            Err(refusal) => vec![deletion_error(refusal)?],
        };
        Ok(RequestAccountDeletionPayload { requested: user_errors.is_empty(), user_errors })
    }

    /// Deletes an account by the link of `requestAccountDeletion`, as `deleteAccount` does. Needs no sign-in.
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
    /// Deletes the account of another user at their request, as `deleteAccount` does. Only for ADMIN. It cannot be undone.
    /// The account of the viewer and the last active admin cannot be deleted.
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

/// Makes the error for a deletion that was refused.
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

//! The mutations with which staff change the role or the status of other accounts.

use async_graphql::{Context, ID, Object};
use graphql_engine::guarded_fields;
use jishu_entity::{UserId, user};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{ErrorCode, Role, UserError, UserPayload, UserStatus};
use jishu_service::account::{self, Actor, Admin, AdministrationRefusal, Support};

#[derive(Default)]
pub(super) struct PeopleMutation;

#[guarded_fields(requires_role)]
#[Object]
impl PeopleMutation {
    /// Gives an account another role. Only for ADMIN. The new role counts from the next field with `@requiresRole` that
    /// the account uses, on every node of the server. The account of the viewer and the account of the last active
    /// admin cannot be changed.
    async fn set_user_role(
        &self,
        ctx: &Context<'_>,
        #[guard] admin: Admin,
        #[graphql(desc = "The id of the account.")] user_id: ID,
        #[graphql(desc = "The new role.")] role: Role,
    ) -> ApiResult<UserPayload> {
        let services = ctx.services()?;
        let changed = match UserId::parse(&user_id) {
            Some(id) => {
                let (database, now) = (&services.database, services.clock.now());
                account::set_role(database, now, Actor::Admin(admin), id, role.into()).await
            }
            None => Err(AdministrationRefusal::UserNotFound.into()),
        };
        payload(refused_or(changed)?)
    }

    /// Deactivates an account, or activates it again. Only for SUPPORT and ADMIN. SUPPORT can change only accounts
    /// of learners. A deactivation ends all sessions of the account. Its refresh tokens stop working at once, and its
    /// access tokens and subscriptions within seconds, on every node of the server. The data of the account stays. The
    /// account of the viewer and the account of the last active admin cannot be deactivated.
    async fn set_user_status(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The id of the account.")] user_id: ID,
        #[graphql(desc = "The new status.")] status: UserStatus,
    ) -> ApiResult<UserPayload> {
        let changed = match UserId::parse(&user_id) {
            Some(id) => {
                account::set_status(ctx.services()?, Actor::Support(support), id, status.into()).await
            }
            None => Err(AdministrationRefusal::UserNotFound.into()),
        };
        payload(refused_or(changed)?)
    }
}

/// Makes the response to a mutation that changes the account of another user.
pub(super) fn payload(outcome: Result<user::Model, AdministrationRefusal>) -> ApiResult<UserPayload> {
    let outcome = match outcome {
        Ok(row) => Ok(row),
        Err(refusal) => Err(refused(&refusal)?),
    };
    Ok(UserPayload { outcome })
}

/// Makes the user error for a change of an account that was refused. If the viewer has lost the role or was deactivated
/// meanwhile, returns the top-level error `FORBIDDEN` instead.
pub(super) fn refused(refusal: &AdministrationRefusal) -> ApiResult<UserError> {
    if matches!(refusal, AdministrationRefusal::NotStaff(_)) {
        return Err(ApiError::Forbidden(
            "Your account was deactivated, or its role no longer allows this. Ask an admin.",
        ));
    }
    let code = match refusal {
        AdministrationRefusal::OwnAccount => ErrorCode::OwnAccount,
        AdministrationRefusal::AccountOfStaff => ErrorCode::UserIsStaff,
        AdministrationRefusal::LastAdmin => ErrorCode::LastAdmin,
        // Only `UserNotFound` reaches this arm. The function has already returned for `NotStaff`, and the API sets
        // neither passwords nor years of birth of other users.
        AdministrationRefusal::UserNotFound
        | AdministrationRefusal::NotStaff(_)
        | AdministrationRefusal::Password(_)
        | AdministrationRefusal::Field(_) => ErrorCode::UserNotFound,
    };
    let message = match refusal {
        AdministrationRefusal::UserNotFound => format!("{refusal} Take its id from `users`."),
        refusal => refusal.to_string(),
    };
    Ok(UserError::field(code, message, &["userId"]))
}

//! Permissions of staff: the check that a restricted field makes, and the directive that shows the required roles in
//! the schema.

use async_graphql::{Context, TypeDirective};
use jishu_service::Error;
use jishu_service::account::{Admin, Author, StaffRefusal, Support};

use super::context::ContextExt;
use super::error::{ApiError, ApiResult};
use super::types::Role;

/// Marks a field that only accounts with one of the roles in `anyOf` may use. Other accounts get the error `FORBIDDEN`.
#[TypeDirective(name = "requiresRole", location = "FieldDefinition")]
pub(super) fn requires_role(any_of: Vec<Role>) {}

/// A permission that a field can demand with `#[guard]`.
pub(super) trait Permission: Sized {
    /// Returns the permission of the viewer, whose role it reads from the database. Fails if nobody is signed in, if
    /// the role does not have the permission, or if the viewer must set up a second factor first.
    async fn check(ctx: &Context<'_>) -> ApiResult<Self>;

    /// Returns the roles that have the permission, for the directive of a field that demands it.
    fn directive_argument() -> Vec<Role>;
}

macro_rules! permissions {
    ($($permission:ident: $refusal:literal;)+) => {$(
        impl Permission for $permission {
            async fn check(ctx: &Context<'_>) -> ApiResult<Self> {
                let verified = Self::verify(ctx.services()?, ctx.require_viewer()?).await;
                verified.map_err(|error| forbidden(error, $refusal))
            }

            fn directive_argument() -> Vec<Role> {
                Self::ROLES.iter().copied().map(Role::from).collect()
            }
        }
    )+};
}

permissions! {
    Author: "This is only for authors and admins. Sign in with an account that has the role AUTHOR or ADMIN.";
    Support: "This is only for support and admins. Sign in with an account that has the role SUPPORT or ADMIN.";
    Admin: "This is only for admins. Sign in with an account that has the role ADMIN.";
}

/// Returns the permission of the viewer, or `None` if nobody is signed in or the role of the viewer does not have it.
/// Other errors of the check stay errors.
pub(super) async fn permission<P: Permission>(ctx: &Context<'_>) -> ApiResult<Option<P>> {
    match P::check(ctx).await {
        Ok(permission) => Ok(Some(permission)),
        Err(ApiError::Forbidden(_) | ApiError::Unauthenticated) => Ok(None),
        Err(error) => Err(error),
    }
}

fn forbidden(error: Error<StaffRefusal>, refusal: &'static str) -> ApiError {
    match error {
        Error::Refused(StaffRefusal::NotStaff(_)) => ApiError::Forbidden(refusal),
        Error::Refused(StaffRefusal::SecondFactorRequired) => ApiError::SecondFactorRequired,
        Error::Failed(fault) => fault.into(),
    }
}

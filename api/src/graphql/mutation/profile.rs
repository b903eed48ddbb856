//! The mutation with which users change their own account.

use async_graphql::{Context, InputObject, Object};

use super::account::invalid_field;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{ErrorCode, UserError, UserPayload};
use jishu_service::account::{self, ProfileChange, ProfileRefusal};

/// The changes of an account. A value that is not given stays the same.
#[derive(InputObject)]
pub(super) struct UpdateProfileInput {
    /// The new name: 1 to 200 characters.
    name: Option<String>,
    /// The new e-mail address, to which the server sends a link. The account keeps its old address until `verifyEmail`
    /// gets the token of the link.
    email: Option<String>,
    /// The current password. Required with a new `email`, so that a stolen access token cannot take over the account.
    #[graphql(secret)]
    current_password: Option<String>,
    /// The year of birth. It can be given once. Afterwards only the operator can correct it.
    birth_year: Option<i32>,
}

#[derive(Default)]
pub(super) struct ProfileMutation;

#[Object]
impl ProfileMutation {
    /// Changes the account of the signed-in user. A new name or year of birth is stored at once. For a new e-mail
    /// address, the server sends a link to the new address and a notice to the old address. `verifyEmail` with the
    /// token of the link then stores the new address.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateProfileInput,
    ) -> ApiResult<UserPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let UpdateProfileInput { name, email, current_password, birth_year } = input;
        let change = ProfileChange { name, email, current_password, birth_year };
        let updated = account::update_profile(services, ctx.client()?, viewer, change).await;
        let outcome = match refused_or(updated)? {
            Ok(row) => Ok(row),
            Err(ProfileRefusal::TooMany(wait)) => return Err(wait.into()),
            Err(ProfileRefusal::Invalid(field)) => Err(invalid_field(field, &["input"])),
            Err(refusal @ ProfileRefusal::Inactive) => {
                Err(UserError::field(ErrorCode::AccountInactive, refusal.to_string(), &[]))
            }
            Err(refusal @ ProfileRefusal::EmailTaken) => {
                Err(UserError::field(ErrorCode::EmailTaken, refusal.to_string(), &["input", "email"]))
            }
            Err(refusal @ ProfileRefusal::BirthYearFixed) => {
                let path = &["input", "birthYear"];
                Err(UserError::field(ErrorCode::BirthYearFixed, refusal.to_string(), path))
            }
            Err(refusal @ ProfileRefusal::WrongPassword) => {
                let message = format!("{refusal} Send it in `currentPassword` to change the e-mail address.");
                Err(UserError::field(ErrorCode::InvalidCredentials, message, &["input", "currentPassword"]))
            }
        };
        Ok(UserPayload { outcome })
    }
}

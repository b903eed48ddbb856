//! The response to a mutation that changes an account.

use async_graphql::Object;
use jishu_entity::user;

use super::User;
use super::user_error::{UserError, user_errors};

/// The response to a mutation that changes an account: the account, or the reason to refuse.
pub(in crate::graphql) struct UserPayload {
    pub(in crate::graphql) outcome: Result<user::Model, UserError>,
}

/// The response to a mutation that changes an account.
#[Object]
impl UserPayload {
    /// The account after the change. Null if the request was refused.
    async fn user(&self) -> Option<User> {
        self.outcome.as_ref().ok().map(|row| row.clone().into())
    }

    /// The reasons why nothing was changed. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

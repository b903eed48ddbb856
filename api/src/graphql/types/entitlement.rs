//! The GraphQL type `Entitlement`.

use async_graphql::{Context, Object};
use graphql_engine::plain_fields;
use jishu_entity::entitlement;

use super::{Purchase, Subject};
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::DateTime;

pub(in crate::graphql) struct Entitlement {
    row: entitlement::Model,
}

/// The right of a user to the tests of a subject.
#[plain_fields]
#[Object]
impl Entitlement {
    /// The subject to which the user has the right.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.row.subject_id).await
    }

    /// The purchase that gave this entitlement.
    async fn purchase(&self) -> Purchase {
        Purchase::lazy(self.row.user_id, self.row.purchase_id)
    }

    /// The time at which the entitlement began.
    async fn granted_at(&self) -> DateTime {
        DateTime(self.row.granted_at)
    }

    /// The time at which the entitlement expires. Null if it never expires. A refund can end the entitlement earlier.
    async fn expires_at(&self) -> Option<DateTime> {
        self.row.expires_at.map(DateTime)
    }
}

impl From<entitlement::Model> for Entitlement {
    fn from(row: entitlement::Model) -> Self {
        Self { row }
    }
}

//! Entitlements.

use async_graphql::{Context, Object};
use jishu_entity::entitlement;

use super::{Purchase, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::DateTime;

pub(in crate::graphql) struct Entitlement(pub(in crate::graphql) entitlement::Model);

/// The right of a user to the tests of a subject.
#[Object]
impl Entitlement {
    /// The subject.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Ok(Subject(ctx.services()?.catalog.subject(self.0.subject_id).await?))
    }

    /// The purchase that gave this entitlement.
    async fn purchase(&self) -> Purchase {
        Purchase::lazy(self.0.user_id, self.0.purchase_id)
    }

    /// The time at which the entitlement began.
    async fn granted_at(&self) -> DateTime {
        DateTime(self.0.granted_at)
    }

    /// The time at which the entitlement ends. Null if it never ends.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }
}

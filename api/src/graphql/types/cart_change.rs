//! Changes of the subjects in a cart.

use async_graphql::{Context, Enum, Object};
use jishu_service::cart_changes::{self, CartChangeKind as StoredKind};

use super::{Money, Subject, money};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};

/// The way in which a subject in a cart has changed since the user added it.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StoredKind")]
pub(in crate::graphql) enum CartChangeKind {
    /// The user bought or got the subject, and owns it now.
    Owned,
    /// The subject is no longer sold.
    Archived,
    /// The subject has another price now.
    PriceChanged,
}

pub(in crate::graphql) struct CartChange {
    change: cart_changes::CartChange,
}

/// A subject in a cart that has changed since the user added it.
#[Object]
impl CartChange {
    /// The subject that has changed.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.change.subject_id).await
    }

    /// The way in which the subject has changed. If several ways apply, the first of OWNED, ARCHIVED and PRICE_CHANGED
    /// that applies.
    async fn kind(&self) -> CartChangeKind {
        self.change.kind.into()
    }

    /// The price of the subject alone when the user added it. Null if the user added it before carts recorded prices.
    async fn price_when_added(&self, ctx: &Context<'_>) -> Nullable<Money> {
        match self.change.price_when_added {
            Some(minor) => Some(self.money(ctx, minor).await),
            None => None,
        }
    }

    /// The price of the subject alone now.
    async fn price(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        self.money(ctx, self.change.price).await
    }
}

impl CartChange {
    async fn money(&self, ctx: &Context<'_>, minor: i64) -> ApiResult<Money> {
        let catalog = &ctx.services()?.catalog;
        let subject = catalog.subject(self.change.subject_id).await?;
        let course = catalog.course(subject.course_id).await?;
        Ok(money(minor, &course.row.currency))
    }
}

impl From<cart_changes::CartChange> for CartChange {
    fn from(change: cart_changes::CartChange) -> Self {
        Self { change }
    }
}

//! Refunds.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, Object};
use graphql_engine::{PlainEnum, plain_fields};
use jishu_entity::{RefundId, refund, refund_line};

use super::{Money, Purchase, Subject, money};
use crate::graphql::access::visible_rows;
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::scalar::DateTime;
use jishu_service::refund as refunds;

/// The status of a refund.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "refund::RefundStatus")]
pub(in crate::graphql) enum RefundStatus {
    /// The access ended, and the money is on its way.
    Requested,
    /// The money was given back.
    Settled,
    /// The money could not be given back. The access stays ended. Support must settle the refund in another way.
    Failed,
}

pub(in crate::graphql) struct Refund {
    row: refund::Model,
}

/// A refund of a purchase, or of some of its subjects. It ends the access to these subjects. Their test cards stay
/// readable, and cannot be sat.
#[plain_fields]
#[Object]
impl Refund {
    /// The global id of the refund. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.row.id.global()
    }

    /// The purchase.
    async fn purchase(&self) -> Purchase {
        Purchase::lazy(self.row.user_id, self.row.purchase_id)
    }

    /// The amount that is given back, with the tax. It is 0 for subjects that were free.
    async fn amount(&self) -> Money {
        money(self.row.amount, &self.row.currency)
    }

    /// The part of `amount` that is tax. Null if the purchase recorded no tax.
    async fn tax(&self) -> Option<Money> {
        self.row.tax.map(|tax| money(tax, &self.row.currency))
    }

    /// The status of the refund.
    async fn status(&self) -> RefundStatus {
        self.row.status.into()
    }

    /// The reason, as support wrote it. The buyer can read it too.
    async fn reason(&self) -> &str {
        &self.row.reason
    }

    /// The time of the request, at which the access ended.
    async fn requested_at(&self) -> DateTime {
        DateTime(self.row.requested_at)
    }

    /// The time at which the money was given back. Null unless the status is SETTLED.
    async fn settled_at(&self) -> Option<DateTime> {
        self.row.settled_at.map(DateTime)
    }

    /// The refunded subjects, each with its amount. The amounts add up to `amount`.
    async fn lines(&self, ctx: &Context<'_>) -> ApiResult<Vec<RefundLine>> {
        let key = (self.row.user_id, self.row.purchase_id);
        let lines = ctx.loaders()?.refund_lines.load_one(key).await?.unwrap_or_default();
        let of_this = lines.into_iter().filter(|line| line.refund_id == self.row.id);
        Ok(of_this.map(|row| RefundLine { row, currency: self.row.currency.clone() }).collect())
    }
}

impl From<refund::Model> for Refund {
    fn from(row: refund::Model) -> Self {
        Self { row }
    }
}

pub(in crate::graphql) struct RefundLine {
    row: refund_line::Model,
    currency: String,
}

/// A subject in a refund.
#[plain_fields]
#[Object]
impl RefundLine {
    /// The subject.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.row.subject_id).await
    }

    /// The amount that is given back for the subject, with the tax.
    async fn amount(&self) -> Money {
        money(self.row.amount, &self.currency)
    }

    /// The part of `amount` that is tax. Null if the purchase recorded no tax.
    async fn tax(&self) -> Option<Money> {
        self.row.tax.map(|tax| money(tax, &self.currency))
    }
}

/// Finds the refunds with these ids that the viewer may see: those of their own purchases, and all for support.
pub(in crate::graphql) async fn visible_refunds(
    ctx: &Context<'_>,
    ids: Vec<RefundId>,
) -> ApiResult<HashMap<RefundId, refund::Model>> {
    let services = ctx.services()?;
    visible_rows(
        ctx,
        ids,
        async |viewer, ids| refunds::by_ids(services, viewer, ids).await,
        async |support, ids| refunds::by_ids_for_support(services, support, ids).await,
        |row| (row.id, row.user_id),
    )
    .await
}

//! The GraphQL types `Refund` and `RefundLine`.

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

/// The status of a refund of a purchase, or of a refund of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "refund::RefundStatus")]
pub(in crate::graphql) enum RefundStatus {
    /// The money is not back yet: the server must still send the refund, or the payment provider must still settle it.
    Requested,
    /// The money was given back to the buyer. If support refunds a purchase that was not paid at a payment provider,
    /// the refund has this status at once, and support gives the money back.
    Settled,
    /// The server did not give the money back with this refund, and does not try again by itself. For an order with the
    /// provider MANUAL, the server never tries, because support gives the money back by hand. If the order needs
    /// attention, support must decide about it. Otherwise, the money of the refund paid for the order, or went back in
    /// another way.
    Failed,
}

pub(in crate::graphql) struct Refund {
    row: refund::Model,
}

/// A refund of a purchase, or of some of its subjects. It ends the access to the refunded subjects. Their test cards
/// stay readable, but nobody can sit them.
#[plain_fields]
#[Object]
impl Refund {
    /// The global id of the refund. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.row.id.global()
    }

    /// The purchase to which the refunded subjects belong.
    async fn purchase(&self) -> Purchase {
        Purchase::lazy(self.row.user_id, self.row.purchase_id)
    }

    /// The amount that was paid for the refunded subjects and is given back, with the tax. It is 0 if the subjects were
    /// free.
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

    /// The reason for the refund. Support wrote the reason, or the server did if the money went back without a request
    /// of support. The buyer can read the reason too.
    async fn reason(&self) -> &str {
        &self.row.reason
    }

    /// The time at which the refund was requested. If the money went back without a request of support, the time at
    /// which the server learned of that. If the access to the subjects had not ended earlier, the access ended at this
    /// time.
    async fn requested_at(&self) -> DateTime {
        DateTime(self.row.requested_at)
    }

    /// The time at which the status became SETTLED. Null unless the status is SETTLED.
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

/// A refunded subject, with its amount.
#[plain_fields]
#[Object]
impl RefundLine {
    /// The subject that was refunded.
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

/// Finds the refunds with these ids that the viewer may see: those of the viewer's own purchases, and those of all
/// users if the viewer has the permission of support. Records each look at the account of another user.
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

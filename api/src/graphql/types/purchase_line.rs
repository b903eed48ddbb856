//! The GraphQL type `PurchaseLine`: a subject in a purchase.

use async_graphql::{Context, Enum, Object};
use chrono::Utc;
use graphql_engine::{PlainEnum, plain_fields};
use jishu_entity::entitlement::{self, EntitlementEnd};

use super::{Money, Subject, money};
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::DateTime;

/// The status of a subject in a purchase.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
pub(in crate::graphql) enum PurchaseLineStatus {
    /// The purchase gives access to the subject.
    Active,
    /// The term of the purchase is over, and the subject was not refunded.
    Expired,
    /// The subject was refunded, so the purchase no longer gives access to it. The `status` of the refund in
    /// `Purchase.refunds` says whether the money has gone back.
    Refunded,
}

pub(in crate::graphql) struct PurchaseLine {
    pub(super) row: entitlement::Model,
    pub(super) currency: String,
    pub(super) status: PurchaseLineStatus,
    /// The time at which the subject was refunded. None if the subject was not refunded, or if the time is not known.
    pub(super) refunded_at: Option<chrono::DateTime<Utc>>,
}

/// A subject in a purchase, with the amount that was paid for it.
#[plain_fields]
#[Object]
impl PurchaseLine {
    /// The subject that was bought.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.row.subject_id).await
    }

    /// The list price of the subject at the time of the purchase, which no offer reduces. It is without tax if
    /// `pricesIncludeTax` of the purchase is false. Null if the purchase did not record the list price.
    async fn list_price(&self) -> Option<Money> {
        self.row.list_price.map(|price| money(price, &self.currency))
    }

    /// The amount that was charged for the subject, with its share of the tax.
    async fn price(&self) -> Money {
        money(self.row.price_paid, &self.currency)
    }

    /// The part of `price` that is tax. Null if the purchase did not record the tax.
    async fn tax(&self) -> Option<Money> {
        self.row.tax.map(|tax| money(tax, &self.currency))
    }

    /// The number of test cards that the user got for the subject.
    async fn test_cards(&self) -> i32 {
        self.row.test_cards
    }

    /// The status of the subject in this purchase.
    async fn status(&self) -> PurchaseLineStatus {
        self.status
    }

    /// The time at which the subject was refunded. Null if it was not refunded, or if the time is not known.
    async fn refunded_at(&self) -> Option<DateTime> {
        self.refunded_at.map(DateTime)
    }
}

impl PurchaseLineStatus {
    /// Returns the status of an entitlement at `now`. A refunded entitlement is `Refunded` even if it had expired
    /// before the refund.
    pub(super) fn of(row: &entitlement::Model, is_refunded: bool, now: chrono::DateTime<Utc>) -> Self {
        if is_refunded || row.end_reason == Some(EntitlementEnd::Refunded) {
            Self::Refunded
        } else if row.is_live(now) {
            Self::Active
        } else {
            Self::Expired
        }
    }
}

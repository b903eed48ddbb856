//! The lines of a purchase's receipt.

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
    /// The subject can be used.
    Active,
    /// The term of the purchase is over.
    Expired,
    /// The subject was refunded.
    Refunded,
}

pub(in crate::graphql) struct PurchaseLine {
    pub(super) row: entitlement::Model,
    pub(super) currency: String,
    pub(super) status: PurchaseLineStatus,
    /// The time of the refund.
    pub(super) refunded_at: Option<chrono::DateTime<Utc>>,
}

/// A subject in a purchase, with what was paid for it.
#[plain_fields]
#[Object]
impl PurchaseLine {
    /// The subject.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.row.subject_id).await
    }

    /// The price in the catalogue without offers, at the time of the purchase. Null if the purchase did not record
    /// it.
    async fn list_price(&self) -> Option<Money> {
        self.row.list_price.map(|price| money(price, &self.currency))
    }

    /// The amount that was charged for the subject, with its share of the tax.
    async fn price(&self) -> Money {
        money(self.row.price_paid, &self.currency)
    }

    /// The part of `price` that is tax. Null if the purchase did not record it.
    async fn tax(&self) -> Option<Money> {
        self.row.tax.map(|tax| money(tax, &self.currency))
    }

    /// The number of test cards that the subject gave.
    async fn test_cards(&self) -> i32 {
        self.row.test_cards
    }

    /// The status of the subject.
    async fn status(&self) -> PurchaseLineStatus {
        self.status
    }

    /// The time at which the subject was refunded. Null if it was not.
    async fn refunded_at(&self) -> Option<DateTime> {
        self.refunded_at.map(DateTime)
    }
}

impl PurchaseLineStatus {
    /// Returns the status of an entitlement at `now`. An entitlement that had expired can be refunded later.
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

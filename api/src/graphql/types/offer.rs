//! Offers: reduced prices of subjects for a time.

use async_graphql::SimpleObject;
use graphql_engine::PlainObject;
use jishu_entity::subject;

use super::{Money, money};
use crate::graphql::scalar::DateTime;

/// A reduced price of a subject, which applies from `startsAt` until `endsAt`. `Subject.price` is the price that
/// applies now.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct Offer {
    /// The price of the subject alone while the offer applies.
    price: Money,
    /// The time from which the offer applies. Null if the author set no start.
    starts_at: Option<DateTime>,
    /// The time at which the offer ends: at this time it no longer applies. Null if the author set no end.
    ends_at: Option<DateTime>,
}

impl Offer {
    /// Returns the offer that is set for a subject, or None. `currency` is the currency of the subject's prices.
    pub(super) fn of(row: &subject::Model, currency: &str) -> Option<Self> {
        row.offer_price.map(|minor| Self {
            price: money(minor, currency),
            starts_at: row.offer_starts_at.map(DateTime),
            ends_at: row.offer_ends_at.map(DateTime),
        })
    }
}

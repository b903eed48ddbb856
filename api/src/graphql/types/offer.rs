//! Offers: reduced prices of subjects for a time.

use async_graphql::SimpleObject;
use graphql_engine::PlainObject;
use jishu_entity::subject;

use super::{Money, money};
use crate::graphql::scalar::DateTime;

/// A reduced price of a subject. It counts from its start to its end. `Subject.price` is the price now.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct Offer {
    /// The price of the subject alone during the offer.
    price: Money,
    /// The first moment of the offer. Null if the offer has no start.
    starts_at: Option<DateTime>,
    /// The first moment after the offer. Null if the offer has no end.
    ends_at: Option<DateTime>,
}

impl Offer {
    /// Returns the offer of a subject whose prices are in this currency.
    pub(super) fn of(row: &subject::Model, currency: &str) -> Option<Self> {
        row.offer_price.map(|minor| Self {
            price: money(minor, currency),
            starts_at: row.offer_starts_at.map(DateTime),
            ends_at: row.offer_ends_at.map(DateTime),
        })
    }
}

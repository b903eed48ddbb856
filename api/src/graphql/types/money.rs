//! Amounts of money in the API.

use async_graphql::SimpleObject;
use graphql_engine::PlainObject;

use crate::graphql::scalar::Decimal;
use jishu_service::money;

/// An amount of money.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct Money {
    /// The amount in major units, with the decimal places of the currency: "199.00".
    amount: Decimal,
    /// The currency as an ISO 4217 code: "INR".
    currency: String,
}

/// Converts an amount in minor units.
pub(in crate::graphql) fn money(minor: i64, currency: &str) -> Money {
    let money = money::Money::new(minor, currency);
    Money { amount: Decimal(money.amount()), currency: money.currency }
}

//! Amounts of money in the API.

use async_graphql::SimpleObject;
use graphql_engine::PlainObject;

use crate::graphql::scalar::Decimal;
use jishu_service::money;

/// An amount of money.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct Money {
    /// The amount in major units of the currency, with all its decimal places, such as "199.00".
    amount: Decimal,
    /// The currency as an ISO 4217 code, such as "INR".
    currency: String,
}

/// Makes an amount of money from a number of minor units, such as paise, and an ISO 4217 code.
pub(in crate::graphql) fn money(minor: i64, currency: &str) -> Money {
    let money = money::Money::new(minor, currency);
    Money { amount: Decimal(money.amount()), currency: money.currency }
}

//! Money on the wire.

use async_graphql::SimpleObject;

use crate::graphql::scalar::Decimal;
use jishu_service::money;

/// An amount of money.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Money {
    /// In major units, with the decimal places of the currency: "199.00".
    amount: Decimal,
    /// ISO 4217: "INR".
    currency: String,
}

/// An amount in minor units, as the wire has it.
pub(in crate::graphql) fn money(minor: i64, currency: &str) -> Money {
    let money = money::Money::new(minor, currency);
    Money { amount: Decimal(money.amount()), currency: money.currency }
}

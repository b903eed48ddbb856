//! Quotes: the price of a purchase before it is made.

use async_graphql::{Context, Object};

use super::{Course, Money, Subject, money};
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::Decimal;
use jishu_service::pricing;

pub(in crate::graphql) struct PurchaseQuote {
    quote: pricing::Quote,
}

/// The price of a purchase now.
#[Object]
impl PurchaseQuote {
    /// The course of the subjects.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Course::load(ctx, self.quote.course_id).await
    }

    /// The subjects that the purchase would buy. Empty if the user owns all of them.
    async fn lines(&self) -> Vec<QuoteLine> {
        let line = |line: &pricing::QuoteLine| QuoteLine {
            line: line.clone(),
            currency: self.quote.currency.clone(),
        };
        self.quote.lines.iter().map(line).collect()
    }

    /// The requested subjects that the user already owns. They are not charged again.
    async fn already_owned(&self, ctx: &Context<'_>) -> ApiResult<Vec<Subject>> {
        Subject::load_all(ctx, self.quote.already_owned.iter().copied()).await
    }

    /// The sum of the list prices of the lines. It is without tax if `pricesIncludeTax` is false.
    async fn subtotal(&self) -> Money {
        money(self.quote.subtotal, &self.quote.currency)
    }

    /// The reduction by offers and by the bundle.
    async fn discount(&self) -> Money {
        money(self.quote.discount, &self.quote.currency)
    }

    /// The tax, which is part of the total. It is rounded half up to the smallest unit of the currency.
    async fn tax(&self) -> Money {
        money(self.quote.tax, &self.quote.currency)
    }

    /// The name of the tax, such as "GST".
    async fn tax_label(&self) -> &str {
        &self.quote.tax_policy.label
    }

    /// The rate of the tax in percent: "18.00".
    async fn tax_percent(&self) -> Decimal {
        Decimal::of_hundredths(self.quote.tax_policy.rate.basis_points())
    }

    /// Whether the prices of the catalogue include the tax. Then the total is `subtotal` minus `discount`. Otherwise it
    /// is `subtotal` minus `discount` plus `tax`.
    async fn prices_include_tax(&self) -> bool {
        self.quote.tax_policy.is_included
    }

    /// The amount that the purchase would charge, with the tax. Send it as `cost` with the purchase.
    async fn total(&self) -> Money {
        money(self.quote.total, &self.quote.currency)
    }

    /// The number of test cards that the purchase would create.
    async fn test_cards(&self) -> i64 {
        self.quote.test_cards()
    }
}

impl From<pricing::Quote> for PurchaseQuote {
    fn from(quote: pricing::Quote) -> Self {
        Self { quote }
    }
}

pub(in crate::graphql) struct QuoteLine {
    line: pricing::QuoteLine,
    currency: String,
}

/// A subject in a quote.
#[Object]
impl QuoteLine {
    /// The subject.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.line.subject_id).await
    }

    /// The price in the catalogue without offers. It is without tax if `pricesIncludeTax` is false.
    async fn list_price(&self) -> Money {
        money(self.line.list_price, &self.currency)
    }

    /// The amount that is charged for the subject, with its share of the tax. In a bundle, it is the subject's share of
    /// the bundle price. The prices of the lines add up to the total.
    async fn price(&self) -> Money {
        money(self.line.price, &self.currency)
    }

    /// The part of `price` that is tax. The taxes of the lines add up to the tax of the quote.
    async fn tax(&self) -> Money {
        money(self.line.tax, &self.currency)
    }

    /// The number of test cards that the subject gives.
    async fn test_cards(&self) -> i32 {
        self.line.test_cards
    }
}

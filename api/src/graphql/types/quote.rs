//! Quotes: the price of a purchase before it is made.

use async_graphql::{Context, Object};

use super::{Course, Money, Subject, money};
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::Decimal;
use jishu_service::pricing;

pub(in crate::graphql) struct PurchaseQuote {
    quote: pricing::Quote,
}

/// The price that a purchase of some subjects of one course would have now.
#[Object]
impl PurchaseQuote {
    /// The course to which the subjects of the quote belong.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Course::load(ctx, self.quote.course_id).await
    }

    /// The subjects that the purchase would buy. Empty if the user owns all requested subjects.
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

    /// The sum of the list prices in `lines`. It is without tax if `pricesIncludeTax` is false.
    async fn subtotal(&self) -> Money {
        money(self.quote.subtotal, &self.quote.currency)
    }

    /// The amount by which offers and the bundle price reduce `subtotal`.
    async fn discount(&self) -> Money {
        money(self.quote.discount, &self.quote.currency)
    }

    /// The part of `total` that is tax. It is rounded half up to the smallest unit of the currency.
    async fn tax(&self) -> Money {
        money(self.quote.tax, &self.quote.currency)
    }

    /// The name of the tax, such as "GST".
    async fn tax_label(&self) -> &str {
        &self.quote.tax_policy.label
    }

    /// The rate of the tax in percent, such as "18.00".
    async fn tax_percent(&self) -> Decimal {
        Decimal::of_hundredths(self.quote.tax_policy.rate.basis_points())
    }

    /// Whether the prices of the catalogue include the tax. If true, `total` is `subtotal` minus `discount`. If false,
    /// `total` is `subtotal` minus `discount` plus `tax`.
    async fn prices_include_tax(&self) -> bool {
        self.quote.tax_policy.is_included
    }

    /// The amount that the purchase would charge, with the tax. Send `total.amount` as `cost` with `purchase` or
    /// `checkout`.
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

/// A subject in a quote, with its price.
#[Object]
impl QuoteLine {
    /// The subject that the purchase would buy.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.line.subject_id).await
    }

    /// The list price of the subject, which no offer reduces. It is without tax if `pricesIncludeTax` of the quote is
    /// false.
    async fn list_price(&self) -> Money {
        money(self.line.list_price, &self.currency)
    }

    /// The amount that the purchase would charge for the subject, with its share of the tax. In a bundle, it is the
    /// subject's share of the bundle price. The prices of all lines add up to `total` of the quote.
    async fn price(&self) -> Money {
        money(self.line.price, &self.currency)
    }

    /// The part of `price` that is tax. The taxes of all lines add up to `tax` of the quote.
    async fn tax(&self) -> Money {
        money(self.line.tax, &self.currency)
    }

    /// The number of test cards that the user would get for the subject.
    async fn test_cards(&self) -> i32 {
        self.line.test_cards
    }
}

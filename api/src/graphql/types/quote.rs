//! Quotes: the price of a purchase before it is made.

use async_graphql::{Context, Object};

use super::{Course, Money, Subject, money};
use crate::graphql::error::ApiResult;
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

    /// The sum of the list prices of the lines.
    async fn subtotal(&self) -> Money {
        money(self.quote.subtotal, &self.quote.currency)
    }

    /// The reduction by offers and by the bundle.
    async fn discount(&self) -> Money {
        money(self.quote.discount, &self.quote.currency)
    }

    /// The tax that is included in the total.
    async fn tax(&self) -> Money {
        money(self.quote.tax, &self.quote.currency)
    }

    /// The amount that the purchase would charge. Send it as `cost` with the purchase.
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

    /// The price without offers.
    async fn list_price(&self) -> Money {
        money(self.line.list_price, &self.currency)
    }

    /// The price in this purchase. In a bundle, it is the subject's share of the bundle price.
    async fn price(&self) -> Money {
        money(self.line.price, &self.currency)
    }

    /// The number of test cards that the subject gives.
    async fn test_cards(&self) -> i32 {
        self.line.test_cards
    }
}

//! What a purchase would cost.

use async_graphql::{Context, Object};

use super::{Course, Money, Subject, money};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use jishu_service::pricing;

pub(in crate::graphql) struct PurchaseQuote(pub(in crate::graphql) pricing::Quote);

/// What a purchase of some subjects costs at this moment.
#[Object]
impl PurchaseQuote {
    /// The course of all its subjects.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Ok(Course(ctx.services()?.catalog.course(self.0.course_id).await?))
    }

    /// What would be bought; empty when everything is owned.
    async fn lines(&self) -> Vec<QuoteLine> {
        let line =
            |line: &pricing::QuoteLine| QuoteLine { line: line.clone(), currency: self.0.currency.clone() };
        self.0.lines.iter().map(line).collect()
    }

    /// What was asked for and is owned already; it is not charged again.
    async fn already_owned(&self, ctx: &Context<'_>) -> ApiResult<Vec<Subject>> {
        let catalog = &ctx.services()?.catalog;
        let mut subjects = Vec::with_capacity(self.0.already_owned.len());
        for id in &self.0.already_owned {
            subjects.push(Subject(catalog.subject(*id).await?));
        }
        Ok(subjects)
    }

    /// The list prices of the lines together.
    async fn subtotal(&self) -> Money {
        money(self.0.subtotal, &self.0.currency)
    }

    /// What offers and the bundle take off.
    async fn discount(&self) -> Money {
        money(self.0.discount, &self.0.currency)
    }

    /// The part of the total that is tax; prices include it.
    async fn tax(&self) -> Money {
        money(self.0.tax, &self.0.currency)
    }

    /// What would be charged: the `cost` to send with the purchase.
    async fn total(&self) -> Money {
        money(self.0.total, &self.0.currency)
    }

    /// How many test cards the purchase would create.
    async fn test_cards(&self) -> i64 {
        self.0.test_cards()
    }
}

pub(in crate::graphql) struct QuoteLine {
    line: pricing::QuoteLine,
    currency: String,
}

/// One subject of a quote.
#[Object]
impl QuoteLine {
    /// The subject.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Ok(Subject(ctx.services()?.catalog.subject(self.line.subject_id).await?))
    }

    /// Its price without offers.
    async fn list_price(&self) -> Money {
        money(self.line.list_price, &self.currency)
    }

    /// What it costs in this purchase; in a bundle, its share of the bundle's price.
    async fn price(&self) -> Money {
        money(self.line.price, &self.currency)
    }

    /// How many test cards it gives.
    async fn test_cards(&self) -> i32 {
        self.line.test_cards
    }
}

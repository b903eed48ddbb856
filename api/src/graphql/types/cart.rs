//! The cart.

use async_graphql::{Context, Object};
use jishu_entity::UserId;

use super::{PurchaseQuote, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use jishu_service::cart;

pub(in crate::graphql) struct Cart(pub(in crate::graphql) UserId);

/// Subjects that a user has set aside to buy, kept on the server.
#[Object]
impl Cart {
    /// What is in it, in the order it was put there.
    async fn subjects(&self, ctx: &Context<'_>) -> ApiResult<Vec<Subject>> {
        let services = ctx.services()?;
        let mut subjects = Vec::new();
        for id in cart::subjects(services, self.0).await? {
            subjects.push(Subject(services.catalog.subject(id).await?));
        }
        Ok(subjects)
    }

    /// How many subjects are in it.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(cart::count(ctx.services()?, self.0).await?)
    }

    /// What it costs at this moment: a quote for each course in it, since a purchase is of one course.
    async fn quotes(&self, ctx: &Context<'_>) -> ApiResult<Vec<PurchaseQuote>> {
        let quotes = cart::quotes(ctx.services()?, self.0).await?;
        Ok(quotes.into_iter().map(PurchaseQuote).collect())
    }
}

//! The GraphQL type `Cart`.

use async_graphql::{Context, Object};
use jishu_entity::UserId;

use super::cart_change::CartChange;
use super::{PurchaseQuote, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use jishu_service::{cart, cart_changes};

pub(in crate::graphql) struct Cart {
    owner: UserId,
}

/// The subjects that a user plans to buy. The server stores the cart, so that it follows the user to other devices.
#[Object]
impl Cart {
    /// The subjects in the cart, in the order in which the user added them.
    async fn subjects(&self, ctx: &Context<'_>) -> ApiResult<Vec<Subject>> {
        Subject::load_all(ctx, cart::subjects(ctx.services()?, self.owner).await?).await
    }

    /// The number of subjects in the cart.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(cart::count(ctx.services()?, self.owner).await?)
    }

    /// The subjects in the cart that have changed since the user added them, in the order in which the user added them.
    /// Show them before the purchase. To accept a new price, remove the subject and add it again.
    async fn changes(&self, ctx: &Context<'_>) -> ApiResult<Vec<CartChange>> {
        let changes = cart_changes::changes(ctx.services()?, self.owner).await?;
        Ok(changes.into_iter().map(CartChange::from).collect())
    }

    /// The price of the subjects in the cart now. There is one quote for each course, because a purchase covers one
    /// course. Subjects that are no longer sold are left out.
    async fn quotes(&self, ctx: &Context<'_>) -> ApiResult<Vec<PurchaseQuote>> {
        let quotes = cart::quotes(ctx.services()?, self.owner).await?;
        Ok(quotes.into_iter().map(PurchaseQuote::from).collect())
    }
}

impl Cart {
    /// Makes the cart of a user. Reads nothing: each field reads the database itself.
    pub(in crate::graphql) fn of(owner: UserId) -> Self {
        Self { owner }
    }
}

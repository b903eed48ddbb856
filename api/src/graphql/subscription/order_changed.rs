//! The subscription `orderChanged`.

use async_graphql::{Context, ID, Subscription};
use futures_util::{Stream, StreamExt};
use jishu_entity::OrderId;

use super::start_signal::signal_start;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::types::Order;
use jishu_service::order;

#[derive(Default)]
pub(in crate::graphql) struct OrderChanged;

#[Subscription]
impl OrderChanged {
    /// Sends an order of the viewer each time the order is made or changes. When the status of the order is GRANTED,
    /// `purchase` has the test cards. Changes on other nodes of the server arrive within a second. Changes of an order
    /// that follow each other closely arrive as one event with the latest state. To miss no change, subscribe first,
    /// and then read the order.
    async fn order_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only the order with this id. If not given, all orders of the viewer.")]
        order_id: Option<ID>,
    ) -> Result<impl Stream<Item = ApiResult<Order>>, ApiError> {
        let viewer = ctx.require_viewer()?;
        let services = ctx.services()?;
        let no_such_order =
            || ApiError::bad_input("There is no such order. Take `orderId` from `viewer.orders`.");
        let order = match order_id {
            Some(id) => {
                let id = OrderId::parse(&id).ok_or_else(no_such_order)?;
                if order::by_ids(services, viewer.user_id, vec![id]).await?.is_empty() {
                    return Err(no_such_order());
                }
                Some(id)
            }
            None => None,
        };
        let changes = order::changes(services, viewer.user_id, order).await?;
        signal_start(ctx);
        Ok(changes.map(|order| order.map(Order::from).map_err(ApiError::from)))
    }
}

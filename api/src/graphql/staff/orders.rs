//! The query `orders`, which reads orders of all users.

use async_graphql::{Context, ID, Object};
use graphql_engine::{guarded_fields, page_arguments};
use jishu_entity::UserId;

use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::PageArgs;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{OrderConnection, OrderStatus, all_orders_page};
use jishu_service::account::Support;
use jishu_service::order::OrderFilter;

/// The maximum number of characters of a receipt number in the filter. Characters after them are ignored.
const MAX_RECEIPT_CHARS: usize = 40;

/// The query `orders`, which reads orders of all users.
#[derive(Default)]
pub(in crate::graphql) struct OrderQuery;

#[page_arguments]
#[guarded_fields(requires_role)]
#[Object]
impl OrderQuery {
    /// The orders of all users, newest first. Only for SUPPORT and ADMIN. The audit trail records each use that reads
    /// orders.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection and four filters")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[page] page: PageArgs,
        #[graphql(desc = "Only orders of this user.")] user_id: Option<ID>,
        #[graphql(desc = "Only orders with this status.")] status: Option<OrderStatus>,
        #[graphql(desc = "Only the order with this receipt number. Case does not matter.")]
        receipt_number: Option<String>,
        #[graphql(
            desc = "True for only the orders whose payment the buyer's bank disputes, false for all orders.",
            default
        )]
        disputed: bool,
    ) -> ApiResult<OrderConnection> {
        let buyer = user_id.map(|id| {
            UserId::parse(&id).ok_or_else(|| {
                ApiError::bad_input("`userId` is not the id of a User. Take ids from responses.")
            })
        });
        // Receipt numbers are in capital letters, and never longer than `MAX_RECEIPT_CHARS`. PostgreSQL refuses text
        // with a NUL character.
        let receipt_number = receipt_number.map(|text| {
            text.trim().to_uppercase().replace('\0', "").chars().take(MAX_RECEIPT_CHARS).collect()
        });
        let filter = OrderFilter {
            buyer: buyer.transpose()?,
            state: status.map(Into::into),
            receipt_number,
            is_disputed: disputed,
        };
        all_orders_page(ctx, support, filter, page).await
    }
}

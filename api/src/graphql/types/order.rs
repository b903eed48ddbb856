//! Orders and lists of them.

use std::collections::HashMap;

use async_graphql::{Context, ID, Object};
use graphql_engine::{guarded_fields, plain_fields};
use jishu_entity::{OrderId, order};

use super::order_money::{OrderRefund, PaymentEvent};
use super::order_status::{OrderProvider, OrderStatus, OrderStatusReason};
use super::purchase::PurchaseType;
use super::{Course, Money, Purchase, Subject, User, money};
use crate::graphql::access::{record_look, visible_rows};
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::{DateTime, Decimal};
use jishu_entity::order_line;
use jishu_service::account::Support;
use jishu_service::order::{self as orders, OrderFilter};
use jishu_service::page::Page;
use jishu_service::people::{self, Look};
use jishu_service::pricing;

pub(in crate::graphql) struct Order {
    row: order::Model,
}

/// The agreement of a buyer to pay a price, with its payments and its status.
#[guarded_fields(requires_role)]
#[plain_fields]
#[Object]
impl Order {
    /// The global id of the order. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.row.id.global()
    }

    /// The number on the receipt. It is also the reference at the payment provider.
    async fn receipt_number(&self) -> &str {
        &self.row.receipt_number
    }

    /// The buyer.
    async fn user(&self) -> User {
        User::lazy(self.row.user_id)
    }

    /// The status of the order.
    async fn status(&self) -> OrderStatus {
        self.row.state.into()
    }

    /// The reason of the status. Null if the status needs none.
    async fn status_reason(&self) -> Option<OrderStatusReason> {
        self.row.reason.map(Into::into)
    }

    /// The way in which the order is paid.
    async fn provider(&self) -> OrderProvider {
        self.row.provider.into()
    }

    /// The way in which the subjects were chosen.
    async fn purchase_type(&self) -> PurchaseType {
        self.row.purchase_type.into()
    }

    /// The course of the subjects.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Course::load(ctx, self.row.course_id).await
    }

    /// The subjects, each with its price. The prices add up to `total`.
    async fn lines(&self, ctx: &Context<'_>) -> ApiResult<Vec<OrderLine>> {
        let lines = ctx.loaders()?.order_lines.load_one((self.row.user_id, self.row.id)).await?;
        let line = |row| OrderLine { row, currency: self.row.currency.clone() };
        Ok(lines.unwrap_or_default().into_iter().map(line).collect())
    }

    /// The sum of the list prices. It is without tax if `pricesIncludeTax` is false.
    async fn subtotal(&self) -> Money {
        money(self.row.subtotal, &self.row.currency)
    }

    /// The reduction by offers and by the bundle.
    async fn discount(&self) -> Money {
        let order::Model { subtotal, amount, tax, is_tax_included, .. } = self.row;
        money(pricing::discount(subtotal, amount, tax, is_tax_included), &self.row.currency)
    }

    /// The part of `total` that is tax.
    async fn tax(&self) -> Money {
        money(self.row.tax, &self.row.currency)
    }

    /// The name of the tax, such as "GST".
    async fn tax_label(&self) -> &str {
        &self.row.tax_label
    }

    /// The rate of the tax in percent: "18.00".
    async fn tax_percent(&self) -> Decimal {
        Decimal::of_hundredths(self.row.tax_basis_points)
    }

    /// Whether the prices of the catalogue included the tax.
    async fn prices_include_tax(&self) -> bool {
        self.row.is_tax_included
    }

    /// The amount to pay, with the tax.
    async fn total(&self) -> Money {
        money(self.row.amount, &self.row.currency)
    }

    /// The time of the order.
    async fn created_at(&self) -> DateTime {
        DateTime(self.row.created_at)
    }

    /// The time until which the order can be paid at its price.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.row.expires_at)
    }

    /// The time at which the server learned of the payment. Null before it.
    async fn paid_at(&self) -> Option<DateTime> {
        self.row.paid_at.map(DateTime)
    }

    /// The purchase with the test cards. Null until the order is granted. After a refund it stays, as a refunded purchase.
    async fn purchase(&self) -> Option<Purchase> {
        self.row.purchase_id.map(|purchase| Purchase::lazy(self.row.user_id, purchase))
    }

    /// Money of the order that goes back, oldest first.
    async fn refunds(&self, ctx: &Context<'_>) -> ApiResult<Vec<OrderRefund>> {
        let refunds = ctx.loaders()?.order_refunds.load_one((self.row.user_id, self.row.id)).await?;
        Ok(refunds.unwrap_or_default().into_iter().map(OrderRefund::from).collect())
    }

    /// The time since which the buyer's bank disputes the payment. Null if it does not. Until the dispute is over, nothing
    /// can be refunded.
    async fn disputed_at(&self) -> Option<DateTime> {
        self.row.disputed_at.map(DateTime)
    }

    /// All that is known about the money of the order, oldest first. Only for SUPPORT and ADMIN.
    async fn payment_events(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
    ) -> ApiResult<Vec<PaymentEvent>> {
        let events = orders::events(ctx.services()?, support, self.row.id).await?;
        Ok(events.into_iter().map(PaymentEvent::from).collect())
    }
}

impl From<order::Model> for Order {
    fn from(row: order::Model) -> Self {
        Self { row }
    }
}

pub(in crate::graphql) struct OrderLine {
    row: order_line::Model,
    currency: String,
}

/// A subject in an order.
#[plain_fields]
#[Object]
impl OrderLine {
    /// The subject.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.row.subject_id).await
    }

    /// The price in the catalogue without offers, at the time of the order.
    async fn list_price(&self) -> Money {
        money(self.row.list_price, &self.currency)
    }

    /// The amount for the subject, with its share of the tax.
    async fn price(&self) -> Money {
        money(self.row.price, &self.currency)
    }

    /// The part of `price` that is tax.
    async fn tax(&self) -> Money {
        money(self.row.tax, &self.currency)
    }

    /// The number of test cards that the subject gives.
    async fn test_cards(&self) -> i32 {
        self.row.test_cards
    }
}

impl ListNode for Order {
    const NAME: &'static str = "Order";
}

pub(in crate::graphql) type OrderConnection = Connection<Order, OrderTotal>;

pub(in crate::graphql) enum OrderTotal {
    OfUser(jishu_entity::UserId),
    All(Support, OrderFilter),
}

#[Object]
impl OrderTotal {
    /// The total number of items. Counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        let services = ctx.services()?;
        Ok(match self {
            Self::OfUser(owner) => orders::count(services, *owner).await?,
            Self::All(support, filter) => orders::count_all(services, *support, filter).await?,
        })
    }
}

/// Reads a page of the orders of `owner`, newest first.
pub(in crate::graphql) async fn order_page(
    ctx: &Context<'_>,
    owner: jishu_entity::UserId,
    args: PageArgs,
) -> ApiResult<OrderConnection> {
    let request = args.request(ctx, "Order")?;
    let page = if wants_rows(ctx) {
        orders::page(ctx.services()?, owner, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    Ok(connect("Order", page, |row| row.id.0, Order::from, OrderTotal::OfUser(owner)))
}

/// Reads a page of the orders of all users, newest first. If the query asks for rows, the audit log records who
/// read them.
pub(in crate::graphql) async fn all_orders_page(
    ctx: &Context<'_>,
    support: Support,
    filter: OrderFilter,
    args: PageArgs,
) -> ApiResult<OrderConnection> {
    let services = ctx.services()?;
    let request = args.request(ctx, "Order")?;
    let page = if wants_rows(ctx) {
        match filter.buyer {
            Some(buyer) => record_look(ctx, support, buyer).await?,
            None => people::record(services, support, Look::List).await?,
        }
        orders::page_of_all(services, support, &filter, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    Ok(connect("Order", page, |row| row.id.0, Order::from, OrderTotal::All(support, filter)))
}

/// Finds the orders with these ids that the viewer may see: their own, and all for support.
pub(in crate::graphql) async fn visible_orders(
    ctx: &Context<'_>,
    ids: Vec<OrderId>,
) -> ApiResult<HashMap<OrderId, order::Model>> {
    let services = ctx.services()?;
    visible_rows(
        ctx,
        ids,
        async |viewer, ids| orders::by_ids(services, viewer, ids).await,
        async |support, ids| orders::by_ids_for_support(services, support, ids).await,
        |row| (row.id, row.user_id),
    )
    .await
}

//! The GraphQL types `Order` and `OrderLine`, and connections of orders.

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

/// The agreement of a buyer to pay a price for subjects of one course, with its payments and its status.
#[guarded_fields(requires_role)]
#[plain_fields]
#[Object]
impl Order {
    /// The global id of the order. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.row.id.global()
    }

    /// The number on the receipt of the order. The payment provider gets it as the reference of the order.
    async fn receipt_number(&self) -> &str {
        &self.row.receipt_number
    }

    /// The user who made the order.
    async fn user(&self) -> User {
        User::lazy(self.row.user_id)
    }

    /// The status of the order.
    async fn status(&self) -> OrderStatus {
        self.row.state.into()
    }

    /// The reason why the order has its status. If the status is GRANTED, the reason why some subjects were not
    /// granted. Null if the status needs no reason.
    async fn status_reason(&self) -> Option<OrderStatusReason> {
        self.row.reason.map(Into::into)
    }

    /// The way in which the order is paid.
    async fn provider(&self) -> OrderProvider {
        self.row.provider.into()
    }

    /// The way in which the buyer chose the subjects.
    async fn purchase_type(&self) -> PurchaseType {
        self.row.purchase_type.into()
    }

    /// The course to which the subjects of the order belong.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Course::load(ctx, self.row.course_id).await
    }

    /// The subjects of the order, each with its price. The prices add up to `total`.
    async fn lines(&self, ctx: &Context<'_>) -> ApiResult<Vec<OrderLine>> {
        let lines = ctx.loaders()?.order_lines.load_one((self.row.user_id, self.row.id)).await?;
        let line = |row| OrderLine { row, currency: self.row.currency.clone() };
        Ok(lines.unwrap_or_default().into_iter().map(line).collect())
    }

    /// The sum of the list prices of the subjects. It is without tax if `pricesIncludeTax` is false.
    async fn subtotal(&self) -> Money {
        money(self.row.subtotal, &self.row.currency)
    }

    /// The amount by which offers and the bundle price reduce `subtotal`.
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

    /// The rate of the tax in percent, such as "18.00".
    async fn tax_percent(&self) -> Decimal {
        Decimal::of_hundredths(self.row.tax_basis_points)
    }

    /// Whether the prices of the catalogue included the tax at the time of the order.
    async fn prices_include_tax(&self) -> bool {
        self.row.is_tax_included
    }

    /// The amount to pay for the order, with the tax.
    async fn total(&self) -> Money {
        money(self.row.amount, &self.row.currency)
    }

    /// The time at which the order was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.row.created_at)
    }

    /// The time until which the buyer can pay the order at its price.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.row.expires_at)
    }

    /// The time at which the status first became PAID. Null until then. An order with the price 0 becomes PAID at once.
    async fn paid_at(&self) -> Option<DateTime> {
        self.row.paid_at.map(DateTime)
    }

    /// The purchase that the order made, with the test cards. Null until the order is granted. The purchase stays after
    /// a refund.
    async fn purchase(&self) -> Option<Purchase> {
        self.row.purchase_id.map(|purchase| Purchase::lazy(self.row.user_id, purchase))
    }

    /// The refunds of the payments of the order, oldest first.
    async fn refunds(&self, ctx: &Context<'_>) -> ApiResult<Vec<OrderRefund>> {
        let refunds = ctx.loaders()?.order_refunds.load_one((self.row.user_id, self.row.id)).await?;
        Ok(refunds.unwrap_or_default().into_iter().map(OrderRefund::from).collect())
    }

    /// The time at which the server learned that the buyer's bank disputes a payment of the order. Null if there is no
    /// dispute, or the dispute is over. During a dispute, `refundPurchase` refuses to refund the purchase of the order.
    async fn disputed_at(&self) -> Option<DateTime> {
        self.row.disputed_at.map(DateTime)
    }

    /// The events that concern the money of the order, oldest first. Only for SUPPORT and ADMIN.
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

/// A subject in an order, with its price.
#[plain_fields]
#[Object]
impl OrderLine {
    /// The subject that the buyer ordered.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.row.subject_id).await
    }

    /// The list price of the subject at the time of the order, which no offer reduces. It is without tax if
    /// `pricesIncludeTax` of the order is false.
    async fn list_price(&self) -> Money {
        money(self.row.list_price, &self.currency)
    }

    /// The amount to pay for the subject, with its share of the tax.
    async fn price(&self) -> Money {
        money(self.row.price, &self.currency)
    }

    /// The part of `price` that is tax.
    async fn tax(&self) -> Money {
        money(self.row.tax, &self.currency)
    }

    /// The number of test cards that the buyer gets for the subject.
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
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        let services = ctx.services()?;
        Ok(match self {
            Self::OfUser(owner) => orders::count(services, *owner).await?,
            Self::All(support, filter) => orders::count_all(services, *support, filter).await?,
        })
    }
}

/// Reads a page of the orders of `owner`, newest first. Reads no rows if the client selects neither `edges` nor
/// `pageInfo`.
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

/// Reads a page of the orders that match `filter`, of any user, newest first. Reads no rows if the client selects
/// neither `edges` nor `pageInfo`. Otherwise records in the audit trail that the viewer reads them: as a look at the
/// buyer if `filter` names a buyer, and otherwise as a look at a list.
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

/// Finds the orders with these ids that the viewer may see: the viewer's own orders, and those of all users if the
/// viewer has the permission of support. Records each look at the account of another user.
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

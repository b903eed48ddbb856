//! Reads orders for their buyers, for support and for the operator.

use jishu_entity::order::{Column, Entity, Model, OrderState};
use jishu_entity::{OrderId, UserId, order_line, payment_event, payment_refund};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveEnum, ColumnTrait, DbErr, EntityTrait, IntoSimpleExpr, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};
use serde::Serialize;

use crate::Services;
use crate::account::Support;
use crate::database::Database;
use crate::money::Money;
use crate::page::{self, Keyset, Page, PageRequest};

/// The position of an order in a list: its id. Cursors contain it.
pub type OrderPosition = i64;

/// A filter of orders. An order must match each field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only orders of this buyer. If None, orders of every buyer.
    pub buyer: Option<UserId>,
    /// Only orders in this state. If None, orders in every state.
    pub state: Option<OrderState>,
    /// Only the order with this receipt number. If None, every receipt number matches.
    pub receipt_number: Option<String>,
    /// If true, only orders whose payment the buyer's bank disputes. If false, all orders.
    pub is_disputed: bool,
}

fn select(filter: &OrderFilter) -> Select<Entity> {
    let mut select = match filter.buyer {
        Some(buyer) => Entity::of(buyer),
        None => Entity::find(),
    };
    if let Some(state) = filter.state {
        select = select.filter(Column::State.eq(state));
    }
    if let Some(receipt) = &filter.receipt_number {
        select = select.filter(Column::ReceiptNumber.eq(receipt.as_str()));
    }
    if filter.is_disputed {
        select = select.filter(Column::DisputedAt.is_not_null());
    }
    select
}

fn fetch(
    services: &Services,
    select: Select<Entity>,
    request: PageRequest<OrderPosition>,
) -> impl Future<Output = Result<Page<Model>, DbErr>> + Send {
    let keyset = Keyset { columns: vec![Column::Id.into_simple_expr()], descending: true };
    page::fetch(services.database.reader(), select, keyset, request, |id| vec![Value::from(id)])
}

/// Reads a page of a user's orders, newest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.page")]
pub async fn page(
    services: &Services,
    owner: UserId,
    request: PageRequest<OrderPosition>,
) -> Result<Page<Model>, DbErr> {
    fetch(services, Entity::of(owner), request).await
}

/// Counts the orders of a user.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.count")]
pub async fn count(services: &Services, owner: UserId) -> Result<u64, DbErr> {
    Entity::of(owner).count(services.database.reader()).await
}

/// Reads a page of the orders of all users, newest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.page_of_all")]
pub async fn page_of_all(
    services: &Services,
    _: Support,
    filter: &OrderFilter,
    request: PageRequest<OrderPosition>,
) -> Result<Page<Model>, DbErr> {
    fetch(services, select(filter), request).await
}

/// Counts the orders of all users that match a filter.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.count_all")]
pub async fn count_all(services: &Services, _: Support, filter: &OrderFilter) -> Result<u64, DbErr> {
    select(filter).count(services.database.reader()).await
}

/// Finds the orders with these ids, and sorts them by id. Leaves out orders of other users.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.by_ids")]
pub async fn by_ids(services: &Services, owner: UserId, ids: Vec<OrderId>) -> Result<Vec<Model>, DbErr> {
    let orders = Entity::of(owner).filter(Column::Id.is_in(ids)).order_by_asc(Column::Id);
    orders.all(services.database.reader()).await
}

/// Finds the orders with these ids, whoever bought them. The list has no defined order.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.by_ids_for_support")]
pub async fn by_ids_for_support(
    services: &Services,
    _: Support,
    ids: Vec<OrderId>,
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// Reads the lines of these orders, one for each subject, sorted by order id and subject id. The caller must have found
/// the orders as their owner or as support, because this function does not check who asks.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.lines")]
pub async fn lines(services: &Services, orders: Vec<OrderId>) -> Result<Vec<order_line::Model>, DbErr> {
    order_line::Entity::find()
        .filter(order_line::Column::OrderId.is_in(orders))
        .order_by_asc(order_line::Column::OrderId)
        .order_by_asc(order_line::Column::SubjectId)
        .all(services.database.reader())
        .await
}

/// Reads the payment refunds of these orders, oldest first. The caller must have found the orders as their owner or as
/// support, because this function does not check who asks.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.refunds")]
pub async fn refunds(services: &Services, orders: Vec<OrderId>) -> Result<Vec<payment_refund::Model>, DbErr> {
    payment_refund::Entity::find()
        .filter(payment_refund::Column::OrderId.is_in(orders))
        .order_by_asc(payment_refund::Column::Id)
        .all(services.database.reader())
        .await
}

/// Reads the payment events of an order, oldest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.events")]
pub async fn events(
    services: &Services,
    _: Support,
    order: OrderId,
) -> Result<Vec<payment_event::Model>, DbErr> {
    events_of(&services.database, order).await
}

async fn events_of(database: &Database, order: OrderId) -> Result<Vec<payment_event::Model>, DbErr> {
    payment_event::Entity::find()
        .filter(payment_event::Column::OrderId.eq(order))
        .order_by_asc(payment_event::Column::Id)
        .all(database.reader())
        .await
}

/// An order as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderEntry {
    /// The id of the order.
    pub id: i64,
    /// The receipt number.
    pub receipt_number: String,
    /// The id of the buyer.
    pub user_id: i64,
    /// The state, such as `pending`.
    pub state: String,
    /// The reason of the state. None if the state needs no reason.
    pub reason: Option<String>,
    /// The way in which the order is paid, such as `razorpay` or `manual`.
    pub provider: String,
    /// The provider's id of the order. None if the provider has not made the order.
    pub provider_reference: Option<String>,
    /// The amount, such as `499.00 INR`.
    pub amount: String,
    /// The purchase that the order made. None if it made no purchase.
    pub purchase_id: Option<i64>,
    /// The time when the order was made.
    pub created_at: chrono::DateTime<chrono::Utc>,
    /// The time until which the order can be paid at its price.
    pub expires_at: chrono::DateTime<chrono::Utc>,
    /// The time of the latest change of the state.
    pub changed_at: chrono::DateTime<chrono::Utc>,
    /// The time from which the reconciler checks the order again. None if no check is planned.
    pub due_at: Option<chrono::DateTime<chrono::Utc>>,
    /// Whether the buyer's bank disputes the payment of the order.
    pub is_disputed: bool,
}

/// A payment event, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderEventEntry {
    /// The kind of the payment event, such as `captured`.
    pub kind: String,
    /// The amount, such as `499.00 INR`. None if the event has no amount.
    pub amount: Option<String>,
    /// The provider's id of the payment. None if the event has no payment.
    pub payment: Option<String>,
    /// The provider's id of the refund or of the dispute. None for other events, and if the id is unknown. A refund
    /// that the provider refused at once has no id.
    pub object: Option<String>,
    /// The source that reported the event, such as `webhook`.
    pub source: String,
    /// The time when the server recorded the event.
    pub recorded_at: chrono::DateTime<chrono::Utc>,
}

fn text_of(minor: i64, currency: &str) -> String {
    format!("{} {currency}", Money::new(minor, currency).amount())
}

impl From<Model> for OrderEntry {
    fn from(row: Model) -> Self {
        Self {
            id: row.id.0,
            receipt_number: row.receipt_number,
            user_id: row.user_id.0,
            state: row.state.to_value(),
            reason: row.reason.map(|reason| reason.to_value()),
            provider: row.provider.to_value(),
            provider_reference: row.provider_reference,
            amount: text_of(row.amount, &row.currency),
            purchase_id: row.purchase_id.map(|purchase| purchase.0),
            created_at: row.created_at,
            expires_at: row.expires_at,
            changed_at: row.changed_at,
            due_at: row.due_at,
            is_disputed: row.disputed_at.is_some(),
        }
    }
}

impl From<payment_event::Model> for OrderEventEntry {
    fn from(row: payment_event::Model) -> Self {
        let object = row.provider_object().map(str::to_owned);
        Self {
            kind: row.kind.to_value(),
            amount: row.amount.zip(row.currency).map(|(amount, currency)| text_of(amount, &currency)),
            payment: row.payment,
            object,
            source: row.source.to_value(),
            recorded_at: row.recorded_at,
        }
    }
}

/// Lists at most `limit` orders for the operator, newest first. If `states` is empty, lists the orders that are
/// pending, paid, refunding or in need of attention.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn operator_list(
    database: &Database,
    states: &[OrderState],
    limit: u64,
) -> Result<Vec<OrderEntry>, DbErr> {
    let unfinished =
        [OrderState::Pending, OrderState::Paid, OrderState::Refunding, OrderState::NeedsAttention];
    let states = if states.is_empty() { &unfinished } else { states };
    let rows = Entity::find()
        .filter(Column::State.is_in(states.iter().copied()))
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(database.reader())
        .await?;
    Ok(rows.into_iter().map(OrderEntry::from).collect())
}

/// Finds an order by its id or by its receipt number, with its payment events, oldest first. Returns None if no order
/// has this id or receipt number.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn operator_show(
    database: &Database,
    name: &str,
) -> Result<Option<(OrderEntry, Vec<OrderEventEntry>)>, DbErr> {
    let select = match name.parse() {
        Ok(id) => Entity::find().filter(Column::Id.eq(OrderId(id))),
        Err(_) => Entity::find().filter(Column::ReceiptNumber.eq(name.to_uppercase())),
    };
    let Some(order) = select.one(database.reader()).await? else { return Ok(None) };
    let events = events_of(database, order.id).await?;
    Ok(Some((order.into(), events.into_iter().map(OrderEventEntry::from).collect())))
}

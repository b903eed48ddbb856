//! The audit events that each server of the platform (a node) delivers to its watchers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jishu_entity::order::{self, OrderState};
use jishu_entity::{
    MockTestAttemptId, OrderId, PurchaseId, UserId, audit_event, mock_test_attempt, purchase,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::WatchedChange;
use crate::audit::{self, EventRow, StateChange};

const PURCHASE_CREATED: &str = "purchase.created";
const PURCHASE_REFUNDED: &str = "purchase.refunded";
const PURCHASE_EXPIRED: &str = "purchase.expired";
const PURCHASE_GRANTED: &str = "purchase.granted";
const CARDS_EXTENDED: &str = "purchase.cards_extended";
const SESSION_STARTED: &str = "test_session.started";
const SESSION_CLOSED: &str = "test_session.closed";
const CARD_EXTENDED: &str = "mock_test_attempt.extended";

/// The actions of the audit events that are delivered to watchers.
pub(super) const PUBLISHED_ACTIONS: [&str; 25] = [
    PURCHASE_CREATED,
    PURCHASE_GRANTED,
    PURCHASE_REFUNDED,
    PURCHASE_EXPIRED,
    CARDS_EXTENDED,
    SESSION_STARTED,
    SESSION_CLOSED,
    CARD_EXTENDED,
    OrderEvent::Created.action(),
    OrderEvent::Paid.action(),
    OrderEvent::Granted.action(),
    OrderEvent::Expired.action(),
    OrderEvent::Cancelled.action(),
    OrderEvent::Refunding.action(),
    OrderEvent::Refunded.action(),
    OrderEvent::NeedsAttention.action(),
    OrderEvent::RefundRequested.action(),
    OrderEvent::RefundSettled.action(),
    OrderEvent::RefundFailed.action(),
    OrderEvent::ExtraPayment.action(),
    OrderEvent::ConsoleRefund.action(),
    OrderEvent::Disputed.action(),
    OrderEvent::DisputeEnded.action(),
    OrderEvent::ChargedBack.action(),
    OrderEvent::Resolved.action(),
];

const PURCHASES_TABLE: &str = "purchases";
const CARDS_TABLE: &str = "mock_test_attempts";
const ORDERS_TABLE: &str = "orders";

/// An audit event that is delivered to watchers of the owner of its purchase, card or order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The buyer made a purchase, with its cards.
    PurchaseCreated(PurchaseId),
    /// This purchase or some of its subjects were refunded, by support or after a report of the payment provider.
    PurchaseRefunded(PurchaseId),
    /// The server marked entitlements of this purchase as ended, because its term is over.
    PurchaseExpired(PurchaseId),
    /// Support or the operator granted a purchase to a user, with its cards.
    PurchaseGranted(PurchaseId),
    /// Support granted more attempts to cards of this purchase.
    CardsExtended(PurchaseId),
    /// A sitting of this card began.
    SessionStarted(MockTestAttemptId),
    /// A sitting of this card ended. The learner submitted it, or the server closed it at its deadline or because the
    /// access ended.
    SessionClosed(MockTestAttemptId),
    /// Support granted extra time or more attempts to this card, for this card alone or by an allowance.
    CardExtended(MockTestAttemptId),
    /// An order or its money changed.
    Order(OrderId, OrderEvent),
}

/// The kind of a change of an order or of its money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// The buyer made the order.
    Created,
    /// The order was paid.
    Paid,
    /// The subjects of the order were granted.
    Granted,
    /// The order expired, because nobody paid it in time.
    Expired,
    /// The buyer cancelled the order, or the payment provider cancelled or refused the order.
    Cancelled,
    /// All money of the order is on its way back.
    Refunding,
    /// All money of the order went back.
    Refunded,
    /// Support must decide about the order.
    NeedsAttention,
    /// A refund of the order's payment was requested.
    RefundRequested,
    /// A refund of the order's payment was settled.
    RefundSettled,
    /// A refund of the order's payment was given up.
    RefundFailed,
    /// Money came that does not pay the order, such as a second payment or a wrong amount.
    ExtraPayment,
    /// Somebody refunded money of the order at the provider's console.
    ConsoleRefund,
    /// The buyer's bank disputes the payment of the order.
    Disputed,
    /// The dispute about the payment ended, and the bank did not take the money back.
    DisputeEnded,
    /// The buyer's bank took the money of the order back.
    ChargedBack,
    /// Support decided about an order that needed attention.
    Resolved,
}

impl OrderEvent {
    /// Returns the event that records the move of an order to this state.
    pub(crate) fn of_state(state: OrderState) -> Self {
        match state {
            OrderState::Pending => Self::Created,
            OrderState::Paid => Self::Paid,
            OrderState::Granted => Self::Granted,
            OrderState::Expired => Self::Expired,
            OrderState::Cancelled => Self::Cancelled,
            OrderState::Refunding => Self::Refunding,
            OrderState::Refunded => Self::Refunded,
            OrderState::NeedsAttention => Self::NeedsAttention,
        }
    }

    /// Returns the action under which the audit event is stored.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Created => "order.created",
            Self::Paid => "order.paid",
            Self::Granted => "order.granted",
            Self::Expired => "order.expired",
            Self::Cancelled => "order.cancelled",
            Self::Refunding => "order.refunding",
            Self::Refunded => "order.refunded",
            Self::NeedsAttention => "order.needs_attention",
            Self::RefundRequested => "order.refund_requested",
            Self::RefundSettled => "order.refund_settled",
            Self::RefundFailed => "order.refund_failed",
            Self::ExtraPayment => "order.extra_payment",
            Self::ConsoleRefund => "order.console_refund",
            Self::Disputed => "order.disputed",
            Self::DisputeEnded => "order.dispute_ended",
            Self::ChargedBack => "order.charged_back",
            Self::Resolved => "order.resolved",
        }
    }
}

impl Event {
    /// Returns the action of the audit event, the table of its target, and the target's id.
    fn row(self) -> (&'static str, &'static str, i64) {
        match self {
            Self::PurchaseCreated(PurchaseId(id)) => (PURCHASE_CREATED, PURCHASES_TABLE, id),
            Self::PurchaseRefunded(PurchaseId(id)) => (PURCHASE_REFUNDED, PURCHASES_TABLE, id),
            Self::PurchaseExpired(PurchaseId(id)) => (PURCHASE_EXPIRED, PURCHASES_TABLE, id),
            Self::PurchaseGranted(PurchaseId(id)) => (PURCHASE_GRANTED, PURCHASES_TABLE, id),
            Self::CardsExtended(PurchaseId(id)) => (CARDS_EXTENDED, PURCHASES_TABLE, id),
            Self::SessionStarted(MockTestAttemptId(id)) => (SESSION_STARTED, CARDS_TABLE, id),
            Self::SessionClosed(MockTestAttemptId(id)) => (SESSION_CLOSED, CARDS_TABLE, id),
            Self::CardExtended(MockTestAttemptId(id)) => (CARD_EXTENDED, CARDS_TABLE, id),
            Self::Order(OrderId(id), event) => (event.action(), ORDERS_TABLE, id),
        }
    }
}

/// Appends an event in the transaction that makes the change. Call this function as late in the transaction as
/// possible, because nodes require that the transaction commits within
/// [`MAX_COMMIT_DELAY`](super::position::MAX_COMMIT_DELAY).
///
/// After the commit, call [`Events::appended`](super::Events::appended), so that this node delivers the event to its
/// watchers at once. The actor is None if no user acted.
///
/// # Errors
/// Returns the database's error.
pub async fn append(
    connection: &impl ConnectionTrait,
    at: DateTime<Utc>,
    actor: Option<UserId>,
    event: Event,
) -> Result<(), DbErr> {
    append_change(connection, at, actor, event, &StateChange::default()).await
}

/// Appends an event with the values that changed. See [`append`].
///
/// # Errors
/// Returns the database's error.
pub(crate) async fn append_change(
    connection: &impl ConnectionTrait,
    at: DateTime<Utc>,
    actor: Option<UserId>,
    event: Event,
    change: &StateChange,
) -> Result<(), DbErr> {
    let (action, target_type, target_id) = event.row();
    audit::append_change(connection, at, actor, action, (target_type, target_id), change).await
}

/// Returns the row of an event without changed values, for a statement that inserts the row together with its target.
/// See [`append`].
pub(crate) fn row(at: DateTime<Utc>, actor: Option<UserId>, event: Event) -> EventRow {
    let (action, target_type, target_id) = event.row();
    EventRow::new(at, actor, action, (target_type, target_id), &StateChange::default())
}

/// Returns the changes that these audit events record, each with the owner of the card, the purchase or the order.
/// Leaves out events whose object does not exist.
pub(super) async fn changes(
    connection: &impl ConnectionTrait,
    rows: &[audit_event::Model],
) -> Result<Vec<(UserId, WatchedChange)>, DbErr> {
    let owners = Owners::read(connection, rows).await?;
    let change = |row: &audit_event::Model| match WatchedObject::of(row)? {
        WatchedObject::Card(id) => Some((*owners.cards.get(&id)?, WatchedChange::Card(id))),
        WatchedObject::Purchase(id) => Some((*owners.purchases.get(&id)?, WatchedChange::Purchase(id))),
        WatchedObject::Order(id) => Some((*owners.orders.get(&id)?, WatchedChange::Order(id))),
    };
    Ok(rows.iter().filter_map(change).collect())
}

/// The card, purchase or order that an event is about.
#[derive(Clone, Copy)]
enum WatchedObject {
    Card(MockTestAttemptId),
    Purchase(PurchaseId),
    Order(OrderId),
}

impl WatchedObject {
    fn of(row: &audit_event::Model) -> Option<Self> {
        match row.target_type.as_str() {
            CARDS_TABLE => Some(Self::Card(MockTestAttemptId(row.target_id))),
            PURCHASES_TABLE => Some(Self::Purchase(PurchaseId(row.target_id))),
            ORDERS_TABLE => Some(Self::Order(OrderId(row.target_id))),
            _ => None,
        }
    }
}

/// The owners of cards, purchases and orders.
#[derive(Default)]
struct Owners {
    cards: HashMap<MockTestAttemptId, UserId>,
    purchases: HashMap<PurchaseId, UserId>,
    orders: HashMap<OrderId, UserId>,
}

impl Owners {
    /// Reads the owners of the cards, purchases and orders that these events are about, with one statement for each
    /// kind.
    async fn read(connection: &impl ConnectionTrait, rows: &[audit_event::Model]) -> Result<Self, DbErr> {
        let (mut cards, mut purchases, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for object in rows.iter().filter_map(WatchedObject::of) {
            match object {
                WatchedObject::Card(id) => cards.push(id),
                WatchedObject::Purchase(id) => purchases.push(id),
                WatchedObject::Order(id) => orders.push(id),
            }
        }
        let mut owners = Self::default();
        if !cards.is_empty() {
            let found: Vec<(MockTestAttemptId, UserId)> = mock_test_attempt::Entity::find()
                .select_only()
                .columns([mock_test_attempt::Column::Id, mock_test_attempt::Column::UserId])
                .filter(mock_test_attempt::Column::Id.is_in(cards))
                .into_tuple()
                .all(connection)
                .await?;
            owners.cards.extend(found);
        }
        if !purchases.is_empty() {
            let found: Vec<(PurchaseId, UserId)> = purchase::Entity::find()
                .select_only()
                .columns([purchase::Column::Id, purchase::Column::UserId])
                .filter(purchase::Column::Id.is_in(purchases))
                .into_tuple()
                .all(connection)
                .await?;
            owners.purchases.extend(found);
        }
        if !orders.is_empty() {
            let found: Vec<(OrderId, UserId)> = order::Entity::find()
                .select_only()
                .columns([order::Column::Id, order::Column::UserId])
                .filter(order::Column::Id.is_in(orders))
                .into_tuple()
                .all(connection)
                .await?;
            owners.orders.extend(found);
        }
        Ok(owners)
    }
}

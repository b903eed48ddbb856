//! The audit events that are also delivered to watchers.

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

/// An audit event that is delivered to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The actor made a purchase, with its cards.
    PurchaseCreated(PurchaseId),
    /// Support refunded this purchase, or some of its subjects.
    PurchaseRefunded(PurchaseId),
    /// The term of this purchase is over.
    PurchaseExpired(PurchaseId),
    /// Support granted a purchase to a user, with its cards.
    PurchaseGranted(PurchaseId),
    /// Support granted more attempts to cards of this purchase.
    CardsExtended(PurchaseId),
    /// A sitting of this card began.
    SessionStarted(MockTestAttemptId),
    /// A sitting of this card ended. Its learner submitted it, or the server closed it at its deadline.
    SessionClosed(MockTestAttemptId),
    /// Support granted this card more time or more attempts.
    CardExtended(MockTestAttemptId),
    /// Something happened to an order.
    Order(OrderId, OrderEvent),
}

/// Something that happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// The buyer made it.
    Created,
    /// The order was paid.
    Paid,
    /// The subjects of the order were granted.
    Granted,
    /// Nobody paid it in time.
    Expired,
    /// The order was cancelled.
    Cancelled,
    /// All its money is on its way back.
    Refunding,
    /// All its money went back.
    Refunded,
    /// Support must decide.
    NeedsAttention,
    /// A refund of its payment was requested.
    RefundRequested,
    /// A refund of its payment was settled.
    RefundSettled,
    /// A refund of the order's payment failed.
    RefundFailed,
    /// Money came that the order did not ask for.
    ExtraPayment,
    /// Money went back at the provider's console.
    ConsoleRefund,
    /// The buyer's bank disputes the payment.
    Disputed,
    /// The dispute is over.
    DisputeEnded,
    /// The buyer's bank took the money back.
    ChargedBack,
    /// Support decided.
    Resolved,
}

impl OrderEvent {
    /// Returns the event of a move to a state.
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

    /// Returns the action of the audit event.
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
    /// Returns the action, the target's table and the target's id.
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

/// Appends an event to the transaction that makes the change. Call it as late as possible, because nodes expect the commit
/// within [`MAX_COMMIT_DELAY`](super::position::MAX_COMMIT_DELAY).
///
/// After the commit, the caller calls [`Events::appended`](super::Events::appended), which delivers the event to the
/// watchers of this node at once. The actor is None if the server itself acted.
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

/// Returns the row of an event without changed values, for a statement that inserts it together with its target. See
/// [`append`].
pub(crate) fn row(at: DateTime<Utc>, actor: Option<UserId>, event: Event) -> EventRow {
    let (action, target_type, target_id) = event.row();
    EventRow::new(at, actor, action, (target_type, target_id), &StateChange::default())
}

/// Returns the changes that these rows record, each with the user to deliver it to: the owner of the card or of the
/// purchase, whoever acted.
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
    /// Reads the owners of the objects of these rows, with one statement for each kind of object.
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

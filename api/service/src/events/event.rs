//! The audit events that are also delivered to watchers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jishu_entity::{MockTestAttemptId, PurchaseId, UserId, audit_event, mock_test_attempt, purchase};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::WatchedChange;
use crate::audit::{self, StateChange};

const PURCHASE_CREATED: &str = "purchase.created";
const PURCHASE_REFUNDED: &str = "purchase.refunded";
const PURCHASE_EXPIRED: &str = "purchase.expired";
const PURCHASE_GRANTED: &str = "purchase.granted";
const CARDS_EXTENDED: &str = "purchase.cards_extended";
const SESSION_STARTED: &str = "test_session.started";
const SESSION_CLOSED: &str = "test_session.closed";
const CARD_EXTENDED: &str = "mock_test_attempt.extended";

/// The actions of the audit events that are delivered to watchers.
pub(super) const PUBLISHED_ACTIONS: [&str; 8] = [
    PURCHASE_CREATED,
    PURCHASE_GRANTED,
    PURCHASE_REFUNDED,
    PURCHASE_EXPIRED,
    CARDS_EXTENDED,
    SESSION_STARTED,
    SESSION_CLOSED,
    CARD_EXTENDED,
];

const PURCHASES_TABLE: &str = "purchases";
const CARDS_TABLE: &str = "mock_test_attempts";

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
        }
    }
}

/// Appends an event. It must be the last statement of the transaction that made the change.
///
/// After the commit, [`Events::appended`](super::Events::appended) delivers the event to the watchers of this node at
/// once. The actor is None if the server itself acted.
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
    };
    Ok(rows.iter().filter_map(change).collect())
}

/// The object that a row is about.
#[derive(Clone, Copy)]
enum WatchedObject {
    Card(MockTestAttemptId),
    Purchase(PurchaseId),
}

impl WatchedObject {
    fn of(row: &audit_event::Model) -> Option<Self> {
        match row.target_type.as_str() {
            CARDS_TABLE => Some(Self::Card(MockTestAttemptId(row.target_id))),
            PURCHASES_TABLE => Some(Self::Purchase(PurchaseId(row.target_id))),
            _ => None,
        }
    }
}

/// The owners of cards and purchases.
#[derive(Default)]
struct Owners {
    cards: HashMap<MockTestAttemptId, UserId>,
    purchases: HashMap<PurchaseId, UserId>,
}

impl Owners {
    /// Reads the owners of the objects of these rows, with one statement for each kind of object.
    async fn read(connection: &impl ConnectionTrait, rows: &[audit_event::Model]) -> Result<Self, DbErr> {
        let (mut cards, mut purchases) = (Vec::new(), Vec::new());
        for object in rows.iter().filter_map(WatchedObject::of) {
            match object {
                WatchedObject::Card(id) => cards.push(id),
                WatchedObject::Purchase(id) => purchases.push(id),
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
        Ok(owners)
    }
}

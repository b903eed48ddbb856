//! The audit events that are also delivered to watchers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jishu_entity::{MockTestAttemptId, PurchaseId, UserId, audit_event, mock_test_attempt, purchase};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::WatchedChange;
use crate::audit;

const PURCHASE_CREATED: &str = "purchase.created";
const PURCHASE_GRANTED: &str = "purchase.granted";
const CARDS_EXTENDED: &str = "purchase.cards_extended";
const SESSION_STARTED: &str = "test_session.started";
const SESSION_CLOSED: &str = "test_session.closed";
const CARD_EXTENDED: &str = "mock_test_attempt.extended";

/// The actions of the audit events that are delivered to watchers.
pub(super) const PUBLISHED_ACTIONS: [&str; 6] =
    [PURCHASE_CREATED, PURCHASE_GRANTED, CARDS_EXTENDED, SESSION_STARTED, SESSION_CLOSED, CARD_EXTENDED];

const PURCHASES_TABLE: &str = "purchases";
const CARDS_TABLE: &str = "mock_test_attempts";

/// An audit event that is delivered to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The actor made a purchase, with its cards.
    PurchaseCreated(PurchaseId),
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
    let (action, target_type, target_id) = event.row();
    audit::append(connection, at, actor, action, (target_type, target_id)).await
}

/// Returns the changes that these rows record, each with the user to deliver it to. That user is the owner of the card or
/// of the purchase, whoever acted.
pub(super) async fn changes(
    connection: &impl ConnectionTrait,
    rows: &[audit_event::Model],
) -> Result<Vec<(UserId, WatchedChange)>, DbErr> {
    let cards: Vec<_> = rows.iter().filter_map(card).collect();
    let owners: HashMap<MockTestAttemptId, UserId> = if cards.is_empty() {
        HashMap::new()
    } else {
        mock_test_attempt::Entity::find()
            .select_only()
            .columns([mock_test_attempt::Column::Id, mock_test_attempt::Column::UserId])
            .filter(mock_test_attempt::Column::Id.is_in(cards))
            .into_tuple()
            .all(connection)
            .await?
            .into_iter()
            .collect()
    };
    let of_others: Vec<_> = rows.iter().filter(|row| is_by_staff(row)).map(|row| row.target_id).collect();
    let buyers: HashMap<PurchaseId, UserId> = if of_others.is_empty() {
        HashMap::new()
    } else {
        purchase::Entity::find()
            .select_only()
            .columns([purchase::Column::Id, purchase::Column::UserId])
            .filter(purchase::Column::Id.is_in(of_others))
            .into_tuple()
            .all(connection)
            .await?
            .into_iter()
            .collect()
    };
    let change = |row: &audit_event::Model| match card(row) {
        Some(id) => Some((*owners.get(&id)?, WatchedChange::Card(id))),
        None => {
            let id = PurchaseId(row.target_id);
            let buyer = if is_by_staff(row) { *buyers.get(&id)? } else { row.actor_id? };
            Some((buyer, WatchedChange::Purchase(id)))
        }
    };
    Ok(rows.iter().filter_map(change).collect())
}

/// Tells whether a row is about a purchase that somebody else than its buyer made or changed.
fn is_by_staff(row: &audit_event::Model) -> bool {
    row.action == PURCHASE_GRANTED || row.action == CARDS_EXTENDED
}

/// Returns the card of a row, if its target is a card.
fn card(row: &audit_event::Model) -> Option<MockTestAttemptId> {
    (row.target_type == CARDS_TABLE).then_some(MockTestAttemptId(row.target_id))
}

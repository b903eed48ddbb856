//! What is appended to the audit events and told from there.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jishu_entity::{MockTestAttemptId, PurchaseId, UserId, audit_event, mock_test_attempt};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::Change;
use crate::audit;

const PURCHASE_CREATED: &str = "purchase.created";
const SESSION_STARTED: &str = "test_session.started";
const SESSION_CLOSED: &str = "test_session.closed";
const CARD_EXTENDED: &str = "mock_test_attempt.extended";

/// The actions whose events are told.
pub(super) const TOLD: [&str; 4] = [PURCHASE_CREATED, SESSION_STARTED, SESSION_CLOSED, CARD_EXTENDED];

const PURCHASES: &str = "purchases";
const CARDS: &str = "mock_test_attempts";

/// Something that its owner is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A purchase was made, by its actor, with its cards.
    PurchaseCreated(PurchaseId),
    /// A sitting of this card began.
    SessionStarted(MockTestAttemptId),
    /// A sitting of this card ended: by its learner, or by the server at its deadline.
    SessionClosed(MockTestAttemptId),
    /// Support granted this card more time or more attempts.
    CardExtended(MockTestAttemptId),
}

impl Event {
    fn row(self) -> (&'static str, &'static str, i64) {
        match self {
            Self::PurchaseCreated(PurchaseId(id)) => (PURCHASE_CREATED, PURCHASES, id),
            Self::SessionStarted(MockTestAttemptId(id)) => (SESSION_STARTED, CARDS, id),
            Self::SessionClosed(MockTestAttemptId(id)) => (SESSION_CLOSED, CARDS, id),
            Self::CardExtended(MockTestAttemptId(id)) => (CARD_EXTENDED, CARDS, id),
        }
    }
}

/// Appends an event, in the transaction of what it tells of and as its last statement. Once that is committed,
/// [`Events::appended`](super::Events::appended) tells this node's watchers at once. The actor is none for the server
/// itself.
///
/// # Errors
/// The database's.
pub async fn append(
    connection: &impl ConnectionTrait,
    at: DateTime<Utc>,
    actor: Option<UserId>,
    event: Event,
) -> Result<(), DbErr> {
    let (action, target_type, target_id) = event.row();
    audit::append(connection, at, actor, action, (target_type, target_id)).await
}

/// Who is to be told what by these rows. A card's events are its owner's, whoever acted; a purchase's are the buyer's,
/// who made it.
pub(super) async fn changes(
    connection: &impl ConnectionTrait,
    rows: &[audit_event::Model],
) -> Result<Vec<(UserId, Change)>, DbErr> {
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
    let change = |row: &audit_event::Model| match card(row) {
        Some(id) => Some((*owners.get(&id)?, Change::Card(id))),
        None => Some((row.actor_id?, Change::Purchase(PurchaseId(row.target_id)))),
    };
    Ok(rows.iter().filter_map(change).collect())
}

fn card(row: &audit_event::Model) -> Option<MockTestAttemptId> {
    (row.target_type == CARDS).then_some(MockTestAttemptId(row.target_id))
}

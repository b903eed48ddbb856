//! Sittings. In a sitting, a learner answers the test of one card against the server's clock.
//!
//! Two locks order the writes to a sitting:
//!
//! - The start and the end of a sitting lock the learner's row, as purchases do. If two requests start a sitting at the
//!   same time, the second request finds the sitting of the first. A unique index also refuses a second open sitting of
//!   a card.
//! - Saving answers does not lock the learner's row. The statement locks the sitting's row, and checks that the sitting
//!   is open. The lock is shared on PostgreSQL and exclusive on MariaDB and MySQL; SQLite has only one writer at a
//!   time. The end of a sitting takes an exclusive lock on this row. So every answer whose saving was acknowledged is
//!   scored.

mod answers;
pub mod clock;
mod close;
mod comparison;
mod ended;
mod order;
mod overdue;
mod read;
mod review;
mod save;
mod start;
mod stored;
mod upsert;
mod write_coalescer;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::{TestSessionId, UserId, entitlement, test_session};
use jishu_service_macros::service_call;
use quick_cache::sync::Cache;
use sea_orm::{ColumnTrait, QueryFilter};

use super::Services;
use super::paper::{Paper, PaperQuestion, PaperRevision};
use crate::error::Fault;
use write_coalescer::WriteCoalescer;

pub use answers::{AnswerBatch, AnswerRefusal, GivenAnswer, MAX_ANSWERS_PER_BATCH, learner_answer};
pub use close::{Submission, SubmitRefusal, submit};
pub(crate) use ended::{EndedEntitlements, close_all_of, close_open_of};
pub(crate) use order::shown_options;
pub use overdue::{OverdueReport, close_overdue, keep_closing};
pub use read::{
    SessionPosition, answer_sequence, answers, by_ids, count, newest, of_card, of_user, open_of_cards,
    score_of, scores_of_cards,
};
pub use review::{Review, review};
pub use save::{SaveRefusal, Saved, save};
pub use start::{StartRefusal, Started, can_start, start};

/// The rules of all sittings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SittingRules {
    /// Time after the deadline in which the server still accepts answers, because a client may have sent them before
    /// the deadline.
    pub grace: TimeDelta,
}

impl SittingRules {
    /// Tells whether a sitting with this deadline no longer accepts answers: the deadline and the grace time have
    /// passed.
    #[must_use]
    pub fn is_overdue(self, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now > expires_at + self.grace
    }

    /// Returns the earliest deadline of a sitting that still accepts answers.
    #[must_use]
    pub fn overdue_before(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.grace
    }
}

/// Returns the deadline of a sitting: `seconds` after its start, but not after the end of the entitlement `right`,
/// which gave the card of the sitting. So the sitting ends at the latest with the entitlement.
#[must_use]
pub fn deadline(started_at: DateTime<Utc>, seconds: i32, right: &entitlement::Model) -> DateTime<Utc> {
    let by_time_limit = started_at + TimeDelta::seconds(i64::from(seconds));
    right.expires_at.map_or(by_time_limit, |end| end.min(by_time_limit))
}

/// The parts of a sitting that never change.
#[derive(Debug)]
pub struct Sitting {
    /// The id of the sitting.
    pub id: TestSessionId,
    /// The learner.
    pub owner: UserId,
    /// The revision of the paper that the sitting started with.
    pub paper: Arc<Paper>,
    /// The seed from which the order of the options is computed.
    pub seed: i64,
}

impl Sitting {
    /// Returns the options of a slot in the order in which this sitting shows them. Each option is given by its
    /// position in the author's order, from 0. `question` is the question of the slot.
    #[must_use]
    pub fn option_order(&self, slot: i32, question: &PaperQuestion) -> Vec<usize> {
        order::option_order(self.seed, slot, question.options.len(), &question.option_order)
    }
}

/// The rules of sittings, and the caches and the queue of batches that all requests of this node share.
#[derive(Debug)]
pub struct SittingState {
    /// The rules of all sittings.
    pub rules: SittingRules,
    cache: Cache<TestSessionId, CachedSitting>,
    /// The sittings that the server failed to close and for which it has logged a warning.
    logged_failures: Cache<TestSessionId, ()>,
    coalescer: Arc<WriteCoalescer>,
}

/// The parts of a sitting that are cached. The paper itself is in the cache of papers.
#[derive(Clone, Copy, Debug)]
struct CachedSitting {
    owner: UserId,
    paper: PaperRevision,
    seed: i64,
}

/// Maximum number of cached sittings, of about a hundred bytes each. Also the maximum number of sittings in
/// `logged_failures`.
const MAX_CACHED_SITTINGS: usize = 20_000;

impl SittingState {
    /// Returns a state with empty caches.
    #[must_use]
    pub fn new(rules: SittingRules) -> Self {
        Self {
            rules,
            cache: Cache::new(MAX_CACHED_SITTINGS),
            logged_failures: Cache::new(MAX_CACHED_SITTINGS),
            coalescer: Arc::default(),
        }
    }

    /// Records that a sitting could not be closed. Returns true if no failure of this sitting was recorded before.
    fn is_first_failure_of(&self, id: TestSessionId) -> bool {
        let is_first = self.logged_failures.get(&id).is_none();
        self.logged_failures.insert(id, ());
        is_first
    }
}

/// Returns a sitting of a user with its paper. Returns None if the sitting does not exist or belongs to another user.
///
/// # Errors
/// Fails if the database fails, or if the paper of the sitting is missing or incomplete.
#[service_call("session.sitting")]
pub async fn sitting(
    services: &Services,
    owner: UserId,
    id: TestSessionId,
) -> Result<Option<Sitting>, Fault> {
    if let Some(cached) = services.sittings.cache.get(&id) {
        return if cached.owner == owner {
            with_paper(services, id, cached).await.map(Some)
        } else {
            Ok(None)
        };
    }
    let row = test_session::Entity::of(owner)
        .filter(test_session::Column::Id.eq(id))
        .one(services.database.reader())
        .await?;
    match row {
        Some(row) => sitting_of(services, &row).await.map(Some),
        None => Ok(None),
    }
}

/// Returns the sitting of a row with its paper, and caches the sitting.
///
/// # Errors
/// Fails if the database fails, or if the paper of the sitting is missing or incomplete.
#[service_call("session.sitting_of")]
pub async fn sitting_of(services: &Services, row: &test_session::Model) -> Result<Sitting, Fault> {
    let cached = CachedSitting { owner: row.user_id, paper: row.into(), seed: row.seed };
    services.sittings.cache.insert(row.id, cached);
    with_paper(services, row.id, cached).await
}

/// Returns a sitting from its cached parts and its paper, which is read if it is not cached.
async fn with_paper(services: &Services, id: TestSessionId, cached: CachedSitting) -> Result<Sitting, Fault> {
    let paper = services.papers.get(cached.paper).await?;
    Ok(Sitting { id, owner: cached.owner, paper, seed: cached.seed })
}

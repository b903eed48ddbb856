//! Sittings. In a sitting, a learner answers the test of one card against the server's clock.
//!
//! Two locks order the writes to a sitting:
//!
//! - The start and the end of a sitting lock the learner's row, as purchases do. If two requests start a sitting, the
//!   second one finds the sitting of the first. A unique index also refuses a second open sitting of a card.
//! - Saving answers does not lock the learner's row. It takes a shared lock on the sitting's row, and checks in the same
//!   statement that the sitting is open. The end of a sitting takes an exclusive lock on this row. So every answer that
//!   was acknowledged is scored.

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
    /// Time after the deadline in which answers are still accepted, because they were on their way.
    pub grace: TimeDelta,
}

impl SittingRules {
    /// Tells whether a sitting with this deadline no longer accepts answers.
    #[must_use]
    pub fn is_overdue(self, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now > expires_at + self.grace
    }

    /// Returns the earliest deadline that is not overdue.
    #[must_use]
    pub fn overdue_before(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.grace
    }
}

/// Returns the deadline of a sitting that may take these seconds: not after the end of the entitlement to its card. So
/// the end of the term closes an open sitting at that moment.
#[must_use]
pub fn deadline(started_at: DateTime<Utc>, seconds: i32, right: &entitlement::Model) -> DateTime<Utc> {
    let by_time_limit = started_at + TimeDelta::seconds(i64::from(seconds));
    right.expires_at.map_or(by_time_limit, |end| end.min(by_time_limit))
}

/// The parts of a sitting that never change.
#[derive(Debug)]
pub struct Sitting {
    /// The sitting.
    pub id: TestSessionId,
    /// The learner.
    pub owner: UserId,
    /// The revision of the paper that the sitting started with.
    pub paper: Arc<Paper>,
    /// The seed of the order of the options.
    pub seed: i64,
}

impl Sitting {
    /// Returns the author's positions of the options of a slot, in the order in which this sitting shows them.
    #[must_use]
    pub fn option_order(&self, slot: i32, question: &PaperQuestion) -> Vec<usize> {
        order::option_order(self.seed, slot, question.options.len(), &question.option_order)
    }
}

/// The rules of sittings, and the state that all requests of this node share.
#[derive(Debug)]
pub struct SittingState {
    /// The rules of all sittings.
    pub rules: SittingRules,
    cache: Cache<TestSessionId, CachedSitting>,
    /// Sittings whose failure to close was logged.
    logged_failures: Cache<TestSessionId, ()>,
    coalescer: Arc<WriteCoalescer>,
}

/// The parts of a sitting that are cached. The cache of papers has its paper.
#[derive(Clone, Copy, Debug)]
struct CachedSitting {
    owner: UserId,
    paper: PaperRevision,
    seed: i64,
}

/// Maximum number of cached sittings, of about a hundred bytes each.
const MAX_CACHED_SITTINGS: usize = 20_000;

impl SittingState {
    /// Returns a state with an empty cache.
    #[must_use]
    pub fn new(rules: SittingRules) -> Self {
        Self {
            rules,
            cache: Cache::new(MAX_CACHED_SITTINGS),
            logged_failures: Cache::new(MAX_CACHED_SITTINGS),
            coalescer: Arc::default(),
        }
    }

    /// Records that a sitting could not be closed. Returns true the first time.
    fn is_first_failure_of(&self, id: TestSessionId) -> bool {
        let is_first = self.logged_failures.get(&id).is_none();
        self.logged_failures.insert(id, ());
        is_first
    }
}

/// Finds a sitting of a user. Returns None if there is no such sitting, or it belongs to another user.
///
/// # Errors
/// Returns the database's error.
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

/// Returns the sitting of a row, and caches it.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.sitting_of")]
pub async fn sitting_of(services: &Services, row: &test_session::Model) -> Result<Sitting, Fault> {
    let cached = CachedSitting { owner: row.user_id, paper: row.into(), seed: row.seed };
    services.sittings.cache.insert(row.id, cached);
    with_paper(services, row.id, cached).await
}

/// Adds the paper to the cached parts of a sitting.
async fn with_paper(services: &Services, id: TestSessionId, cached: CachedSitting) -> Result<Sitting, Fault> {
    let paper = services.papers.get(cached.paper).await?;
    Ok(Sitting { id, owner: cached.owner, paper, seed: cached.seed })
}

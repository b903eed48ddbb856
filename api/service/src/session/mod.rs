//! Sittings: one learner at one card, against the server's clock.
//!
//! What is written of a sitting stands in line twice. Its start and its end lock the learner's row, as purchases do, so
//! that of two starts the second finds what the first made; the database refuses a second open sitting of a card by
//! itself as well. Answers are saved without that lock, in one statement that shares the sitting's row and sees that it
//! is open, and the end of the sitting takes that row for itself: what is acknowledged is scored.

mod answers;
pub mod clock;
mod close;
mod order;
mod overdue;
mod read;
mod review;
mod save;
mod start;
mod together;
mod upsert;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::{TestSessionId, UserId, test_session};
use quick_cache::sync::Cache;
use sea_orm::{ColumnTrait, DbErr, QueryFilter};

use super::Services;
use super::paper::{Paper, PaperRevision};
use together::Together;

pub use answers::{AnswerError, GivenAnswer, MOST_ANSWERS, response};
pub use close::{Submission, SubmitError, submit};
pub use overdue::{OverdueReport, close_overdue, keep_closing};
pub use read::{
    SessionKey, answer_sequence, answers, by_ids, count, newest, of_card, of_user, open_of_cards, score_of,
    scores_of_cards,
};
pub use review::{Review, review};
pub use save::{Batch, SaveError, Saved, save};
pub use start::{StartError, Started, can_start, start};

/// How sittings are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SittingRules {
    /// For how long after the deadline answers are still taken that were on their way.
    pub grace: TimeDelta,
}

impl SittingRules {
    /// Whether a sitting with this deadline takes nothing any more.
    #[must_use]
    pub fn is_overdue(self, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now > expires_at + self.grace
    }

    /// Deadlines before this one are overdue.
    #[must_use]
    pub fn overdue_before(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.grace
    }
}

/// What never changes of a sitting.
#[derive(Debug)]
pub struct Sitting {
    /// The sitting.
    pub id: TestSessionId,
    /// Who sits.
    pub owner: UserId,
    /// The revision of the paper that it started with.
    pub paper: Arc<Paper>,
    /// Decides the order of the options.
    pub seed: i64,
}

impl Sitting {
    /// The author's positions of the options of a slot, in the order in which this sitting shows them.
    #[must_use]
    pub fn shown(&self, slot: i32, options: usize) -> Vec<usize> {
        order::shown(self.seed, slot, options)
    }
}

/// How sittings are run, and those that were used last.
#[derive(Debug)]
pub struct Sittings {
    /// How they are run.
    pub rules: SittingRules,
    known: Cache<TestSessionId, Known>,
    /// Sittings that could not be closed and were logged.
    told: Cache<TestSessionId, ()>,
    together: Arc<Together>,
}

/// What is remembered of a sitting. Its paper is kept with the papers, within their bound.
#[derive(Clone, Copy, Debug)]
struct Known {
    owner: UserId,
    paper: PaperRevision,
    seed: i64,
}

/// Some hundred bytes each.
const KNOWN: usize = 20_000;

impl Sittings {
    /// None is read yet.
    #[must_use]
    pub fn new(rules: SittingRules) -> Self {
        Self { rules, known: Cache::new(KNOWN), told: Cache::new(KNOWN), together: Arc::default() }
    }
}

impl Sittings {
    /// Whether to log that this sitting could not be closed: true only once for each sitting.
    fn tells_of(&self, id: TestSessionId) -> bool {
        let is_new = self.told.get(&id).is_none();
        self.told.insert(id, ());
        is_new
    }
}

/// A sitting of this user; none where there is none or it is another's.
///
/// # Errors
/// The database's.
pub async fn sitting(
    services: &Services,
    owner: UserId,
    id: TestSessionId,
) -> Result<Option<Sitting>, DbErr> {
    if let Some(known) = services.sittings.known.get(&id) {
        return if known.owner == owner { with_paper(services, id, known).await.map(Some) } else { Ok(None) };
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

/// The sitting that a row tells of.
///
/// # Errors
/// The database's.
pub async fn sitting_of(services: &Services, row: &test_session::Model) -> Result<Sitting, DbErr> {
    let known = Known { owner: row.user_id, paper: row.into(), seed: row.seed };
    services.sittings.known.insert(row.id, known);
    with_paper(services, row.id, known).await
}

async fn with_paper(services: &Services, id: TestSessionId, known: Known) -> Result<Sitting, DbErr> {
    let paper = services.papers.get(known.paper).await?;
    Ok(Sitting { id, owner: known.owner, paper, seed: known.seed })
}

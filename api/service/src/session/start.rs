//! Starts sittings.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::test_session::{self, SessionStatus};
use jishu_entity::user::UserStatus;
use jishu_entity::{MockTestAttemptId, UserId, entitlement};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, TryIntoModel,
};

use super::stored::{StoredCard, Terms};
use super::{SittingRules, close, deadline};
use crate::Services;
use crate::clock::Clock;
use crate::database::{WritePolicy, lock_user, updated_one};
use crate::error::{Error, Refusal};
use crate::events::{self, Event};
use crate::failpoint;
use crate::guardian::{self, ConsentRefusal, ConsentRule};
use crate::metrics::StartResult;
use crate::paper::{self, Paper, PaperRefusal, Papers};

/// The open sitting that a start returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The sitting.
    pub session: test_session::Model,
    /// Whether the sitting was already open before this start.
    pub resumed: bool,
}

/// A reason not to start a sitting.
#[derive(Debug, thiserror::Error)]
pub enum StartRefusal {
    /// The user has no such card.
    #[error("There is no such test card.")]
    NotFound,
    /// The account is deleted or deactivated.
    #[error("This account is deactivated or deleted, so it cannot sit tests. Ask support for help.")]
    LearnerNotActive,
    /// The subject was refunded, or the term of its purchase is over.
    #[error("The access to this test card has ended. Purchase the subject again to sit its tests.")]
    EntitlementEnded,
    /// Every attempt of the card is used.
    #[error("All {max_attempts} attempts of this test card are used.")]
    Exhausted {
        /// The number of attempts of the card.
        max_attempts: i32,
    },
    /// The consent of a guardian is missing.
    #[error(transparent)]
    Consent(#[from] ConsentRefusal),
    /// The test has no paper, and none can be made.
    #[error(transparent)]
    Paper(#[from] PaperRefusal),
}

impl Refusal for StartRefusal {}

/// A start that [`run`] carries out.
struct StartCommand {
    learner: UserId,
    card: MockTestAttemptId,
    paper: Arc<Paper>,
    papers: Arc<Papers>,
    seed: i64,
    rules: SittingRules,
    consent: ConsentRule,
    clock: Arc<dyn Clock>,
}

/// The outcome of a transaction that commits. A refusal is an outcome here and not an error, because the transaction
/// may have closed an overdue sitting, which must be committed.
enum StartOutcome {
    Open(Started),
    Refused(StartRefusal),
}

/// Returns the open sitting of a card, or starts a new sitting, which uses an attempt. If the open sitting is overdue,
/// closes it first.
///
/// # Errors
/// See [`StartRefusal`]. A refusal means that no sitting was started.
#[service_call("session.start")]
pub async fn start(
    services: &Services,
    learner: UserId,
    id: MockTestAttemptId,
) -> Result<Started, Error<StartRefusal>> {
    let result = start_or_resume(services, learner, id).await;
    if let Some(metrics) = services.metrics.business() {
        metrics.start(match &result {
            Ok(Started { resumed: false, .. }) => StartResult::Started,
            Ok(Started { resumed: true, .. }) => StartResult::Resumed,
            Err(Error::Refused(_)) => StartResult::Refused,
            Err(Error::Failed(_)) => StartResult::Failed,
        });
    }
    result
}

async fn start_or_resume(
    services: &Services,
    learner: UserId,
    id: MockTestAttemptId,
) -> Result<Started, Error<StartRefusal>> {
    let now = services.clock.now();
    let stored =
        StoredCard::read(services.database.reader(), learner, id).await?.ok_or(StartRefusal::NotFound)?;
    let row = &stored.card;
    // Check the card before making a paper, so that no paper is made for a card that cannot be sat. The transaction
    // checks the card again.
    if row.status == CardStatus::Exhausted {
        return Err(StartRefusal::Exhausted { max_attempts: row.max_attempts }.into());
    }
    if row.status != CardStatus::InProgress && !stored.is_entitled(now) {
        return Err(StartRefusal::EntitlementEnded.into());
    }
    let paper = match stored.paper {
        Some(paper) => services.papers.get(paper).await?,
        None => {
            let paper = paper::of_test(services, row.subject_id, row.test_number).await;
            paper.map_err(|error| error.map(StartRefusal::from))?
        }
    };
    let command = StartCommand {
        learner,
        card: id,
        paper,
        papers: Arc::clone(&services.papers),
        seed: rand::random(),
        rules: services.sittings.rules,
        consent: services.consent,
        clock: Arc::clone(&services.clock),
    };
    let policy = WritePolicy::idempotent("start").retry_taken_keys();
    let outcome = services
        .database
        .write_for(learner, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    services.events.appended(learner);
    match outcome {
        StartOutcome::Open(started) => Ok(started),
        StartOutcome::Refused(refusal) => Err(refusal.into()),
    }
}

/// Tells whether [`start`] would succeed now, judged by rows that the caller has read. `open` is the open sitting of
/// the card, and `right` the entitlement that gave the card. Does not check the account, the consent of a guardian and
/// the paper, which [`start`] also checks.
#[must_use]
pub fn can_start(
    services: &Services,
    card: &mock_test_attempt::Model,
    open: Option<&test_session::Model>,
    right: Option<&entitlement::Model>,
) -> bool {
    let now = services.clock.now();
    if open.is_some_and(|open| !services.sittings.rules.is_overdue(open.expires_at, now)) {
        return true;
    }
    card.attempts_used < card.max_attempts && right.is_some_and(|right| right.is_live(now))
}

/// Resumes or starts a sitting in a transaction.
async fn run(
    transaction: &DatabaseTransaction,
    command: &StartCommand,
) -> Result<StartOutcome, Error<StartRefusal>> {
    if lock_user(transaction, command.learner).await? != Some(UserStatus::Active) {
        return Err(StartRefusal::LearnerNotActive.into());
    }
    failpoint::boundary("start.locked");
    // Read the clock after taking the lock, so that the learner does not lose the time that was spent waiting for the
    // lock.
    let now = command.clock.now();
    let read = async || {
        let stored = StoredCard::read(transaction, command.learner, command.card).await?;
        stored.ok_or_else(|| Error::from(StartRefusal::NotFound))
    };
    let mut stored = read().await?;
    if let Some(open) = stored.open.take() {
        if !command.rules.is_overdue(open.expires_at, now) {
            return Ok(StartOutcome::Open(Started { session: open, resumed: true }));
        }
        let open = close::lock(transaction, open.id).await?;
        // The open sitting may use an older revision of the paper, from before a key was corrected.
        let paper = command.papers.get_through(transaction, (&open).into()).await?;
        close::close(transaction, open, &paper, close::Ending::Overdue, now).await?;
        stored = read().await?;
    }
    let card = &stored.card;
    if card.attempts_used >= card.max_attempts {
        return Ok(StartOutcome::Refused(StartRefusal::Exhausted { max_attempts: card.max_attempts }));
    }
    let Some(right) = stored.right.as_ref().filter(|right| right.is_live(now)) else {
        return Ok(StartOutcome::Refused(StartRefusal::EntitlementEnded));
    };
    // Only a new sitting needs the consent of a guardian. An open sitting was returned above.
    if let Some(refusal) = guardian::missing(transaction, command.learner, command.consent, now).await? {
        return Ok(StartOutcome::Refused(refusal.into()));
    }
    let terms = Terms::read(transaction, card, command.paper.id.paper).await?;
    // Use the newest revision of the paper: a key may have been corrected while this transaction waited for the lock.
    let paper = command.papers.newest_through(transaction, &command.paper, terms.revision).await?;
    let extra_seconds = stored.extra_seconds.max(terms.extra_seconds);
    let seconds = paper.row.time_limit_seconds + extra_seconds;
    let session = insert(transaction, command, &paper, card, (now, deadline(now, seconds, right))).await?;
    failpoint::boundary("start.inserted");
    let update = mock_test_attempt::Entity::update_many().set(mock_test_attempt::ActiveModel {
        attempts_used: Set(session.attempt_number),
        status: Set(CardStatus::InProgress),
        latest_attempt_at: Set(Some(now)),
        ..Default::default()
    });
    updated_one(&update.filter(mock_test_attempt::Column::Id.eq(card.id)).exec(transaction).await?)?;
    let event = Event::SessionStarted(command.card);
    events::append(transaction, now, Some(command.learner), event).await?;
    failpoint::boundary("start.counted");
    Ok(StartOutcome::Open(Started { session, resumed: false }))
}

/// Tells whether the entitlement that gave a card is live.
pub(super) async fn is_entitled(
    connection: &impl ConnectionTrait,
    card: &mock_test_attempt::Model,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    Ok(live_entitlement(connection, card, now).await?.is_some())
}

/// Returns the entitlement that gave a card, or None if it is not live.
async fn live_entitlement(
    connection: &impl ConnectionTrait,
    card: &mock_test_attempt::Model,
    now: DateTime<Utc>,
) -> Result<Option<entitlement::Model>, DbErr> {
    entitlement::Entity::live_of(card.user_id, now)
        .filter(entitlement::Column::PurchaseId.eq(card.purchase_id))
        .filter(entitlement::Column::SubjectId.eq(card.subject_id))
        .one(connection)
        .await
}

/// Inserts a new sitting of a card, with the times of its start and its deadline. Uses the next attempt number of the
/// card, but does not update the card.
async fn insert(
    transaction: &DatabaseTransaction,
    command: &StartCommand,
    paper: &Paper,
    card: &mock_test_attempt::Model,
    (started_at, expires_at): (DateTime<Utc>, DateTime<Utc>),
) -> Result<test_session::Model, DbErr> {
    let mut session = test_session::ActiveModel {
        id: NotSet,
        mock_test_attempt_id: Set(card.id),
        user_id: Set(card.user_id),
        subject_id: Set(card.subject_id),
        paper_id: Set(paper.id.paper),
        paper_revision: Set(paper.id.revision),
        attempt_number: Set(card.attempts_used + 1),
        seed: Set(command.seed),
        status: Set(SessionStatus::InProgress),
        open_marker: Set(Some(1)),
        ranked: Set(None),
        started_at: Set(started_at),
        expires_at: Set(expires_at),
        submitted_at: Set(None),
        end_reason: Set(None),
        score: Set(None),
        max_score: Set(None),
        percentage: Set(None),
        correct: Set(None),
        wrong: Set(None),
        unanswered: Set(None),
        time_taken_seconds: Set(None),
        saves: Set(0),
    };
    let inserted = test_session::Entity::insert(session.clone()).exec(transaction).await?;
    session.id = Set(inserted.last_insert_id);
    session.try_into_model()
}

//! Ends sittings. A submission, the deadline, the end of an entitlement and the deletion of an account all use the
//! function [`close`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jishu_entity::entitlement::EntitlementEnd;
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::test_session::{self, SessionStatus};
use jishu_entity::{SubjectId, TestSessionId, UserId, entitlement, test_answer};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QuerySelect, TryIntoModel,
};

use super::answers::{AnswerBatch, AnswerRefusal, StoredAnswer, check_batch, learner_answer};
use super::comparison::compare_with_stored;
use super::upsert::{AnswerWrite, upsert};
use super::{Sitting, SittingRules};
use crate::database::{WritePolicy, lock_user, locked, updated_one};
use crate::error::{Error, Fault, Refusal};
use crate::events::{self, Event};
use crate::failpoint;
use crate::paper::Paper;
use crate::scoring::{self, LearnerAnswer, Score};
use crate::{Services, progress, ranking};

/// The result of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The closed sitting, with its result.
    pub session: test_session::Model,
    /// The slots of the last batch whose answers are not stored, because the sitting was already over or its deadline
    /// and the grace time had passed. A slot is not listed if an earlier batch has stored the same answer.
    pub refused: Vec<i32>,
}

/// A reason not to submit a sitting. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SubmitRefusal {
    /// The user has no such sitting.
    #[error("There is no such sitting.")]
    NotFound,
    /// The last batch was refused.
    #[error(transparent)]
    Answer(#[from] AnswerRefusal),
    /// Other batches with the same or a greater number have already set these slots of the last batch.
    #[error(
        "Another tab or device has answered some slots of this batch in the meantime. Nothing was saved, and the \
         sitting is still open."
    )]
    Superseded(Vec<i32>),
}

impl Refusal for SubmitRefusal {}

/// A submission that [`run`] carries out.
struct SubmitCommand {
    sitting: Sitting,
    /// The number and the answers of the last batch; None if the submission has no answers.
    last: Option<(i32, Vec<StoredAnswer>)>,
    rules: SittingRules,
    now: DateTime<Utc>,
}

/// Saves a last batch of answers, and closes and scores the sitting. If the deadline and the grace time have passed,
/// closes the sitting without saving the batch. If the sitting is already over, returns its result again.
///
/// # Errors
/// See [`SubmitRefusal`].
#[service_call("session.submit")]
pub async fn submit(
    services: &Services,
    owner: UserId,
    id: TestSessionId,
    last: Option<AnswerBatch>,
) -> Result<Submission, Error<SubmitRefusal>> {
    let sitting = super::sitting(services, owner, id).await?.ok_or(SubmitRefusal::NotFound)?;
    let last = match last {
        Some(batch) => Some((
            batch.sequence,
            check_batch(&sitting, batch.sequence, batch.answers).map_err(SubmitRefusal::from)?,
        )),
        None => None,
    };
    let command = SubmitCommand { sitting, last, rules: services.sittings.rules, now: services.clock.now() };
    let policy = WritePolicy::idempotent("submit").retry_taken_keys();
    let submission = services
        .database
        .write_for(owner, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    services.events.appended(owner);
    if let Some(metrics) = services.metrics.business() {
        metrics.submit();
    }
    Ok(submission)
}

/// Saves the last batch and closes the sitting in a transaction, if the sitting is still open.
async fn run(
    transaction: &DatabaseTransaction,
    command: &SubmitCommand,
) -> Result<Submission, Error<SubmitRefusal>> {
    let sitting = &command.sitting;
    lock_user(transaction, sitting.owner).await?;
    let session = lock(transaction, sitting.id).await?;
    failpoint::boundary("submit.locked");
    let is_over = session.open_marker.is_none();
    let is_overdue = command.rules.is_overdue(session.expires_at, command.now);
    let mut refused = Vec::new();
    if let Some((sequence, answers)) = &command.last {
        if !is_over && !is_overdue {
            let write = AnswerWrite {
                id: sitting.id,
                owner: sitting.owner,
                sequence: *sequence,
                answers: answers.clone(),
                now: command.now,
                overdue_before: command.rules.overdue_before(command.now),
                wants_sequence: false,
            };
            let statement = upsert(transaction.get_database_backend(), &[&write]);
            transaction.execute_raw(statement).await?;
        }
        let stored = compare_with_stored(transaction, sitting.id, *sequence, answers).await?;
        if is_over || is_overdue {
            // If this submission is a repetition, its answers are stored, so they are not reported as refused.
            refused = stored.not_stored;
        } else if !stored.superseded.is_empty() {
            return Err(SubmitRefusal::Superseded(stored.superseded).into());
        }
    }
    failpoint::boundary("submit.saved");
    let session = if is_over {
        session
    } else {
        let ending = if is_overdue { Ending::Overdue } else { Ending::Submitted };
        close(transaction, session, &sitting.paper, ending, command.now).await?
    };
    Ok(Submission { session, refused })
}

/// Reads the row of a sitting, and locks it until the transaction ends. Other transactions then cannot save answers in
/// the sitting or close it.
pub(super) async fn lock(
    transaction: &DatabaseTransaction,
    id: TestSessionId,
) -> Result<test_session::Model, Fault> {
    let select = test_session::Entity::find_by_id(id);
    locked(transaction.get_database_backend(), select)
        .one(transaction)
        .await?
        .ok_or_else(|| Fault::missing(format_args!("sitting {id}")))
}

/// The way in which a sitting ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The learner submitted the sitting.
    Submitted,
    /// The deadline of the sitting has passed.
    Overdue,
    /// The entitlement to the card of the sitting ended at this time, for this reason.
    Entitlement(EntitlementEnd, DateTime<Utc>),
    /// The account of the learner is deleted.
    Deletion,
}

/// Closes and scores an open sitting, and adds its result to the ranking, the card and the totals of topics. Appends an
/// audit event. The stored end of the sitting is never after its deadline. The caller must have locked the rows of the
/// learner and of the sitting.
pub(super) async fn close(
    transaction: &DatabaseTransaction,
    session: test_session::Model,
    paper: &Paper,
    ending: Ending,
    now: DateTime<Utc>,
) -> Result<test_session::Model, Fault> {
    let card = card_of(transaction, &session).await?;
    let (ended_at, end_reason) = match ending {
        Ending::Submitted | Ending::Deletion => (now, None),
        Ending::Overdue => (now, expiry_that_set_deadline(transaction, &session, &card).await?),
        Ending::Entitlement(reason, at) => (at, Some(reason)),
    };
    let answers = answers(transaction, session.id).await?;
    let score = score(paper, &answers);
    let (total, marks) = (score.total, |marks| i32::try_from(marks).unwrap_or(i32::MAX));
    // A sitting must not end before its start. A clock can be set back, and the clocks of two nodes can differ.
    let submitted_at = ended_at.min(session.expires_at).max(session.started_at);
    let status = match ending {
        Ending::Submitted => SessionStatus::Submitted,
        _ if answers.values().any(LearnerAnswer::is_given) => SessionStatus::AutoSubmitted,
        _ => SessionStatus::Abandoned,
    };
    let (id, owner, card_id) = (session.id, session.user_id, card.id);
    let ranked = ranking::rank(transaction, session.paper_id, owner, marks(total.score)).await?;
    let time_taken = submitted_at - session.started_at;
    let mut closed = session.into_active_model();
    closed.status = Set(status);
    closed.open_marker = Set(None);
    closed.ranked = Set(ranked.then_some(1));
    closed.submitted_at = Set(Some(submitted_at));
    closed.end_reason = Set(end_reason);
    closed.score = Set(Some(marks(total.score)));
    closed.max_score = Set(Some(marks(total.max_score)));
    closed.percentage = Set(Some(total.percentage()));
    closed.correct = Set(Some(total.correct));
    closed.wrong = Set(Some(total.wrong));
    closed.unanswered = Set(Some(total.unanswered));
    closed.time_taken_seconds = Set(Some(i32::try_from(time_taken.num_seconds()).unwrap_or(i32::MAX)));
    let update = test_session::Entity::update_many().set(closed.clone());
    updated_one(&update.filter(test_session::Column::Id.eq(id)).exec(transaction).await?)?;
    let closed = closed.try_into_model()?;
    failpoint::boundary("close.scored");
    count_on_card(transaction, &card, marks(total.score), total.percentage()).await?;
    progress::add(transaction, owner, &score.topics).await?;
    events::append(transaction, now, None, Event::SessionClosed(card_id)).await?;
    failpoint::boundary("close.counted");
    Ok(closed)
}

/// Reads the saved answers of a sitting in the form that scoring takes, by slot.
pub(super) async fn answers(
    connection: &impl ConnectionTrait,
    id: TestSessionId,
) -> Result<HashMap<i32, LearnerAnswer>, DbErr> {
    let rows = test_answer::Entity::find().filter(test_answer::Column::SessionId.eq(id)).all(connection);
    Ok(rows.await?.iter().map(|row| (row.slot, learner_answer(row))).collect())
}

/// Scores the answers to a paper. A slot without an answer counts as unanswered.
pub(super) fn score(paper: &Paper, answers: &HashMap<i32, LearnerAnswer>) -> Score {
    let answer = |slot| answers.get(&slot).cloned().unwrap_or_default();
    let questions = paper.slots().map(|(slot, question)| (question.topic_id, &question.key, answer(slot)));
    scoring::score(paper.marks(), questions)
}

/// Reads the card of a sitting.
async fn card_of(
    transaction: &DatabaseTransaction,
    session: &test_session::Model,
) -> Result<mock_test_attempt::Model, Fault> {
    let id = session.mock_test_attempt_id;
    mock_test_attempt::Entity::of(session.user_id)
        .filter(mock_test_attempt::Column::Id.eq(id))
        .one(transaction)
        .await?
        .ok_or_else(|| Fault::missing(format_args!("test card {id}")))
}

/// Returns [`EntitlementEnd::Expired`] if the deadline of a sitting is the end of the entitlement. Returns None if the
/// time limit of the test set the deadline.
async fn expiry_that_set_deadline(
    transaction: &DatabaseTransaction,
    session: &test_session::Model,
    card: &mock_test_attempt::Model,
) -> Result<Option<EntitlementEnd>, DbErr> {
    // The database compares the times, so that this function does not have to read them. An entitlement with an
    // unreadable time must not prevent the closing of the sitting.
    let limiting: Option<SubjectId> = entitlement::Entity::find_by_id((card.purchase_id, card.subject_id))
        .select_only()
        .column(entitlement::Column::SubjectId)
        .filter(entitlement::Column::ExpiresAt.eq(session.expires_at))
        .into_tuple()
        .one(transaction)
        .await?;
    Ok(limiting.map(|_| EntitlementEnd::Expired))
}

/// Updates the scores and the status of a card with the result of a sitting.
async fn count_on_card(
    transaction: &DatabaseTransaction,
    card: &mock_test_attempt::Model,
    score: i32,
    percentage: i32,
) -> Result<(), Fault> {
    let is_used_up = card.attempts_used >= card.max_attempts;
    let first_score = card.first_score.unwrap_or(score);
    let best_score = card.best_score.map_or(score, |best| best.max(score));
    let result = mock_test_attempt::ActiveModel {
        status: Set(if is_used_up { CardStatus::Exhausted } else { CardStatus::Completed }),
        latest_score: Set(Some(score)),
        latest_percentage: Set(Some(percentage)),
        first_score: Set(Some(first_score)),
        best_score: Set(Some(best_score)),
        ..Default::default()
    };
    let update = mock_test_attempt::Entity::update_many().set(result);
    updated_one(&update.filter(mock_test_attempt::Column::Id.eq(card.id)).exec(transaction).await?)?;
    Ok(())
}

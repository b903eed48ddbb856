//! Stores an allowance, and applies it to the cards and open sittings of its scope.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::{
    CourseId, SubjectId, UserId, allowance, course, mock_test_attempt, subject, test_session,
};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, Value,
};
use serde_json::json;

use super::apply::apply;
use super::{AllowancePlace, AllowanceRefusal, AllowanceRequest, AllowanceScope, AppliedChanges, Granted};
use crate::Services;
use crate::account::Support;
use crate::audit::{self, StateChange};
use crate::card_limits::{MAX_ATTEMPTS_PER_CARD, MAX_EXTRA_SECONDS};
use crate::database::{QueueKey, WritePolicy, lock_course, lock_user, sql};
use crate::error::{Error, Fault};
use crate::reason;

/// The action of the audit event that records the grant of an allowance.
const GRANTED: &str = "allowance.granted";
/// The time after which a call begins no further learner. The next call with the same allowance continues with the
/// remaining learners.
const MAX_APPLY_TIME: Duration = Duration::from_secs(10);
/// Maximum number of learners to whose cards an allowance is applied at the same time.
const MAX_CONCURRENT_LEARNERS: usize = 4;

struct StoreAllowanceCommand {
    /// The member of support who grants the allowance.
    by: UserId,
    request: AllowanceRequest,
    now: DateTime<Utc>,
}

/// Grants extra time or attempts to all cards of a scope. Open sittings get the extra time at once. No deadline moves
/// to an earlier time, and no card loses attempts.
///
/// If the scope has many learners, the call stops after about 10 seconds. A repeated call continues with the remaining
/// learners.
///
/// # Errors
/// See [`AllowanceRefusal`]. A refusal means that nothing was written.
#[service_call("allowance.grant")]
pub async fn grant(
    services: &Services,
    by: Support,
    request: AllowanceRequest,
) -> Result<Granted, Error<AllowanceRefusal>> {
    let started = Instant::now();
    let request = check(request)?;
    let (scope, by) = (request.scope, by.id());
    let now = services.clock.now();
    let command = StoreAllowanceCommand { by, request, now };
    let policy = WritePolicy::idempotent("store an allowance").retry_taken_keys();
    let key = queue_key(scope);
    let (allowance, is_stored) = services
        .database
        .write_for(key, policy, command, |transaction, command| Box::pin(store(transaction, command)))
        .await?;
    if is_stored {
        tracing::info!(by = %by, scope = allowance.scope, "an allowance was granted");
    }
    let changes = bring_in_line(services, by, &allowance, scope, started).await?;
    if changes.is_any() {
        tracing::info!(by = %by, scope = allowance.scope, ?changes, "an allowance was applied");
    }
    Ok(Granted { allowance, changes })
}

fn check(request: AllowanceRequest) -> Result<AllowanceRequest, AllowanceRefusal> {
    if request.scope.user.is_none() && request.scope.place.is_none() {
        return Err(AllowanceRefusal::NoScope);
    }
    if request.extra_seconds.is_none() && request.max_attempts.is_none() {
        return Err(AllowanceRefusal::NothingGranted);
    }
    if request.extra_seconds.is_some_and(|seconds| !(0..=MAX_EXTRA_SECONDS).contains(&seconds)) {
        return Err(AllowanceRefusal::SecondsOutOfRange);
    }
    if request.max_attempts.is_some_and(|attempts| !(1..=MAX_ATTEMPTS_PER_CARD).contains(&attempts)) {
        return Err(AllowanceRefusal::AttemptsOutOfRange);
    }
    let reason = request.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.map(|text| reason::checked(&text).ok_or(AllowanceRefusal::Reason)).transpose()?;
    Ok(AllowanceRequest { reason, ..request })
}

/// Returns the key of the queue in which storing an allowance waits: that of the user, the subject or the course of its
/// scope.
fn queue_key(scope: AllowanceScope) -> QueueKey {
    match (scope.user, scope.place) {
        (Some(user), _) => user.into(),
        (None, Some(AllowancePlace::Subject(subject))) => subject.into(),
        (None, Some(AllowancePlace::Course(course))) => course.into(),
        // `check` has refused a scope without user and place, so this key is never used.
        (None, None) => CourseId(0).into(),
    }
}

/// Stores the allowance in place of the previous one of its scope, and appends an audit event. Changes nothing if the
/// stored allowance has the same values. Returns the stored allowance, and whether the command changed it.
async fn store(
    transaction: &DatabaseTransaction,
    command: &StoreAllowanceCommand,
) -> Result<(allowance::Model, bool), Error<AllowanceRefusal>> {
    let AllowanceRequest { scope, extra_seconds, max_attempts, reason } = &command.request;
    if let Some(user) = scope.user {
        lock_user(transaction, user).await?.ok_or(AllowanceRefusal::UserNotFound)?;
    }
    lock_place(transaction, *scope).await?;
    let text = scope.text();
    let stored = allowance::Entity::find().filter(allowance::Column::Scope.eq(text.as_str()));
    let stored = stored.one(transaction).await?;
    let values = |row: &allowance::Model| json!({ "extraSeconds": row.extra_seconds, "maxAttempts": row.max_attempts });
    let before = stored.as_ref().map(values);
    let row = match stored {
        Some(row)
            if (row.extra_seconds, row.max_attempts, &row.reason)
                == (*extra_seconds, *max_attempts, reason) =>
        {
            return Ok((row, false));
        }
        Some(row) => {
            let mut row = row.into_active_model();
            row.extra_seconds = Set(*extra_seconds);
            row.max_attempts = Set(*max_attempts);
            row.reason = Set(reason.clone());
            row.granted_by = Set(command.by);
            row.granted_at = Set(command.now);
            row.update(transaction).await?
        }
        None => {
            let (subject, course) = match scope.place {
                Some(AllowancePlace::Subject(id)) => (Some(id), None),
                Some(AllowancePlace::Course(id)) => (None, Some(id)),
                None => (None, None),
            };
            let row = allowance::ActiveModel {
                id: NotSet,
                scope: Set(text),
                user_id: Set(scope.user),
                course_id: Set(course),
                subject_id: Set(subject),
                extra_seconds: Set(*extra_seconds),
                max_attempts: Set(*max_attempts),
                reason: Set(reason.clone()),
                granted_by: Set(command.by),
                granted_at: Set(command.now),
            };
            row.insert(transaction).await?
        }
    };
    let change = match before {
        Some(before) => StateChange::between(before, values(&row)),
        None => StateChange::created(values(&row)),
    };
    let target = ("allowances", row.id.0);
    audit::append_change(transaction, command.now, Some(command.by), GRANTED, target, &change).await?;
    Ok((row, true))
}

/// Checks that the subject or the course of a scope exists. If the scope is for all learners, also locks the rows of
/// the course and of the subjects, without waiting.
///
/// A purchase and the start of a sitting take shared locks on the rows of their subjects until they are committed. So
/// they either end before the allowance is stored, or read the allowance. An author who adds a subject to a course
/// locks the row of the course. So nobody can add a subject, and sell it, between the locks and the commit.
async fn lock_place(
    transaction: &DatabaseTransaction,
    scope: AllowanceScope,
) -> Result<(), Error<AllowanceRefusal>> {
    let subjects = match scope.place {
        None => return Ok(()),
        Some(AllowancePlace::Subject(id)) => {
            subject::Entity::find_by_id(id)
                .one(transaction)
                .await?
                .ok_or(AllowanceRefusal::SubjectNotFound)?;
            vec![id]
        }
        Some(AllowancePlace::Course(id)) if scope.user.is_some() => {
            course::Entity::find_by_id(id).one(transaction).await?.ok_or(AllowanceRefusal::CourseNotFound)?;
            return Ok(());
        }
        Some(AllowancePlace::Course(id)) => {
            if !lock_course(transaction, id).await? {
                return Err(AllowanceRefusal::CourseNotFound.into());
            }
            subjects_of(transaction, scope).await?.unwrap_or_default()
        }
    };
    if scope.user.is_some() || subjects.is_empty() {
        return Ok(());
    }
    let backend = transaction.get_database_backend();
    if backend != DbBackend::Sqlite {
        let parameters = vec!["?"; subjects.len()].join(", ");
        let text =
            format!("SELECT id FROM subjects WHERE id IN ({parameters}) ORDER BY id FOR UPDATE NOWAIT");
        transaction.query_all_raw(sql(backend, &text, subjects.into_iter().map(Value::from))).await?;
    }
    Ok(())
}

/// Returns the subjects of a scope. Returns None if the scope is for all subjects.
async fn subjects_of(
    connection: &impl ConnectionTrait,
    scope: AllowanceScope,
) -> Result<Option<Vec<SubjectId>>, DbErr> {
    match scope.place {
        None => Ok(None),
        Some(AllowancePlace::Subject(id)) => Ok(Some(vec![id])),
        Some(AllowancePlace::Course(id)) => {
            let subjects = subject::Entity::find()
                .select_only()
                .column(subject::Column::Id)
                .filter(subject::Column::CourseId.eq(id));
            Ok(Some(subjects.into_tuple().all(connection).await?))
        }
    }
}

/// Applies an allowance to the cards and open sittings of all learners of its scope. Counts the learners that remain
/// after [`MAX_APPLY_TIME`], and those for whom the database could not be used: the allowance itself is stored already.
/// If the database cannot be used to find the learners, counts one learner that remains.
async fn bring_in_line(
    services: &Services,
    by: UserId,
    allowance: &allowance::Model,
    scope: AllowanceScope,
    started: Instant,
) -> Result<AppliedChanges, Fault> {
    let remains = AppliedChanges { remaining_learners: 1, ..AppliedChanges::default() };
    let (subjects, learners) = match read_scope(services, allowance, scope).await {
        Err(fault) if fault.is_temporary() => {
            tracing::warn!(scope = allowance.scope, error = %fault, "an allowance was not applied to its learners yet");
            return Ok(remains);
        }
        read => read?,
    };
    let applied: Vec<Result<AppliedChanges, Fault>> = stream::iter(learners)
        .map(async |learner| {
            if started.elapsed() > MAX_APPLY_TIME {
                return Ok(remains);
            }
            match apply(services, by, learner, subjects.clone()).await {
                Err(fault) if fault.is_temporary() => {
                    tracing::warn!(user = %learner, error = %fault, "an allowance was not applied to a learner yet");
                    Ok(remains)
                }
                applied => applied,
            }
        })
        .buffer_unordered(MAX_CONCURRENT_LEARNERS)
        .collect()
        .await;
    applied.into_iter().try_fold(AppliedChanges::default(), |all, one| Ok(all.and(one?)))
}

/// Reads the subjects of a scope as [`subjects_of`] does, and finds its learners as [`learners`] does.
async fn read_scope(
    services: &Services,
    allowance: &allowance::Model,
    scope: AllowanceScope,
) -> Result<(Option<Vec<SubjectId>>, Vec<UserId>), Fault> {
    let subjects = subjects_of(services.database.reader(), scope).await?;
    let learners = learners(services, allowance, scope, subjects.as_deref()).await?;
    Ok((subjects, learners))
}

/// Finds the learners of a scope whose cards or open sittings may have to change.
async fn learners(
    services: &Services,
    allowance: &allowance::Model,
    scope: AllowanceScope,
    subjects: Option<&[SubjectId]>,
) -> Result<Vec<UserId>, DbErr> {
    let reader = services.database.reader();
    if let Some(user) = scope.user {
        return Ok(vec![user]);
    }
    let subjects = || subjects.unwrap_or_default().iter().copied();
    let mut learners = BTreeSet::new();
    if allowance.extra_seconds.is_some_and(|seconds| seconds > 0) {
        let sitting: Vec<UserId> = test_session::Entity::find()
            .select_only()
            .column(test_session::Column::UserId)
            .distinct()
            .filter(test_session::Column::OpenMarker.eq(1))
            .filter(test_session::Column::SubjectId.is_in(subjects()))
            .into_tuple()
            .all(reader)
            .await?;
        learners.extend(sitting);
    }
    if let Some(attempts) = allowance.max_attempts {
        let owners: Vec<UserId> = mock_test_attempt::Entity::find()
            .select_only()
            .column(mock_test_attempt::Column::UserId)
            .distinct()
            .filter(mock_test_attempt::Column::SubjectId.is_in(subjects()))
            .filter(mock_test_attempt::Column::MaxAttempts.lt(attempts))
            .into_tuple()
            .all(reader)
            .await?;
        learners.extend(owners);
    }
    Ok(learners.into_iter().collect())
}

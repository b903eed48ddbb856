//! Stores courses and subjects, each with an audit event.

use jishu_entity::{course, subject};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ConnectionTrait, DbErr,
    IntoActiveModel, SqlErr,
};
use serde_json::{Value, json};

use super::{Authorship, EditRefusal};
use crate::audit::{self, StateChange};
use crate::error::Error;
use crate::money::Money;

/// Returns the values of a course as a JSON object, for the audit trail and for the report of a catalogue file.
pub(crate) fn course_state(row: &course::Model) -> Value {
    json!({
        "code": row.code,
        "name": row.name,
        "description": row.description,
        "currency": row.currency,
        "bundlePrice": row.bundle_price.map(|minor| amount(minor, &row.currency)),
        "validityDays": row.validity_days,
        "archived": row.archived_at.is_some(),
    })
}

/// Returns the values of a subject as a JSON object, like [`course_state`]. `currency` is the currency of its prices.
pub(crate) fn subject_state(row: &subject::Model, currency: &str) -> Value {
    json!({
        "code": row.code,
        "name": row.name,
        "listPrice": amount(row.list_price, currency),
        "offerPrice": row.offer_price.map(|minor| amount(minor, currency)),
        "offerStartsAt": row.offer_starts_at,
        "offerEndsAt": row.offer_ends_at,
        "totalMockTests": row.total_mock_tests,
        "maxAttempts": row.max_attempts,
        "marksCorrect": marks(row.marks_correct),
        "marksWrong": marks(row.marks_wrong),
        "marksUnanswered": marks(row.marks_unanswered),
        "questionsPerTest": row.questions_per_test,
        "timeLimitSeconds": row.time_limit_seconds,
        "gradingMethod": row.grading_method.to_value(),
        "reviewPolicy": row.review_policy.to_value(),
        "archived": row.archived_at.is_some(),
    })
}

fn amount(minor: i64, currency: &str) -> String {
    Money::new(minor, currency).amount().to_string()
}

fn marks(hundredths: i32) -> String {
    rust_decimal::Decimal::new(hundredths.into(), 2).to_string()
}

/// Converts a violation of a unique key to the refusal that the code is taken. Keeps other errors.
pub(super) fn code_taken(error: DbErr) -> Error<EditRefusal> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => EditRefusal::CodeTaken.into(),
        _ => error.into(),
    }
}

/// Returns the last part of the name of the action that the audit event of a change gets.
fn action(was_archived: bool, is_archived: bool) -> &'static str {
    match (was_archived, is_archived) {
        (false, true) => "archived",
        (true, false) => "restored",
        _ => "updated",
    }
}

/// Inserts a new course with the version 1, and appends the audit event.
pub(crate) async fn insert_course(
    connection: &impl ConnectionTrait,
    authorship: Authorship,
    row: course::Model,
) -> Result<course::Model, DbErr> {
    let mut active = row.into_active_model().reset_all();
    active.id = NotSet;
    active.version = Set(1);
    let row = active.insert(connection).await?;
    let (target, change) = (("courses", row.id.0), StateChange::created(course_state(&row)));
    let Authorship { by, at } = authorship;
    audit::append_change(connection, at, by, "course.created", target, &change).await?;
    Ok(row)
}

/// Stores a changed course under the next version, and appends the audit event. Writes nothing if no value changed. The
/// caller must have locked the row.
pub(crate) async fn save_course(
    connection: &impl ConnectionTrait,
    authorship: Authorship,
    before: &course::Model,
    after: course::Model,
) -> Result<course::Model, DbErr> {
    let change = StateChange::between(course_state(before), course_state(&after));
    if change.is_empty() {
        return Ok(before.clone());
    }
    let mut active = after.into_active_model().reset_all();
    active.version = Set(before.version + 1);
    let row = active.update(connection).await?;
    let action = format!("course.{}", action(before.archived_at.is_some(), row.archived_at.is_some()));
    let Authorship { by, at } = authorship;
    audit::append_change(connection, at, by, &action, ("courses", row.id.0), &change).await?;
    Ok(row)
}

/// Inserts a new subject with the version 1, and appends the audit event. `currency` is the currency of its prices.
pub(crate) async fn insert_subject(
    connection: &impl ConnectionTrait,
    authorship: Authorship,
    row: subject::Model,
    currency: &str,
) -> Result<subject::Model, DbErr> {
    let mut active = row.into_active_model().reset_all();
    active.id = NotSet;
    active.version = Set(1);
    let row = active.insert(connection).await?;
    let (target, change) = (("subjects", row.id.0), StateChange::created(subject_state(&row, currency)));
    let Authorship { by, at } = authorship;
    audit::append_change(connection, at, by, "subject.created", target, &change).await?;
    Ok(row)
}

/// Stores a changed subject as [`save_course`] stores a course. `currency` is the currency of its prices.
pub(crate) async fn save_subject(
    connection: &impl ConnectionTrait,
    authorship: Authorship,
    before: &subject::Model,
    after: subject::Model,
    currency: &str,
) -> Result<subject::Model, DbErr> {
    let change = StateChange::between(subject_state(before, currency), subject_state(&after, currency));
    if change.is_empty() {
        return Ok(before.clone());
    }
    let mut active = after.into_active_model().reset_all();
    active.version = Set(before.version + 1);
    let row = active.update(connection).await?;
    let action = format!("subject.{}", action(before.archived_at.is_some(), row.archived_at.is_some()));
    let Authorship { by, at } = authorship;
    audit::append_change(connection, at, by, &action, ("subjects", row.id.0), &change).await?;
    Ok(row)
}

//! Placeholders for courses and subjects whose rows cannot be read, so that learners still see the courses and subjects
//! that they bought.
//!
//! A placeholder has the value of every readable column, and a default for each unreadable column. It is never sold.

use chrono::{DateTime, Utc};
use jishu_entity::subject::{GradingMethod, ReviewPolicy};
use jishu_entity::{course, subject};

use crate::database::Unreadable;

/// The ISO 4217 code for "no currency".
const NO_CURRENCY: &str = "XXX";

/// Makes the placeholder of a course. Returns None if the id cannot be read.
pub(super) fn course(row: &Unreadable) -> Option<course::Model> {
    use course::Column;
    let id: jishu_entity::CourseId = row.column(Column::Id)?;
    let created_at = row.column(Column::CreatedAt).unwrap_or(DateTime::UNIX_EPOCH);
    Some(course::Model {
        id,
        code: row.column(Column::Code).flatten(),
        name: row.column(Column::Name).unwrap_or_else(|| format!("Course {id}")),
        description: row.column(Column::Description).flatten(),
        currency: row.column(Column::Currency).unwrap_or_else(|| NO_CURRENCY.to_owned()),
        bundle_price: row.column(Column::BundlePrice).flatten(),
        validity_days: row.column(Column::ValidityDays).flatten(),
        version: row.column(Column::Version).unwrap_or(1),
        archived_at: archived_at(row.column(Column::ArchivedAt), created_at),
        created_at,
    })
}

/// Makes the placeholder of a subject. Returns None if its id or the id of its course cannot be read.
pub(super) fn subject(row: &Unreadable) -> Option<subject::Model> {
    use subject::Column;
    let id: jishu_entity::SubjectId = row.column(Column::Id)?;
    let created_at = row.column(Column::CreatedAt).unwrap_or(DateTime::UNIX_EPOCH);
    Some(subject::Model {
        id,
        course_id: row.column(Column::CourseId)?,
        code: row.column(Column::Code).flatten(),
        name: row.column(Column::Name).unwrap_or_else(|| format!("Subject {id}")),
        list_price: row.column(Column::ListPrice).unwrap_or_default(),
        offer_price: row.column(Column::OfferPrice).flatten(),
        offer_starts_at: row.column(Column::OfferStartsAt).flatten(),
        offer_ends_at: row.column(Column::OfferEndsAt).flatten(),
        total_mock_tests: row.column(Column::TotalMockTests).unwrap_or(50),
        max_attempts: row.column(Column::MaxAttempts).unwrap_or(3),
        marks_correct: row.column(Column::MarksCorrect).unwrap_or(400),
        marks_wrong: row.column(Column::MarksWrong).unwrap_or(-100),
        marks_unanswered: row.column(Column::MarksUnanswered).unwrap_or(0),
        questions_per_test: row.column(Column::QuestionsPerTest).unwrap_or(45),
        time_limit_seconds: row.column(Column::TimeLimitSeconds).unwrap_or(3_600),
        grading_method: row.column(Column::GradingMethod).unwrap_or(GradingMethod::Highest),
        // This policy is stricter than the default of the column, because an answer key that was shown once cannot be
        // hidden again.
        review_policy: row.column(Column::ReviewPolicy).unwrap_or(ReviewPolicy::Never),
        version: row.column(Column::Version).unwrap_or(1),
        archived_at: archived_at(row.column(Column::ArchivedAt), created_at),
        created_at,
    })
}

/// Returns the time since which the placeholder of a course or subject is archived: the stored time, or else the time
/// of the creation. Every placeholder is archived, so that clients do not offer it for sale.
fn archived_at(stored: Option<Option<DateTime<Utc>>>, created_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Some(stored.flatten().unwrap_or(created_at))
}

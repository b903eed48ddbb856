//! Stand-ins for rows of the catalogue that cannot be read, so that their owners still see the rest of what they own.
//!
//! A stand-in has every column that can be read, and a default for each of the others. It is never sold.

use chrono::{DateTime, Utc};
use jishu_entity::subject::{GradingMethod, ReviewPolicy};
use jishu_entity::{course, subject};

use crate::database::Unreadable;

/// The code of ISO 4217 for "no currency".
const NO_CURRENCY: &str = "XXX";

/// Returns the stand-in for a course. There is none where its id cannot be read.
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
        archived_at: archived_at(row.column(Column::ArchivedAt), created_at),
        created_at,
    })
}

/// Returns the stand-in for a subject. There is none where its id or its course cannot be read.
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
        offer_ends_at: row.column(Column::OfferEndsAt).flatten(),
        total_mock_tests: row.column(Column::TotalMockTests).unwrap_or(50),
        max_attempts: row.column(Column::MaxAttempts).unwrap_or(3),
        marks_correct: row.column(Column::MarksCorrect).unwrap_or(400),
        marks_wrong: row.column(Column::MarksWrong).unwrap_or(-100),
        marks_unanswered: row.column(Column::MarksUnanswered).unwrap_or(0),
        questions_per_test: row.column(Column::QuestionsPerTest).unwrap_or(45),
        time_limit_seconds: row.column(Column::TimeLimitSeconds).unwrap_or(3_600),
        grading_method: row.column(Column::GradingMethod).unwrap_or(GradingMethod::Highest),
        // Not the column's default: a key that was shown cannot be hidden again.
        review_policy: row.column(Column::ReviewPolicy).unwrap_or(ReviewPolicy::Never),
        archived_at: archived_at(row.column(Column::ArchivedAt), created_at),
        created_at,
    })
}

/// A stand-in shows as archived: that is what clients know of things that are owned and not sold.
fn archived_at(stored: Option<Option<DateTime<Utc>>>, created_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Some(stored.flatten().unwrap_or(created_at))
}

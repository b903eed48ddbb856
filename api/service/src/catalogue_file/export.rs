//! Exports the stored catalogue as a file.

use jishu_entity::{course, subject};
use jishu_service_macros::service_call;
use rust_decimal::Decimal;

use super::document::{
    CatalogueDocument, CourseDocument, Exact, MarkingDocument, Moment, OfferDocument, SubjectDocument, Word,
};
use super::stored::StoredCatalogue;
use crate::database::Database;
use crate::error::Fault;
use crate::money::Money;

/// An exported catalogue.
pub struct CatalogueExport {
    /// The text of the catalogue file.
    pub text: String,
    /// Descriptions of the courses without a code, and of the subjects without a code in courses that have one. The
    /// file does not contain these courses and subjects, because a file identifies rows by their codes. The file also
    /// contains no subject of a course without a code.
    pub without_code: Vec<String>,
}

/// Exports the courses that have a code, with those of their subjects that have a code. Archived courses and subjects
/// are included.
///
/// # Errors
/// Fails if the database fails, or if the file cannot be written as YAML.
#[service_call]
pub async fn export(database: &Database) -> Result<CatalogueExport, Fault> {
    let stored = StoredCatalogue::read(database.reader()).await?;
    let courses = stored.courses.iter().filter_map(|course| {
        let code = course.code.as_ref()?;
        let subjects = stored.subjects_of(course.id);
        let subjects = subjects.filter_map(|subject| subject_document(subject, &course.currency)).collect();
        Some(course_document(course, code, subjects))
    });
    let document = CatalogueDocument { courses: courses.collect() };
    let text = document.write().map_err(|error| Fault::Inconsistent(error.to_string()))?;
    Ok(CatalogueExport { text, without_code: stored.without_code() })
}

fn amount(minor: i64, currency: &str) -> Exact {
    Exact(Money::new(minor, currency).amount())
}

fn course_document(row: &course::Model, code: &str, subjects: Vec<SubjectDocument>) -> CourseDocument {
    CourseDocument {
        code: code.to_owned().into(),
        name: row.name.clone().into(),
        description: row.description.clone().map(Into::into),
        currency: row.currency.clone().into(),
        bundle_price: row.bundle_price.map(|minor| amount(minor, &row.currency).into()),
        validity_days: row.validity_days.map(Into::into),
        archived: row.archived_at.is_some(),
        subjects,
    }
}

/// Converts a subject to its form in the file. Returns None if the subject has no code.
fn subject_document(row: &subject::Model, currency: &str) -> Option<SubjectDocument> {
    let marks = |hundredths: i32| Some(Exact(Decimal::new(hundredths.into(), 2)).into());
    Some(SubjectDocument {
        code: row.code.clone()?.into(),
        name: row.name.clone().into(),
        list_price: amount(row.list_price, currency).into(),
        offer: row.offer_price.map(|minor| OfferDocument {
            price: amount(minor, currency).into(),
            starts_at: row.offer_starts_at.map(|at| Moment(at).into()),
            ends_at: row.offer_ends_at.map(|at| Moment(at).into()),
        }),
        total_mock_tests: Some(row.total_mock_tests.into()),
        marking_scheme: Some(MarkingDocument {
            correct: marks(row.marks_correct),
            wrong: marks(row.marks_wrong),
            unanswered: marks(row.marks_unanswered),
            questions_per_test: Some(row.questions_per_test.into()),
            time_limit_seconds: Some(row.time_limit_seconds.into()),
            max_attempts: Some(row.max_attempts.into()),
            grading_method: Some(Word(row.grading_method)),
            review: Some(Word(row.review_policy)),
        }),
        archived: row.archived_at.is_some(),
    })
}

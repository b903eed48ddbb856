//! The values that columns may have.

use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::purchase::{PurchaseStatus, PurchaseType};
use jishu_entity::purchase_request::RequestOutcome;
use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use jishu_entity::subject::{GradingMethod, ReviewPolicy};
use jishu_entity::test_session::SessionStatus;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{course, subject};
use sea_orm::{ActiveEnum, DbBackend};

use crate::money;

/// Returns the words of an enum, as they are stored.
fn words<E: ActiveEnum<Value = String>>() -> Option<Vec<String>> {
    Some(E::values())
}

/// Returns the words that a column may have; None if it is not a column of words.
fn words_of(table: &str, column: &str) -> Option<Vec<String>> {
    match (table, column) {
        ("users", "role") => words::<Role>(),
        ("users", "status") => words::<UserStatus>(),
        ("subjects", "grading_method") => words::<GradingMethod>(),
        ("subjects", "review_policy") => words::<ReviewPolicy>(),
        ("blueprint_parts" | "question_versions", "difficulty") => words::<Difficulty>(),
        ("question_versions", "kind") => words::<QuestionKind>(),
        ("question_versions", "text_format") => words::<TextFormat>(),
        ("purchases", "purchase_type") => words::<PurchaseType>(),
        ("purchases", "status") => words::<PurchaseStatus>(),
        ("purchase_requests", "outcome") => words::<RequestOutcome>(),
        ("mock_test_attempts", "status") => words::<CardStatus>(),
        ("test_sessions", "status") => words::<SessionStatus>(),
        _ => None,
    }
}

/// Returns the SQL condition under which a value is not allowed; None if all values are. A null is always allowed.
pub(super) fn disallowed(backend: DbBackend, table: &str, column: &str, value: &str) -> Option<String> {
    if let Some(words) = words_of(table, column) {
        let listed: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        // The collation would accept another case, and spaces at the end.
        let exact =
            if backend == DbBackend::MySql { format!("CAST({value} AS BINARY)") } else { value.to_owned() };
        return Some(format!("{exact} NOT IN ({})", listed.join(", ")));
    }
    let outside = |least: i64, most: i64| Some(format!("{value} NOT BETWEEN {least} AND {most}"));
    match (table, column) {
        ("courses", "bundle_price") | ("subjects", "list_price" | "offer_price") => {
            outside(0, MOST_MINOR_UNITS)
        }
        ("courses", "validity_days") => outside(1, MOST_DAYS.into()),
        ("courses", "currency") => Some(format!("LENGTH({value}) <> 3")),
        ("subjects", "total_mock_tests" | "max_attempts") => outside(1, 1_000),
        ("subjects", "questions_per_test") => outside(1, 200),
        ("subjects" | "papers", "time_limit_seconds") => outside(1, 86_400),
        ("subjects", "marks_correct") => Some(
            "marks_correct <= 0 OR marks_correct <= marks_wrong OR marks_correct <= marks_unanswered"
                .to_owned(),
        ),
        ("purchases", "cost") | ("entitlements", "price_paid") => Some(format!("{value} < 0")),
        _ => None,
    }
}

/// Maximum price, so that the sum of any selection fits.
const MOST_MINOR_UNITS: i64 = 1_000_000_000_000;
const MOST_DAYS: i32 = 36_500;

/// A column of a row of the catalogue whose value prevents its sale, and that value.
pub(crate) type Fault = (&'static str, String);

/// Finds the value for which a readable course must not be sold.
pub(crate) fn fault_of_course(course: &course::Model) -> Option<Fault> {
    let course::Model { currency, bundle_price, validity_days, .. } = course;
    if !money::is_known(currency) {
        return Some(("currency", format!("'{currency}'")));
    }
    if let Some(price) = bundle_price.filter(|price| !(0..=MOST_MINOR_UNITS).contains(price)) {
        return Some(("bundle_price", price.to_string()));
    }
    validity_days
        .filter(|days| !(1..=MOST_DAYS).contains(days))
        .map(|days| ("validity_days", days.to_string()))
}

/// Finds the value for which a readable subject must not be sold.
pub(crate) fn fault_of_subject(subject: &subject::Model) -> Option<Fault> {
    let price = |price: &i64| !(0..=MOST_MINOR_UNITS).contains(price);
    let faults = [
        ("list_price", subject.list_price, price(&subject.list_price)),
        (
            "offer_price",
            subject.offer_price.unwrap_or_default(),
            subject.offer_price.as_ref().is_some_and(price),
        ),
        (
            "total_mock_tests",
            subject.total_mock_tests.into(),
            !(1..=1_000).contains(&subject.total_mock_tests),
        ),
        ("max_attempts", subject.max_attempts.into(), !(1..=1_000).contains(&subject.max_attempts)),
    ];
    faults
        .into_iter()
        .find(|(_, _, is_fault)| *is_fault)
        .map(|(column, value, _)| (column, value.to_string()))
}

/// Why a subject whose course does not exist must not be sold.
pub(crate) fn fault_of_orphan(subject: &subject::Model) -> Fault {
    ("course_id", format!("{}, and there is no such course", subject.course_id))
}

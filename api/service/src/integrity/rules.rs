//! The allowed values of columns.

use jishu_entity::account_link::LinkPurpose;
use jishu_entity::entitlement::EntitlementEnd;
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::order::{OrderProvider, OrderReason, OrderState};
use jishu_entity::outbox_message::{OutboxChannel, OutboxState};
use jishu_entity::payment_event::{PaymentEventKind, PaymentEventSource};
use jishu_entity::picture::PictureType;
use jishu_entity::purchase::{PurchaseStatus, PurchaseType};
use jishu_entity::purchase_request::RequestOutcome;
use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use jishu_entity::refund::RefundStatus;
use jishu_entity::subject::{GradingMethod, ReviewPolicy};
use jishu_entity::test_session::SessionStatus;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{course, subject};
use sea_orm::{ActiveEnum, DbBackend};

use crate::money;

/// Returns the words that the database stores for an enum.
fn words<E: ActiveEnum<Value = String>>() -> Option<Vec<String>> {
    Some(E::values())
}

/// Returns the words that a column may have. None if the column is not limited to words of an enum.
fn words_of(table: &str, column: &str) -> Option<Vec<String>> {
    match (table, column) {
        ("users", "role") => words::<Role>(),
        ("users", "status") => words::<UserStatus>(),
        ("subjects", "grading_method") => words::<GradingMethod>(),
        ("subjects", "review_policy") => words::<ReviewPolicy>(),
        ("blueprint_parts" | "question_versions", "difficulty") => words::<Difficulty>(),
        ("question_versions", "kind") => words::<QuestionKind>(),
        ("question_versions", "text_format") => words::<TextFormat>(),
        ("pictures", "media_type") => words::<PictureType>(),
        ("purchases", "purchase_type") => words::<PurchaseType>(),
        ("purchases", "status") => words::<PurchaseStatus>(),
        ("purchase_requests", "outcome") => words::<RequestOutcome>(),
        ("mock_test_attempts", "status") => words::<CardStatus>(),
        ("test_sessions", "status") => words::<SessionStatus>(),
        ("entitlements" | "test_sessions", "end_reason") => words::<EntitlementEnd>(),
        ("refunds", "status") => words::<RefundStatus>(),
        ("account_links", "purpose") => words::<LinkPurpose>(),
        ("orders", "purchase_type") => words::<PurchaseType>(),
        ("orders", "state") => words::<OrderState>(),
        ("orders" | "payment_refunds", "reason") => words::<OrderReason>(),
        ("orders" | "payment_events" | "payment_refunds", "provider") => words::<OrderProvider>(),
        ("payment_events", "kind") => words::<PaymentEventKind>(),
        ("payment_events", "source") => words::<PaymentEventSource>(),
        ("payment_refunds", "status") => words::<RefundStatus>(),
        ("outbox", "channel") => words::<OutboxChannel>(),
        ("outbox", "state") => words::<OutboxState>(),
        _ => None,
    }
}

/// Returns the SQL condition for values of a column that are not allowed. None if all values are allowed. The condition
/// is not true for a null.
pub(super) fn disallowed(backend: DbBackend, table: &str, column: &str, value: &str) -> Option<String> {
    if let Some(words) = words_of(table, column) {
        let listed: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        // Without the cast, the collation of MariaDB would ignore case and spaces at the end.
        let exact =
            if backend == DbBackend::MySql { format!("CAST({value} AS BINARY)") } else { value.to_owned() };
        return Some(format!("{exact} NOT IN ({})", listed.join(", ")));
    }
    let outside = |min: i64, max: i64| Some(format!("{value} NOT BETWEEN {min} AND {max}"));
    match (table, column) {
        ("courses", "bundle_price") | ("subjects", "list_price" | "offer_price") => {
            outside(0, MAX_PRICE_MINOR_UNITS)
        }
        ("courses", "validity_days") => outside(1, MAX_VALIDITY_DAYS.into()),
        ("courses", "currency") => Some(format!("LENGTH({value}) <> 3")),
        ("subjects", "total_mock_tests" | "max_attempts") => outside(1, 1_000),
        ("subjects", "questions_per_test") => outside(1, 200),
        ("subjects" | "papers", "time_limit_seconds") => outside(1, 86_400),
        ("subjects", "marks_correct") => Some(
            "marks_correct <= 0 OR marks_correct <= marks_wrong OR marks_correct <= marks_unanswered"
                .to_owned(),
        ),
        ("users", "birth_year") => outside(1_900, 2_200),
        ("purchases", "cost" | "subtotal" | "tax")
        | ("entitlements", "price_paid" | "list_price" | "tax")
        | ("refunds" | "refund_lines", "amount" | "tax")
        | ("orders", "amount" | "subtotal" | "tax")
        | ("order_lines", "list_price" | "price" | "tax")
        | ("payment_events", "amount")
        | ("cart_items", "price") => Some(format!("{value} < 0")),
        ("question_versions", "fixed_options") => {
            Some(format!("{value} < 0 OR ({value} <> 0 AND keeps_options)"))
        }
        ("question_versions", "is_case_sensitive") => Some(format!("{value} AND kind <> 'short_answer'")),
        ("test_answers", "text") => {
            Some(format!("{value} IS NOT NULL AND (chosen <> 0 OR numeric_value IS NOT NULL)"))
        }
        _ => None,
    }
}

/// Maximum price of a course or subject, in minor units. So the sum of the prices of any selection fits into 64 bits.
pub(crate) const MAX_PRICE_MINOR_UNITS: i64 = 1_000_000_000_000;
/// Maximum validity of a purchase, in days.
pub(crate) const MAX_VALIDITY_DAYS: i32 = 36_500;

/// A value in the row of a course or subject because of which the course or subject must not be sold.
pub(crate) struct ColumnFault {
    /// The column with the faulty value.
    pub(crate) column: &'static str,
    /// The value, as text.
    pub(crate) value: String,
}

/// Finds the first value of a readable course because of which the course must not be sold. None if it may be sold.
pub(crate) fn fault_of_course(course: &course::Model) -> Option<ColumnFault> {
    let course::Model { currency, bundle_price, validity_days, .. } = course;
    if !money::is_known(currency) {
        return Some(ColumnFault { column: "currency", value: format!("'{currency}'") });
    }
    if let Some(price) = bundle_price.filter(|price| !(0..=MAX_PRICE_MINOR_UNITS).contains(price)) {
        return Some(ColumnFault { column: "bundle_price", value: price.to_string() });
    }
    validity_days
        .filter(|days| !(1..=MAX_VALIDITY_DAYS).contains(days))
        .map(|days| ColumnFault { column: "validity_days", value: days.to_string() })
}

/// Finds the first value of a readable subject because of which the subject must not be sold. None if it may be sold.
pub(crate) fn fault_of_subject(subject: &subject::Model) -> Option<ColumnFault> {
    let is_bad_price = |price: &i64| !(0..=MAX_PRICE_MINOR_UNITS).contains(price);
    let faults = [
        ("list_price", subject.list_price, is_bad_price(&subject.list_price)),
        (
            "offer_price",
            subject.offer_price.unwrap_or_default(),
            subject.offer_price.as_ref().is_some_and(is_bad_price),
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
        .map(|(column, value, _)| ColumnFault { column, value: value.to_string() })
}

/// Describes the fault of a subject whose course does not exist.
pub(crate) fn fault_of_orphan(subject: &subject::Model) -> ColumnFault {
    ColumnFault { column: "course_id", value: format!("{}, but there is no such course", subject.course_id) }
}

//! Carries the courses and subjects.

use std::collections::BTreeMap;

use jishu_entity::subject::{GradingMethod, ReviewPolicy};
use jishu_entity::{CourseId, PaperId, SubjectId, TopicId, course, paper, subject, topic};
use rust_decimal::Decimal;
use sea_orm::ActiveValue::Set;
use sea_orm::{DbErr, EntityTrait};

use super::batch::{Batch, Fate};
use super::old::{COURSES, OldRow, OldTable, SUBJECTS};
use super::state::AdoptState;
use crate::authoring::values;
use crate::database::Database;
use crate::integrity::MAX_PRICE_MINOR_UNITS;
use crate::money;

/// The name of the only topic of each subject. The old system has no topics.
pub(super) const TOPIC: &str = "General";
/// The marks of a right answer, in hundredths: 1 mark, because a score of the old system is the number of right
/// answers.
pub(super) const MARKS_CORRECT: i32 = 100;
/// The duration of each test, in seconds. The old system does not store it.
pub(super) const TIME_LIMIT_SECONDS: i32 = 3_600;
/// The paper of an old card has this number plus the id of the card as its test number. Tests that are sold have
/// numbers up to 1000, so the numbers differ.
pub(super) const FIRST_OLD_TEST_NUMBER: i32 = 1_000_000;
/// The old system's defaults: the number of tests of a subject, of questions of a test, and of attempts of a card.
pub(super) const OLD_DEFAULTS: (i32, i32, i32) = (50, 50, 3);

/// Makes the batch of these courses.
pub(super) fn batch_of_courses(state: &mut AdoptState, rows: &[OldRow]) -> Batch {
    let mut batch = Batch::default();
    for row in rows {
        let id = row.id();
        state.counts(&COURSES).read += 1;
        if id < 1 {
            batch.refuse(state, (&COURSES, id), "This row was not carried: its id is not a positive number.");
            continue;
        }
        let name = title(row, "course_name", "Course", &COURSES, state, &mut batch);
        let description = match values::description(row.text("description")) {
            Ok(description) => description,
            Err(problem) => {
                batch.note(state, (&COURSES, id), format!("This course has no description now. {problem}"));
                None
            }
        };
        let bundle_price = bundle_price(row, &COURSES, state, &mut batch);
        state.counts(&COURSES).carried += 1;
        batch.courses.push(course::ActiveModel {
            id: Set(CourseId(id)),
            code: Set(None),
            name: Set(name),
            description: Set(description),
            currency: Set(state.options.currency.clone()),
            bundle_price: Set(bundle_price),
            validity_days: Set(None),
            version: Set(1),
            archived_at: Set(None),
            created_at: Set(state.started()),
        });
    }
    batch
}

/// Makes the batch of these subjects. A row that stands for a whole course makes no subject: its price becomes the
/// price of the course.
pub(super) async fn batch_of_subjects(
    database: &Database,
    state: &mut AdoptState,
    rows: &[OldRow],
    questions_per_test: &BTreeMap<i64, i64>,
) -> Result<Batch, DbErr> {
    let mut batch = Batch::default();
    let courses = course::Entity::find().all(database.reader()).await?;
    for row in rows {
        let id = row.id();
        state.counts(&SUBJECTS).read += 1;
        if id < 1 {
            batch.refuse(
                state,
                (&SUBJECTS, id),
                "This row was not carried: its id is not a positive number.",
            );
            continue;
        }
        let course = row.integer("exam_category_id").map(CourseId);
        let Some(course) = course.filter(|id| courses.iter().any(|course| course.id == *id)) else {
            let reason = "This subject was not carried: its course is missing or was not carried.";
            batch.refuse(state, (&SUBJECTS, id), reason);
            continue;
        };
        if row.flag("is_bundle") {
            let price = bundle_price(row, &SUBJECTS, state, &mut batch);
            if let Some(price) = price.filter(|_| !row.flag("is_deleted")) {
                batch.bundle_prices.push((course, price));
            }
            state.counts(&SUBJECTS).merged += 1;
            let reason = "This row stands for the whole course. If it is on sale and has a price, the course has \
                          this price now.";
            batch.record(state, (&SUBJECTS, id), Fate::Merged, Some(course.0), reason);
            continue;
        }
        let name = title(row, "subject_name", "Subject", &SUBJECTS, state, &mut batch);
        let (list_price, offer_price) = prices(row, state, &mut batch);
        let is_sold = list_price.is_some() && !row.flag("is_deleted");
        state.counts(&SUBJECTS).carried += 1;
        let total_mock_tests = total_mock_tests(row, state, &mut batch);
        batch.subjects.push(subject::ActiveModel {
            id: Set(SubjectId(id)),
            course_id: Set(course),
            code: Set(None),
            name: Set(name),
            list_price: Set(list_price.unwrap_or_default()),
            offer_price: Set(offer_price),
            offer_starts_at: Set(None),
            offer_ends_at: Set(None),
            total_mock_tests: Set(total_mock_tests),
            max_attempts: Set(OLD_DEFAULTS.2),
            marks_correct: Set(MARKS_CORRECT),
            marks_wrong: Set(0),
            marks_unanswered: Set(0),
            questions_per_test: Set(questions_per_test
                .get(&id)
                .and_then(|questions| i32::try_from(*questions).ok())
                .filter(|questions| (1..=200).contains(questions))
                .unwrap_or(OLD_DEFAULTS.1)),
            time_limit_seconds: Set(TIME_LIMIT_SECONDS),
            grading_method: Set(GradingMethod::Highest),
            review_policy: Set(ReviewPolicy::AfterSitting),
            version: Set(1),
            archived_at: Set((!is_sold).then(|| state.started())),
            created_at: Set(state.started()),
        });
        batch.topics.push(topic::ActiveModel {
            id: Set(TopicId(id)),
            subject_id: Set(SubjectId(id)),
            name: Set(TOPIC.to_owned()),
        });
        batch.papers.push(paper(PaperId(id), SubjectId(id), (FIRST_OLD_TEST_NUMBER, 0), state.started()));
    }
    Ok(batch)
}

/// Returns the row of a paper for old sittings. Each subject has one paper without questions, with the test number
/// [`FIRST_OLD_TEST_NUMBER`], for the sittings whose answers are not carried.
pub(super) fn paper(
    id: PaperId,
    subject: SubjectId,
    (test_number, seed): (i32, i64),
    created_at: chrono::DateTime<chrono::Utc>,
) -> paper::ActiveModel {
    paper::ActiveModel {
        id: Set(id),
        subject_id: Set(subject),
        test_number: Set(test_number),
        seed: Set(seed),
        marks_correct: Set(MARKS_CORRECT),
        marks_wrong: Set(0),
        marks_unanswered: Set(0),
        time_limit_seconds: Set(TIME_LIMIT_SECONDS),
        revision: Set(1),
        created_at: Set(created_at),
    }
}

/// Returns a title as jishu stores it. Replaces a title that is missing, too long or cannot be shown by `kind` and the
/// id.
fn title(
    row: &OldRow,
    column: &str,
    kind: &str,
    table: &'static OldTable,
    state: &mut AdoptState,
    batch: &mut Batch,
) -> String {
    row.text(column).and_then(|title| values::name(title).ok()).unwrap_or_else(|| {
        batch.note(
            state,
            (table, row.id()),
            "The old name was missing, too long or had characters that cannot be shown, so another one replaces it.",
        );
        format!("{kind} {}", row.id())
    })
}

/// Returns the price of a whole course in minor units: the offer if it is lower than the amount, or else the amount.
/// An amount or an offer of 0 does not count, because otherwise the whole course would be free. None if the course has
/// no amount, or if jishu cannot store the price.
fn bundle_price(
    row: &OldRow,
    table: &'static OldTable,
    state: &mut AdoptState,
    batch: &mut Batch,
) -> Option<i64> {
    let amount = |column: &str| row.decimal(column).filter(|amount| *amount > Decimal::ZERO);
    let regular = amount("amount")?;
    let amount = amount("offer_amount").filter(|offer| *offer < regular).unwrap_or(regular);
    let price = price(amount, &state.options.currency);
    if price.is_none() {
        let reason = format!(
            "jishu cannot store the price {amount} of the whole course. Without another price, the course is not sold \
             as a whole."
        );
        batch.note(state, (table, row.id()), reason);
    }
    price
}

/// Returns the list price and the offer price of a subject in minor units. The list price is None if jishu cannot store
/// it, and then the subject cannot be sold. The offer price is None if it is 0 or not below the list price, or if jishu
/// cannot store it.
fn prices(row: &OldRow, state: &mut AdoptState, batch: &mut Batch) -> (Option<i64>, Option<i64>) {
    let id = row.id();
    let list_price = row.decimal("amount").and_then(|amount| price(amount, &state.options.currency));
    let Some(list_price) = list_price else {
        let reason =
            "This subject has no price that jishu can store, so it is archived. Its purchases are kept.";
        batch.note(state, (&SUBJECTS, id), reason);
        return (None, None);
    };
    let Some(offer) = row.decimal("offer_amount").filter(|offer| !offer.is_zero()) else {
        return (Some(list_price), None);
    };
    let reason = match price(offer, &state.options.currency) {
        Some(offer_price) if offer_price < list_price => return (Some(list_price), Some(offer_price)),
        Some(_) => {
            format!("The offer of {offer} is not below the price of this subject, so it was left out.")
        }
        None => format!("jishu cannot store the offer of {offer} of this subject, so it was left out."),
    };
    batch.note(state, (&SUBJECTS, id), reason);
    (Some(list_price), None)
}

fn price(amount: Decimal, currency: &str) -> Option<i64> {
    money::minor_units(amount, currency).filter(|price| (0..=MAX_PRICE_MINOR_UNITS).contains(price))
}

fn total_mock_tests(row: &OldRow, state: &mut AdoptState, batch: &mut Batch) -> i32 {
    let stated = row.integer("total_mock");
    let total =
        stated.and_then(|total| i32::try_from(total).ok()).filter(|total| (1..=1_000).contains(total));
    if let (Some(stated), None) = (stated, total) {
        let reason = format!(
            "This subject had {stated} tests, but 1 to 1000 are possible. It has {} now.",
            OLD_DEFAULTS.0
        );
        batch.note(state, (&SUBJECTS, row.id()), reason);
    }
    total.unwrap_or(OLD_DEFAULTS.0)
}

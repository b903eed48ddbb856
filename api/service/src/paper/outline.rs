//! Outlines of papers: their length, duration and marks. They are read without the questions.

use std::collections::{BTreeMap, HashMap};

use jishu_entity::{SubjectId, paper, paper_question, subject};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Condition, ExprTrait, Query, SubQueryStatement};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, FromQueryResult, IntoSimpleExpr, QueryFilter, QuerySelect};

use super::Paper;
use crate::Services;
use crate::scoring::Marks;

/// A test: a subject and a test number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TestId {
    /// The subject.
    pub subject_id: SubjectId,
    /// The number of the test in its subject. The cards of the test have the same `test_number`.
    pub test_number: i32,
}

/// The length, duration and marks of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The number of questions of the test.
    pub questions: i32,
    /// The duration of a sitting, in seconds.
    pub time_limit_seconds: i32,
    /// The marks for a correct answer, a wrong answer and no answer.
    pub marks: Marks,
    /// Whether the test has a paper. The outline of a paper never changes. Without a paper, the outline follows the
    /// settings of the subject.
    pub is_made: bool,
}

impl From<&Paper> for Outline {
    fn from(paper: &Paper) -> Self {
        Self {
            questions: i32::try_from(paper.questions.len()).unwrap_or(i32::MAX),
            time_limit_seconds: paper.row.time_limit_seconds,
            marks: paper.marks(),
            is_made: true,
        }
    }
}

impl From<&subject::Model> for Outline {
    /// Returns the outline that a new paper of the subject would have now.
    fn from(subject: &subject::Model) -> Self {
        Self {
            // If the subject has a blueprint, `questions_per_test` is the sum of the questions of its parts.
            questions: subject.questions_per_test,
            time_limit_seconds: subject.time_limit_seconds,
            marks: Marks::from(subject),
            is_made: false,
        }
    }
}

#[derive(FromQueryResult)]
struct OutlineRow {
    subject_id: SubjectId,
    test_number: i32,
    marks_correct: i32,
    marks_wrong: i32,
    marks_unanswered: i32,
    time_limit_seconds: i32,
    last_slot: Option<i32>,
}

/// Reads the outlines of the papers of these tests in one statement, by test. Leaves out tests without a paper.
///
/// # Errors
/// Returns the database's error.
#[service_call("paper.of_tests")]
pub async fn of_tests(services: &Services, tests: Vec<TestId>) -> Result<HashMap<TestId, Outline>, DbErr> {
    use paper::Column;

    let mut by_subject: BTreeMap<SubjectId, Vec<i32>> = BTreeMap::new();
    for TestId { subject_id, test_number } in tests {
        by_subject.entry(subject_id).or_default().push(test_number);
    }
    let wanted = by_subject.into_iter().fold(Condition::any(), |wanted, (subject, numbers)| {
        wanted.add(Column::SubjectId.eq(subject).and(Column::TestNumber.is_in(numbers)))
    });
    // Slots are numbered from 1, so the greatest slot is the number of questions. The database finds the greatest slot
    // at the end of an index.
    let last_slot = Query::select()
        .expr(paper_question::Column::Slot.into_simple_expr().max())
        .from(paper_question::Entity)
        .and_where(paper_question::Column::PaperId.into_simple_expr().eq(Column::Id.into_simple_expr()))
        .take();
    let rows = paper::Entity::find()
        .select_only()
        .columns([
            Column::SubjectId,
            Column::TestNumber,
            Column::MarksCorrect,
            Column::MarksWrong,
            Column::MarksUnanswered,
            Column::TimeLimitSeconds,
        ])
        .expr_as(SubQueryStatement::from(last_slot), "last_slot")
        .filter(wanted)
        .into_model::<OutlineRow>()
        .all(services.database.reader())
        .await?;
    let outline = |row: &OutlineRow| Outline {
        questions: row.last_slot.unwrap_or_default(),
        time_limit_seconds: row.time_limit_seconds,
        marks: Marks { correct: row.marks_correct, wrong: row.marks_wrong, unanswered: row.marks_unanswered },
        is_made: true,
    };
    let test = |row: &OutlineRow| TestId { subject_id: row.subject_id, test_number: row.test_number };
    Ok(rows.iter().map(|row| (test(row), outline(row))).collect())
}

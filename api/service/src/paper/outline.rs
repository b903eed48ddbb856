//! What is known of a paper before its questions are read.

use std::collections::{BTreeMap, HashMap};

use jishu_entity::{SubjectId, paper, paper_question, subject};
use sea_orm::sea_query::{Condition, ExprTrait, Query, SubQueryStatement};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, FromQueryResult, IntoSimpleExpr, QueryFilter, QuerySelect};

use super::Paper;
use crate::Services;
use crate::scoring::Marks;

/// A test: the number of a card, in its subject.
pub type Test = (SubjectId, i32);

/// What a sitting of a test has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// How many questions.
    pub questions: i32,
    /// How long it takes, in seconds.
    pub time_limit_seconds: i32,
    /// What its answers get.
    pub marks: Marks,
    /// Whether the paper is made, so that none of this changes any more.
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

/// Of a paper that would be made now.
impl From<&subject::Model> for Outline {
    fn from(subject: &subject::Model) -> Self {
        Self {
            // With a blueprint, as many as its parts have together.
            questions: subject.questions_per_test,
            time_limit_seconds: subject.time_limit_seconds,
            marks: Marks::from(subject),
            is_made: false,
        }
    }
}

#[derive(FromQueryResult)]
struct Row {
    subject_id: SubjectId,
    test_number: i32,
    marks_correct: i32,
    marks_wrong: i32,
    marks_unanswered: i32,
    time_limit_seconds: i32,
    last_slot: Option<i32>,
}

/// The papers of these tests, of those that are made, in one statement.
///
/// # Errors
/// The database's.
pub async fn of_tests(
    services: &Services,
    tests: impl IntoIterator<Item = Test>,
) -> Result<HashMap<Test, Outline>, DbErr> {
    use paper::Column;

    let mut by_subject: BTreeMap<SubjectId, Vec<i32>> = BTreeMap::new();
    for (subject, number) in tests {
        by_subject.entry(subject).or_default().push(number);
    }
    let wanted = by_subject.into_iter().fold(Condition::any(), |wanted, (subject, numbers)| {
        wanted.add(Column::SubjectId.eq(subject).and(Column::TestNumber.is_in(numbers)))
    });
    // Slots are numbered from 1, so that the last is how many there are, and the end of an index.
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
        .into_model::<Row>()
        .all(services.database.reader())
        .await?;
    let outline = |row: &Row| Outline {
        questions: row.last_slot.unwrap_or_default(),
        time_limit_seconds: row.time_limit_seconds,
        marks: Marks { correct: row.marks_correct, wrong: row.marks_wrong, unanswered: row.marks_unanswered },
        is_made: true,
    };
    Ok(rows.iter().map(|row| ((row.subject_id, row.test_number), outline(row))).collect())
}

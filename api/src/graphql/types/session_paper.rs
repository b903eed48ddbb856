//! The number of questions, the time limit and the marks of a test.

use async_graphql::SimpleObject;
use graphql_engine::PlainObject;

use crate::graphql::scalar::Decimal;
use jishu_service::paper::Outline;

/// The outline of a test: its number of questions, its time limit and its marks. Until the test is fixed, these values
/// follow the settings of the subject.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct SessionPaper {
    /// The number of questions in the test.
    questions: i32,
    /// The time limit of a sitting, in seconds, without extra time.
    time_limit_seconds: i32,
    /// The marks for a correct answer.
    correct: Decimal,
    /// The marks for a wrong answer, usually a negative number.
    wrong: Decimal,
    /// The marks for an unanswered question.
    unanswered: Decimal,
    /// The marks if all questions of the test are answered correctly.
    max_score: Decimal,
    /// Whether the test is fixed. It becomes fixed when a learner first starts it. From then on, the values in this
    /// object do not change.
    fixed: bool,
}

impl From<Outline> for SessionPaper {
    fn from(outline: Outline) -> Self {
        let Outline { questions, time_limit_seconds, marks, is_made } = outline;
        Self {
            questions,
            time_limit_seconds,
            correct: Decimal::of_hundredths(marks.correct),
            wrong: Decimal::of_hundredths(marks.wrong),
            unanswered: Decimal::of_hundredths(marks.unanswered),
            max_score: Decimal::of_hundredths(marks.highest() * i64::from(questions)),
            fixed: is_made,
        }
    }
}

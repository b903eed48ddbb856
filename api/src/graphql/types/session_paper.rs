//! What a test is, before its questions are read.

use async_graphql::SimpleObject;

use crate::graphql::scalar::Decimal;
use jishu_service::paper::Outline;

/// What is known of a test before its questions are read.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SessionPaper {
    /// How many questions it has.
    questions: i32,
    /// How long a sitting takes, in seconds, without extra time.
    time_limit_seconds: i32,
    /// Marks for a correct answer.
    correct: Decimal,
    /// Marks for a wrong answer; mostly negative.
    wrong: Decimal,
    /// Marks for no answer.
    unanswered: Decimal,
    /// The most marks that can be had.
    max_score: Decimal,
    /// Whether the test is made, which it is when anybody first starts it: then none of this changes any more.
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
            max_score: Decimal::of_hundredths(marks.most() * i64::from(questions)),
            fixed: is_made,
        }
    }
}

//! The results of sittings.

use async_graphql::{Context, Object};
use jishu_entity::test_session;

use super::TopicResult;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::scalar::Decimal;
use jishu_service::session;

pub(in crate::graphql) struct SessionResult {
    row: test_session::Model,
    totals: Totals,
}

#[derive(Clone, Copy)]
struct Totals {
    score: i32,
    max_score: i32,
    percentage: i32,
    correct: i32,
    wrong: i32,
    unanswered: i32,
    time_taken_seconds: i32,
}

/// The result of a sitting.
#[Object]
impl SessionResult {
    /// The marks of the sitting. They can be negative.
    async fn score(&self) -> Decimal {
        Decimal::of_hundredths(self.totals.score)
    }

    /// The highest possible marks of the paper.
    async fn max_score(&self) -> Decimal {
        Decimal::of_hundredths(self.totals.max_score)
    }

    /// The marks as a percentage of the highest possible marks, with 2 decimal places. Negative if the marks are
    /// negative.
    async fn percentage(&self) -> Decimal {
        Decimal::of_hundredths(self.totals.percentage)
    }

    /// The number of correct answers.
    async fn correct(&self) -> i32 {
        self.totals.correct
    }

    /// The number of wrong answers.
    async fn wrong(&self) -> i32 {
        self.totals.wrong
    }

    /// The number of unanswered questions.
    async fn unanswered(&self) -> i32 {
        self.totals.unanswered
    }

    /// The time from the start to the end of the sitting, in seconds. For a sitting that was taken over from an older
    /// system, the time that the older system stored, if it stored one.
    async fn time_taken_seconds(&self) -> i32 {
        self.totals.time_taken_seconds
    }

    /// Of all learners who sat this paper, the percentage who got at most the marks of this sitting. The percentage
    /// includes this learner, has 7 decimal places and follows the method of the National Testing Agency. Each learner
    /// counts once, with their first sitting of the paper. A later sitting is compared with the first sittings of the
    /// other learners. The value changes as more learners sit the paper. Sittings before and after a key correction are
    /// ranked together, with the marks that each sitting got. Null if no sitting of the paper is ranked.
    async fn percentile(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        let percentile =
            async { Ok(ctx.loaders()?.percentile.load_one((self.row.user_id, self.row.id)).await?) };
        percentile.await.map(|percentile| percentile.map(Decimal)).transpose()
    }

    /// The results in each topic, in the order in which the topics were added to the subject. `MarkingScheme.review`
    /// does not hide these results. For a topic with one question, they show whether that question was answered
    /// correctly.
    async fn by_topic(&self, ctx: &Context<'_>) -> ApiResult<Vec<TopicResult>> {
        let services = ctx.services()?;
        let score = session::score_of(services, &self.row).await?;
        let paper = services.papers.get((&self.row).into()).await?;
        let name = |topic| paper.topics.get(topic).cloned().unwrap_or_default();
        Ok(score.topics.iter().map(|(topic, tally)| TopicResult::new(name(topic), *tally)).collect())
    }
}

impl SessionResult {
    /// Makes the result of a sitting. Returns `None` while the sitting is open.
    pub(in crate::graphql) fn of(row: test_session::Model) -> Option<Self> {
        let totals = Totals {
            score: row.score?,
            max_score: row.max_score?,
            percentage: row.percentage?,
            correct: row.correct?,
            wrong: row.wrong?,
            unanswered: row.unanswered?,
            time_taken_seconds: row.time_taken_seconds?,
        };
        Some(Self { row, totals })
    }
}

//! What sittings came to.

use async_graphql::{Context, Object};
use jishu_entity::test_session;

use super::TopicResult;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::scalar::Decimal;
use jishu_service::session;

pub(in crate::graphql) struct SessionResult {
    row: test_session::Model,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
struct Outcome {
    score: i32,
    max_score: i32,
    percentage: i32,
    correct: i32,
    wrong: i32,
    unanswered: i32,
    time_taken_seconds: i32,
}

/// What a sitting came to.
#[Object]
impl SessionResult {
    /// The marks; they can be negative.
    async fn score(&self) -> Decimal {
        Decimal::of_hundredths(self.outcome.score)
    }

    /// The most marks that could be had.
    async fn max_score(&self) -> Decimal {
        Decimal::of_hundredths(self.outcome.max_score)
    }

    /// The score in per cent of the most, with 2 decimal places; negative where the score is.
    async fn percentage(&self) -> Decimal {
        Decimal::of_hundredths(self.outcome.percentage)
    }

    /// How many questions were answered correctly.
    async fn correct(&self) -> i32 {
        self.outcome.correct
    }

    /// How many were answered wrongly.
    async fn wrong(&self) -> i32 {
        self.outcome.wrong
    }

    /// How many were not answered.
    async fn unanswered(&self) -> i32 {
        self.outcome.unanswered
    }

    /// From the start to the end, in seconds.
    async fn time_taken_seconds(&self) -> i32 {
        self.outcome.time_taken_seconds
    }

    /// The percentage of those who sat this paper who have as many marks or fewer, this learner included. It has 7
    /// decimal places, and is computed as the National Testing Agency does. Every learner counts once, by their
    /// first sitting of the paper. A later sitting is compared with the first ones of the others. It changes as
    /// more learners sit the paper. Sittings from before and after a key correction are ranked together. Each
    /// keeps the marks that it got.
    async fn percentile(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        let percentile =
            async { Ok(ctx.loaders()?.percentile.load_one((self.row.user_id, self.row.id)).await?) };
        percentile.await.map(|percentile| percentile.map(Decimal)).transpose()
    }

    /// The same by topic, in the order in which topics were added to the subject. It is shown whatever
    /// `MarkingScheme.review` says: of a topic with one question it tells how that was answered.
    async fn by_topic(&self, ctx: &Context<'_>) -> ApiResult<Vec<TopicResult>> {
        let services = ctx.services()?;
        let score = session::score_of(services, &self.row).await?;
        let paper = services.papers.get((&self.row).into()).await?;
        let name = |topic| paper.topics.get(topic).cloned().unwrap_or_default();
        Ok(score.topics.iter().map(|(topic, tally)| TopicResult::new(name(topic), *tally)).collect())
    }
}

impl SessionResult {
    /// None while the sitting is open.
    pub(in crate::graphql) fn of(row: test_session::Model) -> Option<Self> {
        let outcome = Outcome {
            score: row.score?,
            max_score: row.max_score?,
            percentage: row.percentage?,
            correct: row.correct?,
            wrong: row.wrong?,
            unanswered: row.unanswered?,
            time_taken_seconds: row.time_taken_seconds?,
        };
        Some(Self { row, outcome })
    }
}

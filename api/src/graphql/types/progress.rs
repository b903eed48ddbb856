//! How a learner is doing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Object};
use jishu_entity::{SubjectId, test_session};
use tokio::sync::OnceCell;

use super::{Subject, TestSession};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::pagination::page_length;
use crate::graphql::scalar::{DateTime, Decimal, hundredths};
use jishu_service::progress::{self, Cards, Repeated, Scope, Sittings, TopicSum};
use jishu_service::scoring::{self, Tally};

pub(in crate::graphql) struct Progress(Arc<Parts>);

/// How a learner is doing, over all their sittings that were scored; open ones do not count. What was sat counts for
/// good, also when the right to the subject has ended.
#[Object]
impl Progress {
    /// How many sittings were scored.
    async fn tests_taken(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        Ok(int(self.0.all_sittings(ctx).await?.taken))
    }

    /// The average percentage of the sittings; null without one.
    async fn average_percentage(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.0.all_sittings(ctx).await, |all| all.average())
    }

    /// The best percentage of a sitting; null without one.
    async fn best_percentage(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.0.all_sittings(ctx).await, |all| all.best)
    }

    /// The average percentage of the first sittings, of the test cards that were scored at least twice; null without
    /// such a card.
    async fn first_average(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.0.repeated(ctx).await, Repeated::first_average)
    }

    /// The average percentage of the latest sittings, of the test cards that were scored at least twice; null without
    /// such a card.
    async fn latest_average(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.0.repeated(ctx).await, Repeated::latest_average)
    }

    /// By how many percentage points `latestAverage` is above `firstAverage`: of the same test cards, so that the
    /// comparison is fair. Rounded by itself, so that it can differ by 0.01 from the difference of the two. Null
    /// without a card that was scored at least twice.
    async fn improvement(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.0.repeated(ctx).await, Repeated::improvement)
    }

    /// How long the sittings took in all, in seconds.
    async fn time_spent_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        Ok(int(self.0.all_sittings(ctx).await?.seconds))
    }

    /// Each subject that the learner owns or has owned.
    async fn by_subject(&self, ctx: &Context<'_>) -> ApiResult<Vec<SubjectProgress>> {
        let services = ctx.services()?;
        let cards = progress::cards(services, self.0.scope).await?;
        let mut subjects = Vec::with_capacity(cards.len());
        for (id, cards) in cards {
            let subject = Subject(services.catalog.subject(id).await?);
            subjects.push(SubjectProgress { subject, cards, parts: Arc::clone(&self.0) });
        }
        Ok(subjects)
    }

    /// The latest sittings that were scored, in the order in which they ended.
    async fn trend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many: 1 to 100.", default = 20)] last: i32,
    ) -> ApiResult<Vec<TrendPoint>> {
        let last = page_length("last", last)?;
        let sittings = progress::trend(ctx.services()?, self.0.scope, last).await?;
        Ok(sittings.into_iter().map(TrendPoint).collect())
    }
}

impl Progress {
    /// Of which nothing is read before it is asked for.
    pub(in crate::graphql) fn lazy(scope: Scope) -> Self {
        let (sittings, repeated, topics) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self(Arc::new(Parts { scope, sittings, repeated, topics }))
    }
}

/// What several fields are read from: each part with its first field, once for all subjects.
struct Parts {
    scope: Scope,
    sittings: OnceCell<BTreeMap<SubjectId, Sittings>>,
    repeated: OnceCell<Repeated>,
    topics: OnceCell<BTreeMap<SubjectId, Vec<TopicSum>>>,
}

impl Parts {
    async fn sittings(&self, ctx: &Context<'_>) -> ApiResult<&BTreeMap<SubjectId, Sittings>> {
        let services = ctx.services()?;
        Ok(self.sittings.get_or_try_init(|| progress::sittings(services, self.scope)).await?)
    }

    async fn all_sittings(&self, ctx: &Context<'_>) -> ApiResult<Sittings> {
        Ok(self.sittings(ctx).await?.values().fold(Sittings::default(), Sittings::and))
    }

    async fn repeated(&self, ctx: &Context<'_>) -> ApiResult<&Repeated> {
        let services = ctx.services()?;
        Ok(self.repeated.get_or_try_init(|| progress::repeated(services, self.scope)).await?)
    }

    async fn topics(&self, ctx: &Context<'_>) -> ApiResult<&BTreeMap<SubjectId, Vec<TopicSum>>> {
        let services = ctx.services()?;
        Ok(self.topics.get_or_try_init(|| progress::topics(services, self.scope)).await?)
    }
}

pub(in crate::graphql) struct SubjectProgress {
    subject: Subject,
    cards: Cards,
    parts: Arc<Parts>,
}

/// How a learner is doing in a subject. Cards are counted as `mockTestAttempts` lists them: of all purchases, and but
/// for `available` those whose right has ended included.
#[Object]
impl SubjectProgress {
    /// The subject.
    async fn subject(&self) -> &Subject {
        &self.subject
    }

    /// How many test cards there are.
    async fn total_cards(&self) -> i32 {
        int(self.cards.total())
    }

    /// How many of them were never sat and can be: of a right that holds. Cards that were never sat under a right that
    /// has ended count in `totalCards` alone.
    async fn available(&self) -> i32 {
        int(self.cards.available)
    }

    /// How many of them have an open sitting.
    async fn in_progress(&self) -> i32 {
        int(self.cards.in_progress)
    }

    /// How many of them were sat and have attempts left.
    async fn completed(&self) -> i32 {
        int(self.cards.completed)
    }

    /// How many of them have no attempt left.
    async fn exhausted(&self) -> i32 {
        int(self.cards.exhausted)
    }

    /// The average percentage of the sittings that were scored; null without one.
    async fn average_percentage(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        let of_subject = |all: &BTreeMap<_, Sittings>| all.get(&self.subject.0.id)?.average();
        nullable(self.parts.sittings(ctx).await, of_subject)
    }

    /// The topics that questions were asked of, over all sittings that were scored, whatever `MarkingScheme.review`
    /// says.
    async fn by_topic(&self, ctx: &Context<'_>) -> ApiResult<Vec<TopicResult>> {
        let topics = self.parts.topics(ctx).await?.get(&self.subject.0.id);
        let topics = topics.into_iter().flatten();
        Ok(topics.map(|topic| TopicResult::new(topic.name.clone(), topic.tally)).collect())
    }
}

pub(in crate::graphql) struct TopicResult {
    topic: String,
    tally: Tally,
}

/// How the questions of a topic were answered.
#[Object]
impl TopicResult {
    /// What the topic is called.
    async fn topic(&self) -> &str {
        &self.topic
    }

    /// How many questions were answered correctly.
    async fn correct(&self) -> i32 {
        self.tally.correct
    }

    /// How many were answered wrongly.
    async fn wrong(&self) -> i32 {
        self.tally.wrong
    }

    /// How many were not answered.
    async fn unanswered(&self) -> i32 {
        self.tally.unanswered
    }

    /// The marks; below nought where wrong answers cost more than correct ones gave.
    async fn score(&self) -> Decimal {
        Decimal::of_hundredths(self.tally.score)
    }

    /// The correct ones in per cent of those that were answered; null where none was.
    async fn accuracy(&self) -> Option<Decimal> {
        let (correct, answered) = (self.tally.correct, self.tally.correct + self.tally.wrong);
        hundredths((answered > 0).then(|| scoring::percentage(correct.into(), answered.into())))
    }
}

impl TopicResult {
    pub(in crate::graphql) fn new(topic: String, tally: Tally) -> Self {
        Self { topic, tally }
    }
}

pub(in crate::graphql) struct TrendPoint(test_session::Model);

/// A sitting that was scored, as a point in time.
#[Object]
impl TrendPoint {
    /// When it ended.
    async fn at(&self) -> ApiResult<DateTime> {
        self.0.submitted_at.map(DateTime).ok_or_else(|| self.lacks("an end"))
    }

    /// What came out, in per cent of the most marks that could be had; negative where the marks are.
    async fn percentage(&self) -> ApiResult<Decimal> {
        self.0.percentage.map(Decimal::of_hundredths).ok_or_else(|| self.lacks("a percentage"))
    }

    /// The sitting.
    async fn session(&self) -> TestSession {
        TestSession::from(self.0.clone())
    }
}

impl TrendPoint {
    fn lacks(&self, what: &str) -> ApiError {
        ApiError::internal(format!("the scored sitting {} lacks {what}", self.0.id))
    }
}

/// A field that is null where there is nothing to average, and alone where it could not be read.
fn nullable<T, N: Into<i64>>(part: ApiResult<T>, read: impl FnOnce(T) -> Option<N>) -> Nullable<Decimal> {
    part.map(|part| hundredths(read(part))).transpose()
}

/// No learner comes near the ends of GraphQL's Int: as seconds they are 68 years.
fn int(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

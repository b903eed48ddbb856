//! The progress of a learner.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Object};
use jishu_entity::{SubjectId, test_session};
use tokio::sync::OnceCell;

use super::{Subject, TestSession};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::pagination::page_size;
use crate::graphql::scalar::{DateTime, Decimal, hundredths};
use jishu_service::progress::{self, Cards, ProgressScope, Repeated, SittingTotals, TopicSum};
use jishu_service::scoring::{self, Tally};

pub(in crate::graphql) struct Progress {
    data: Arc<ProgressData>,
}

/// The progress of a learner, over all scored sittings or those in one subject. Open sittings do not count. Sittings
/// still count after the entitlement to their subject has ended.
#[Object]
impl Progress {
    /// The number of scored sittings.
    async fn tests_taken(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        Ok(to_int(self.data.all_sittings(ctx).await?.taken))
    }

    /// The average percentage of the scored sittings. Null if no sitting is scored.
    async fn average_percentage(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.data.all_sittings(ctx).await, |all| all.average())
    }

    /// The highest percentage of a scored sitting. Null if no sitting is scored.
    async fn best_percentage(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.data.all_sittings(ctx).await, |all| all.best)
    }

    /// The average percentage of the first scored sittings, over the cards with at least two scored sittings. Null if
    /// no card has two scored sittings.
    async fn first_average(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.data.repeated(ctx).await, Repeated::first_average)
    }

    /// The average percentage of the latest scored sittings, over the cards with at least two scored sittings. Null if
    /// no card has two scored sittings.
    async fn latest_average(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.data.repeated(ctx).await, Repeated::latest_average)
    }

    /// The rise from `firstAverage` to `latestAverage`, in percentage points. Both averages cover the same cards, so
    /// that the comparison is fair. The server rounds the rise separately, so it can differ by 0.01 from
    /// `latestAverage` minus `firstAverage`. Null if no card has two scored sittings.
    async fn improvement(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        nullable(self.data.repeated(ctx).await, Repeated::improvement)
    }

    /// The total time of the scored sittings, in seconds.
    async fn time_spent_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        Ok(to_int(self.data.all_sittings(ctx).await?.seconds))
    }

    /// The progress in each subject that the learner owns or has owned.
    async fn by_subject(&self, ctx: &Context<'_>) -> ApiResult<Vec<SubjectProgress>> {
        let services = ctx.services()?;
        let cards = progress::cards(services, self.data.scope).await?;
        let mut subjects = Vec::with_capacity(cards.len());
        for (id, cards) in cards {
            let subject = Subject::load(ctx, id).await?;
            subjects.push(SubjectProgress { subject, cards, data: Arc::clone(&self.data) });
        }
        Ok(subjects)
    }

    /// The latest scored sittings, in the order in which the sittings ended.
    async fn trend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The maximum number of sittings: 1 to 100.", default = 20)] last: i32,
    ) -> ApiResult<Vec<TrendPoint>> {
        let last = page_size("last", last)?;
        let sittings = progress::trend(ctx.services()?, self.data.scope, last).await?;
        Ok(sittings.into_iter().map(|session| TrendPoint { session }).collect())
    }
}

impl Progress {
    /// Makes a `Progress` that reads each kind of total when a field first needs it.
    pub(in crate::graphql) fn lazy(scope: ProgressScope) -> Self {
        let (sittings, repeated, topics) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { data: Arc::new(ProgressData { scope, sittings, repeated, topics }) }
    }
}

/// Totals that several fields share. Each kind of total is read once, for all subjects of the scope, when a field first
/// needs it.
struct ProgressData {
    scope: ProgressScope,
    sittings: OnceCell<BTreeMap<SubjectId, SittingTotals>>,
    repeated: OnceCell<Repeated>,
    topics: OnceCell<BTreeMap<SubjectId, Vec<TopicSum>>>,
}

impl ProgressData {
    async fn sittings(&self, ctx: &Context<'_>) -> ApiResult<&BTreeMap<SubjectId, SittingTotals>> {
        let services = ctx.services()?;
        Ok(self.sittings.get_or_try_init(|| progress::sittings(services, self.scope)).await?)
    }

    async fn all_sittings(&self, ctx: &Context<'_>) -> ApiResult<SittingTotals> {
        Ok(self.sittings(ctx).await?.values().fold(SittingTotals::default(), SittingTotals::and))
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
    data: Arc<ProgressData>,
}

/// The progress of a learner in a subject. The counts of cards cover all purchases.
#[Object]
impl SubjectProgress {
    /// The subject that this progress is about.
    async fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The number of test cards of the subject, whatever their status.
    async fn total_cards(&self) -> i32 {
        to_int(self.cards.total())
    }

    /// The number of cards that were never sat and whose entitlement is valid. A card that was never sat and whose
    /// entitlement has ended counts only in `totalCards`.
    async fn available(&self) -> i32 {
        to_int(self.cards.available)
    }

    /// The number of cards with an open sitting.
    async fn in_progress(&self) -> i32 {
        to_int(self.cards.in_progress)
    }

    /// The number of cards that were sat, have no open sitting and have attempts left.
    async fn completed(&self) -> i32 {
        to_int(self.cards.completed)
    }

    /// The number of cards that have no open sitting and no attempts left.
    async fn exhausted(&self) -> i32 {
        to_int(self.cards.exhausted)
    }

    /// The average percentage of the scored sittings. Null if no sitting is scored.
    async fn average_percentage(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        let of_subject = |all: &BTreeMap<_, SittingTotals>| all.get(&self.subject.row_id())?.average();
        nullable(self.data.sittings(ctx).await, of_subject)
    }

    /// The results in each topic of the subject, over all scored sittings, in the order in which the topics were added.
    /// `MarkingScheme.review` does not hide these results.
    async fn by_topic(&self, ctx: &Context<'_>) -> ApiResult<Vec<TopicResult>> {
        let topics = self.data.topics(ctx).await?.get(&self.subject.row_id());
        let topics = topics.into_iter().flatten();
        Ok(topics.map(|topic| TopicResult::new(topic.name.clone(), topic.tally)).collect())
    }
}

pub(in crate::graphql) struct TopicResult {
    topic: String,
    tally: Tally,
}

/// The results of the questions of one topic. In a `SessionResult` they cover one sitting. In a `SubjectProgress`
/// they cover all scored sittings, and a question counts once in each of these sittings.
#[Object]
impl TopicResult {
    /// The name of the topic.
    async fn topic(&self) -> &str {
        &self.topic
    }

    /// The number of correct answers.
    async fn correct(&self) -> i32 {
        self.tally.correct
    }

    /// The number of wrong answers.
    async fn wrong(&self) -> i32 {
        self.tally.wrong
    }

    /// The number of unanswered questions.
    async fn unanswered(&self) -> i32 {
        self.tally.unanswered
    }

    /// The sum of the marks for the questions of the topic. The sum can be negative.
    async fn score(&self) -> Decimal {
        Decimal::of_hundredths(self.tally.score)
    }

    /// The correct answers as a percentage of the answered questions. Null if no question was answered.
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

pub(in crate::graphql) struct TrendPoint {
    session: test_session::Model,
}

/// A point of a chart: the result of a scored sitting.
#[Object]
impl TrendPoint {
    /// The time at which the sitting ended.
    async fn at(&self) -> ApiResult<DateTime> {
        self.session.submitted_at.map(DateTime).ok_or_else(|| self.lacks("an end"))
    }

    /// The marks of the sitting as a percentage of the highest possible marks. Negative if the marks are negative.
    async fn percentage(&self) -> ApiResult<Decimal> {
        self.session.percentage.map(Decimal::of_hundredths).ok_or_else(|| self.lacks("a percentage"))
    }

    /// The scored sitting.
    async fn session(&self) -> TestSession {
        TestSession::from(self.session.clone())
    }
}

impl TrendPoint {
    fn lacks(&self, what: &str) -> ApiError {
        ApiError::internal(format!("the scored sitting {} lacks {what}", self.session.id))
    }
}

/// Makes the value of a nullable field from the totals that were read. The field is null if `read` returns None. If the
/// totals could not be read, only this field fails.
fn nullable<T, N: Into<i64>>(part: ApiResult<T>, read: impl FnOnce(T) -> Option<N>) -> Nullable<Decimal> {
    part.map(|part| hundredths(read(part))).transpose()
}

/// Converts a count or a number of seconds to GraphQL's `Int`. Returns the maximum of `Int` for a greater value; in
/// seconds, that is 68 years.
fn to_int(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

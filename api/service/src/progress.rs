//! Reads the progress of a learner: totals over all scored sittings of the learner.
//!
//! Each function reads the rows of one learner in one statement. Sums of percentages and marks are whole numbers of
//! hundredths, so that only averages are rounded. A sitting always counts, even after its entitlement has ended or the
//! subject was bought again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::{SubjectId, TopicId, UserId, entitlement, test_session, topic_total};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, JoinType,
    QueryFilter, QueryOrder, QuerySelect, RelationDef, Select, Value,
};

use super::Services;
use super::scoring::{self, Tally};
use crate::database::{inserted, sql, whole_number_type};

/// The learner whose progress is read, and the subject to which it is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressScope {
    /// The learner.
    pub owner: UserId,
    /// The subject to which the progress is limited. None selects all subjects.
    pub subject: Option<SubjectId>,
}

/// Totals of scored sittings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SittingTotals {
    /// The number of scored sittings.
    pub taken: i64,
    /// The sum of the percentages, in hundredths of a per cent.
    pub percentages: i64,
    /// The best percentage, in hundredths of a per cent. None if there is no scored sitting.
    pub best: Option<i32>,
    /// The sum of the durations, in seconds.
    pub seconds: i64,
}

impl SittingTotals {
    /// Returns the average percentage in hundredths of a per cent. None if there is no scored sitting.
    #[must_use]
    pub fn average(&self) -> Option<i64> {
        scoring::average(self.percentages, self.taken)
    }

    /// Adds the totals of other sittings to these totals. `best` of the result is the better of the two percentages.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            taken: self.taken + other.taken,
            percentages: self.percentages + other.percentages,
            best: Ord::max(self.best, other.best),
            seconds: self.seconds + other.seconds,
        }
    }
}

/// The first and the latest results of cards that were scored at least twice. Both sums are over the same cards, so a
/// comparison is fair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Repeated {
    /// The number of cards that were scored at least twice.
    pub cards: i64,
    /// The sum of the percentages of the first scored sittings, in hundredths of a per cent. None if `cards` is 0.
    pub first: Option<i64>,
    /// The sum of the percentages of the latest scored sittings, in hundredths of a per cent. None if `cards` is 0.
    pub latest: Option<i64>,
}

impl Repeated {
    /// Returns the average percentage of the first scored sittings, in hundredths of a per cent. None if `cards` is 0.
    #[must_use]
    pub fn first_average(&self) -> Option<i64> {
        scoring::average(self.first?, self.cards)
    }

    /// Returns the average percentage of the latest scored sittings, in hundredths of a per cent. None if `cards` is 0.
    #[must_use]
    pub fn latest_average(&self) -> Option<i64> {
        scoring::average(self.latest?, self.cards)
    }

    /// Returns the rise of the average percentage from the first to the latest sittings, in hundredths of a percentage
    /// point. None if `cards` is 0. The rise is rounded separately, so it can differ by 1 from the difference of the
    /// two rounded averages.
    #[must_use]
    pub fn improvement(&self) -> Option<i64> {
        scoring::average(self.latest? - self.first?, self.cards)
    }
}

/// The numbers of cards by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cards {
    /// The number of cards that were never sat and have a live entitlement.
    pub available: i64,
    /// The number of cards that were never sat, and can no longer be sat: the entitlement of the card has ended or
    /// expired.
    pub lost: i64,
    /// The number of cards with an open sitting.
    pub in_progress: i64,
    /// The number of cards that were sat and have attempts left, even if their entitlement has ended.
    pub completed: i64,
    /// The number of cards without attempts left.
    pub exhausted: i64,
}

impl Cards {
    /// Returns the number of all cards.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.available + self.lost + self.in_progress + self.completed + self.exhausted
    }

    /// Returns the counter for cards of this status. `is_entitled` tells whether the entitlement of the cards is live.
    fn counter(&mut self, status: CardStatus, is_entitled: bool) -> &mut i64 {
        match status {
            CardStatus::Available if is_entitled => &mut self.available,
            CardStatus::Available => &mut self.lost,
            CardStatus::InProgress => &mut self.in_progress,
            CardStatus::Completed => &mut self.completed,
            CardStatus::Exhausted => &mut self.exhausted,
        }
    }
}

/// Totals of a learner's answers to the questions of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSum {
    /// The name of the topic.
    pub name: String,
    /// The totals of the topic. The maximum score is not stored, so `max_score` is 0 here.
    pub tally: Tally,
}

/// Reads the totals of the scored sittings, by subject. Leaves out subjects without a scored sitting.
///
/// # Errors
/// Returns the database's error.
#[service_call("progress.sittings")]
pub async fn sittings(
    services: &Services,
    scope: ProgressScope,
) -> Result<BTreeMap<SubjectId, SittingTotals>, DbErr> {
    use test_session::Column;

    let backend = services.database.backend();
    let rows = scored(scope)
        .select_only()
        .column(Column::SubjectId)
        .expr_as(Column::Id.count(), "taken")
        .expr_as(sum(backend, Column::Percentage), "percentages")
        .expr_as(Column::Percentage.max(), "best")
        .expr_as(sum(backend, Column::TimeTakenSeconds), "seconds")
        .group_by(Column::SubjectId)
        .into_model::<OfSubject>()
        .all(services.database.reader())
        .await?;
    Ok(rows.into_iter().map(|row| (row.subject_id, row.into())).collect())
}

#[derive(FromQueryResult)]
struct OfSubject {
    subject_id: SubjectId,
    taken: i64,
    percentages: Option<i64>,
    best: Option<i32>,
    seconds: Option<i64>,
}

impl From<OfSubject> for SittingTotals {
    fn from(row: OfSubject) -> Self {
        Self {
            taken: row.taken,
            percentages: row.percentages.unwrap_or_default(),
            best: row.best,
            seconds: row.seconds.unwrap_or_default(),
        }
    }
}

/// Reads the sums of the first and the latest results of the cards that were scored at least twice.
///
/// # Errors
/// Returns the database's error.
#[service_call("progress.repeated")]
pub async fn repeated(services: &Services, scope: ProgressScope) -> Result<Repeated, DbErr> {
    let backend = services.database.backend();
    let whole = whole_number_type(backend);
    let of_subject = if scope.subject.is_some() { "AND subject_id = ? " } else { "" };
    // Only one sitting of a card is open at a time, so the sittings of a card ended in the order of their attempt
    // numbers.
    let text = format!(
        "SELECT COUNT(*) AS cards, CAST(SUM(early.percentage) AS {whole}) AS first, \
         CAST(SUM(late.percentage) AS {whole}) AS latest \
         FROM (SELECT mock_test_attempt_id AS card, MIN(attempt_number) AS early, MAX(attempt_number) AS late \
         FROM test_sessions WHERE user_id = ? {of_subject}AND score IS NOT NULL \
         GROUP BY mock_test_attempt_id HAVING COUNT(*) > 1) ends \
         JOIN test_sessions early ON early.mock_test_attempt_id = ends.card AND early.attempt_number = ends.early \
         JOIN test_sessions late ON late.mock_test_attempt_id = ends.card AND late.attempt_number = ends.late"
    );
    let values = [Some(Value::from(scope.owner)), scope.subject.map(Value::from)];
    let statement = sql(backend, &text, values.into_iter().flatten());
    let found = Repeated::find_by_statement(statement).one(services.database.reader()).await?;
    Ok(found.unwrap_or_default())
}

type Moment = Option<DateTime<Utc>>;

/// Counts the cards of the learner by subject, over all purchases, including refunded and expired purchases.
///
/// # Errors
/// Returns the database's error.
#[service_call("progress.cards")]
pub async fn cards(services: &Services, scope: ProgressScope) -> Result<BTreeMap<SubjectId, Cards>, DbErr> {
    use mock_test_attempt::{Column, Entity};

    let mut select = Entity::of(scope.owner);
    if let Some(subject) = scope.subject {
        select = select.filter(Column::SubjectId.eq(subject));
    }
    // The present time is compared in the loop below and not in the statement, so the text of the statement never
    // changes.
    let entitlement: RelationDef = Entity::belongs_to(entitlement::Entity)
        .from((Column::PurchaseId, Column::SubjectId))
        .to((entitlement::Column::PurchaseId, entitlement::Column::SubjectId))
        .into();
    let rows: Vec<(SubjectId, CardStatus, Moment, Moment, i64)> = select
        .select_only()
        .columns([Column::SubjectId, Column::Status])
        .columns([entitlement::Column::EndedAt, entitlement::Column::ExpiresAt])
        .expr(Column::Id.count())
        .join(JoinType::InnerJoin, entitlement)
        .group_by(Column::SubjectId)
        .group_by(Column::Status)
        .group_by(entitlement::Column::EndedAt)
        .group_by(entitlement::Column::ExpiresAt)
        .into_tuple()
        .all(services.database.reader())
        .await?;
    let now = services.clock.now();
    let mut cards: BTreeMap<SubjectId, Cards> = BTreeMap::new();
    for (subject, status, ended_at, expires_at, count) in rows {
        let is_entitled = entitlement::is_live(ended_at, expires_at, now);
        *cards.entry(subject).or_default().counter(status, is_entitled) += count;
    }
    Ok(cards)
}

/// Reads the learner's totals by topic. The result has the topics by subject, in the order of the topics' ids.
///
/// # Errors
/// Returns the database's error.
#[service_call("progress.topics")]
pub async fn topics(
    services: &Services,
    scope: ProgressScope,
) -> Result<BTreeMap<SubjectId, Vec<TopicSum>>, DbErr> {
    let mut text =
        "SELECT topics.subject_id, topics.name, sums.correct, sums.wrong, sums.unanswered, sums.score \
                    FROM topic_totals sums JOIN topics ON topics.id = sums.topic_id WHERE sums.user_id = ?"
            .to_owned();
    if scope.subject.is_some() {
        text.push_str(" AND topics.subject_id = ?");
    }
    text.push_str(" ORDER BY sums.topic_id");
    let values = [Some(Value::from(scope.owner)), scope.subject.map(Value::from)];
    let statement = sql(services.database.backend(), &text, values.into_iter().flatten());
    let mut topics: BTreeMap<SubjectId, Vec<TopicSum>> = BTreeMap::new();
    for row in services.database.reader().query_all_raw(statement).await? {
        let tally = Tally {
            correct: row.try_get_by_index(2)?,
            wrong: row.try_get_by_index(3)?,
            unanswered: row.try_get_by_index(4)?,
            score: row.try_get_by_index(5)?,
            max_score: 0,
        };
        let sum = TopicSum { name: row.try_get_by_index(1)?, tally };
        topics.entry(row.try_get_by_index(0)?).or_default().push(sum);
    }
    Ok(topics)
}

/// Reads the latest scored sittings, at most `last` of them, in the order in which they ended.
///
/// # Errors
/// Returns the database's error.
#[service_call("progress.trend")]
pub async fn trend(
    services: &Services,
    scope: ProgressScope,
    last: u32,
) -> Result<Vec<test_session::Model>, DbErr> {
    let mut latest = scored(scope)
        .order_by_desc(test_session::Column::SubmittedAt)
        .order_by_desc(test_session::Column::Id)
        .limit(u64::from(last))
        .all(services.database.reader())
        .await?;
    latest.reverse();
    Ok(latest)
}

/// Selects the scored sittings of the learner and the subject of a scope.
fn scored(scope: ProgressScope) -> Select<test_session::Entity> {
    let mut select = test_session::Entity::of(scope.owner).filter(test_session::Column::Score.is_not_null());
    if let Some(subject) = scope.subject {
        select = select.filter(test_session::Column::SubjectId.eq(subject));
    }
    select
}

/// Returns the sum of a column, cast to a whole number. Some databases return another type for a sum.
fn sum(backend: DbBackend, column: test_session::Column) -> SimpleExpr {
    column.sum().cast_as(whole_number_type(backend))
}

/// Adds the tallies of a sitting's topics to the learner's stored totals, in one statement. `topics` must contain each
/// topic at most once.
///
/// Must be called in the transaction that closes the sitting, after it has locked the learner's row.
///
/// # Errors
/// Returns the database's error.
pub async fn add(
    transaction: &impl ConnectionTrait,
    learner: UserId,
    topics: &[(TopicId, Tally)],
) -> Result<(), DbErr> {
    use topic_total::{ActiveModel, Column, Entity};

    if topics.is_empty() {
        return Ok(());
    }
    let rows = topics.iter().map(|(topic, tally)| ActiveModel {
        user_id: Set(learner),
        topic_id: Set(*topic),
        correct: Set(tally.correct),
        wrong: Set(tally.wrong),
        unanswered: Set(tally.unanswered),
        score: Set(tally.score),
    });
    let backend = transaction.get_database_backend();
    let sum = |column: Column| (column, Expr::col((Entity, column)).add(inserted(backend, column)));
    let sums = [Column::Correct, Column::Wrong, Column::Unanswered, Column::Score].map(sum);
    Entity::insert_many(rows)
        .on_conflict(OnConflict::columns([Column::UserId, Column::TopicId]).values(sums).to_owned())
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

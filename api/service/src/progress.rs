//! How a learner is doing, over all their sittings that were scored.
//!
//! Each part is one statement, over the rows of the one learner; what is added up stays whole (hundredths), and is
//! rounded once, where an average is read. What was sat counts for good: also under a right that has ended, and in a
//! subject that was bought again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::{SubjectId, TopicId, UserId, entitlement, test_session, topic_total};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, JoinType,
    QueryFilter, QueryOrder, QuerySelect, RelationDef, Select, Value,
};

use super::Services;
use super::scoring::{self, Tally};
use crate::database::{inserted, sql, whole_number_type};

/// Whose progress, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The learner.
    pub owner: UserId,
    /// Only in this subject. In one that they never had there is none.
    pub subject: Option<SubjectId>,
}

/// What scored sittings add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sittings {
    /// How many there are.
    pub taken: i64,
    /// The sum of their percentages, in hundredths of a per cent.
    pub percentages: i64,
    /// The best of their percentages; none without one.
    pub best: Option<i32>,
    /// How long they took.
    pub seconds: i64,
}

impl Sittings {
    /// The average percentage, in hundredths; none without a sitting.
    #[must_use]
    pub fn average(&self) -> Option<i64> {
        scoring::average(self.percentages, self.taken)
    }

    /// With others.
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

/// The cards that were scored at least twice: what came out at first, and what lately. Of the same cards, since
/// comparing the first sittings of all with the latest of all would compare different tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Repeated {
    /// How many there are.
    pub cards: i64,
    /// The sum of the percentages of their first scored sittings, in hundredths; none without a card.
    pub first: Option<i64>,
    /// The sum of the percentages of their latest scored sittings.
    pub latest: Option<i64>,
}

impl Repeated {
    /// The average percentage at first, in hundredths.
    #[must_use]
    pub fn first_average(&self) -> Option<i64> {
        scoring::average(self.first?, self.cards)
    }

    /// The average percentage lately, in hundredths.
    #[must_use]
    pub fn latest_average(&self) -> Option<i64> {
        scoring::average(self.latest?, self.cards)
    }

    /// By how many percentage points the average has risen, in hundredths. Rounded by itself, so that it can be one
    /// off the difference of the two averages.
    #[must_use]
    pub fn improvement(&self) -> Option<i64> {
        scoring::average(self.latest? - self.first?, self.cards)
    }
}

/// How many cards there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cards {
    /// Never sat, of an entitlement that holds.
    pub available: i64,
    /// Never sat, of one that has ended: they cannot be sat any more.
    pub lost: i64,
    /// With an open sitting.
    pub in_progress: i64,
    /// Sat, with attempts left.
    pub completed: i64,
    /// With no attempt left.
    pub exhausted: i64,
}

impl Cards {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.available + self.lost + self.in_progress + self.completed + self.exhausted
    }

    fn of(&mut self, status: CardStatus, is_entitled: bool) -> &mut i64 {
        match status {
            CardStatus::Available if is_entitled => &mut self.available,
            CardStatus::Available => &mut self.lost,
            CardStatus::InProgress => &mut self.in_progress,
            CardStatus::Completed => &mut self.completed,
            CardStatus::Exhausted => &mut self.exhausted,
        }
    }
}

/// What the answers to the questions of a topic add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSum {
    /// What it is called.
    pub name: String,
    /// The answers. The most that could be had is not kept: it is 0 here.
    pub tally: Tally,
}

/// The scored sittings, by subject. Subjects without one are left out.
///
/// # Errors
/// The database's.
pub async fn sittings(services: &Services, scope: Scope) -> Result<BTreeMap<SubjectId, Sittings>, DbErr> {
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

impl From<OfSubject> for Sittings {
    fn from(row: OfSubject) -> Self {
        Self {
            taken: row.taken,
            percentages: row.percentages.unwrap_or_default(),
            best: row.best,
            seconds: row.seconds.unwrap_or_default(),
        }
    }
}

/// The cards that were scored at least twice.
///
/// # Errors
/// The database's.
pub async fn repeated(services: &Services, scope: Scope) -> Result<Repeated, DbErr> {
    let backend = services.database.backend();
    let whole = whole_number_type(backend);
    let of_subject = if scope.subject.is_some() { "AND subject_id = ? " } else { "" };
    // Only one sitting of a card is open at once, so that its attempts are in the order in which they ended.
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

/// The cards of every subject that the learner owns or has owned, of all purchases.
///
/// # Errors
/// The database's.
pub async fn cards(services: &Services, scope: Scope) -> Result<BTreeMap<SubjectId, Cards>, DbErr> {
    use mock_test_attempt::{Column, Entity};

    let mut select = Entity::of(scope.owner);
    if let Some(subject) = scope.subject {
        select = select.filter(Column::SubjectId.eq(subject));
    }
    // Which of them holds now is told here, so that the statement stays the same from one moment to the next.
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
        *cards.entry(subject).or_default().of(status, is_entitled) += count;
    }
    Ok(cards)
}

/// The topics of which questions were asked, by subject, in the order of their ids.
///
/// # Errors
/// The database's.
pub async fn topics(services: &Services, scope: Scope) -> Result<BTreeMap<SubjectId, Vec<TopicSum>>, DbErr> {
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

/// The last so many sittings that were scored, in the order in which they ended.
///
/// # Errors
/// The database's.
pub async fn trend(services: &Services, scope: Scope, last: u32) -> Result<Vec<test_session::Model>, DbErr> {
    let mut latest = scored(scope)
        .order_by_desc(test_session::Column::SubmittedAt)
        .order_by_desc(test_session::Column::Id)
        .limit(u64::from(last))
        .all(services.database.reader())
        .await?;
    latest.reverse();
    Ok(latest)
}

fn scored(scope: Scope) -> Select<test_session::Entity> {
    let mut select = test_session::Entity::of(scope.owner).filter(test_session::Column::Score.is_not_null());
    if let Some(subject) = scope.subject {
        select = select.filter(test_session::Column::SubjectId.eq(subject));
    }
    select
}

fn sum(backend: DbBackend, column: test_session::Column) -> SimpleExpr {
    column.sum().cast_as(whole_number_type(backend))
}

/// Adds the topics of a sitting, each of them once, to what the learner's sittings add up to, in one statement.
///
/// Runs in the transaction that closes the sitting, which holds the lock on the learner's row.
///
/// # Errors
/// The database's.
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

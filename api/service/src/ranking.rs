//! Percentiles: the rank of a sitting among all learners who sat the same paper.
//!
//! Each learner counts once, by the first scored sitting of a paper, so learners who practise a lot do not count more
//! often. The number of learners with each score is updated when a sitting ends ([`rank`]). So computing a percentile
//! reads a few hundred rows, however many learners sat the paper.

use std::collections::HashMap;

use jishu_entity::{PaperId, TestSessionId, UserId, paper_score, test_session};
use jishu_service_macros::service_call;
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Value,
};

use super::{Services, scoring};
use crate::database::{sql, whole_number_type};

/// Counts a learner with a score among those who sat a paper, unless the learner is counted already. Returns true if
/// this call counted the learner. Then the caller must mark the sitting with this score as `ranked`, in the same
/// transaction.
///
/// Must be called in the transaction that closes the sitting, after it has locked the learner's row.
///
/// # Errors
/// Returns the database's error.
pub async fn rank(
    transaction: &impl ConnectionTrait,
    paper: PaperId,
    learner: UserId,
    score: i32,
) -> Result<bool, DbErr> {
    let counted: Option<TestSessionId> = test_session::Entity::of(learner)
        .select_only()
        .column(test_session::Column::Id)
        .filter(test_session::Column::PaperId.eq(paper))
        .filter(test_session::Column::Ranked.eq(1))
        .into_tuple()
        .one(transaction)
        .await?;
    if counted.is_some() {
        return Ok(false);
    }
    let one_more = Expr::col((paper_score::Entity, paper_score::Column::Learners)).add(1);
    let row = paper_score::ActiveModel { paper_id: Set(paper), score: Set(score), learners: Set(1) };
    paper_score::Entity::insert(row)
        .on_conflict(
            OnConflict::columns([paper_score::Column::PaperId, paper_score::Column::Score])
                .value(paper_score::Column::Learners, one_more)
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;
    Ok(true)
}

/// Computes the percentiles of these sittings with one statement, as [`scoring::percentile`] defines them. Leaves out
/// sittings without a score and sittings of other users. Ranks a later sitting as if it had been the first sitting of
/// the learner.
///
/// # Errors
/// Returns the database's error.
#[service_call("ranking.percentiles")]
pub async fn percentiles(
    services: &Services,
    owner: UserId,
    sessions: Vec<TestSessionId>,
) -> Result<HashMap<TestSessionId, Decimal>, DbErr> {
    let mut values: Vec<Value> = sessions.into_iter().map(Value::from).collect();
    if values.is_empty() {
        return Ok(HashMap::new());
    }
    let placeholders = vec!["?"; values.len()].join(", ");
    values.push(owner.into());
    let backend = services.database.backend();
    let whole = whole_number_type(backend);
    let text = format!(
        "SELECT s.id, s.score, counted.score, \
         CAST(SUM(CASE WHEN scores.score <= s.score THEN scores.learners ELSE 0 END) AS {whole}), \
         CAST(SUM(scores.learners) AS {whole}) \
         FROM test_sessions s \
         JOIN paper_scores scores ON scores.paper_id = s.paper_id \
         LEFT JOIN test_sessions counted \
         ON counted.paper_id = s.paper_id AND counted.user_id = s.user_id AND counted.ranked = 1 \
         WHERE s.id IN ({placeholders}) AND s.user_id = ? AND s.score IS NOT NULL \
         GROUP BY s.id, s.score, counted.score"
    );
    let rows = services.database.reader().query_all_raw(sql(backend, &text, values)).await?;
    let mut percentiles = HashMap::with_capacity(rows.len());
    for row in rows {
        let (score, first): (i32, Option<i32>) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let (at_or_below, all): (i64, i64) = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
        // The learner's counted sitting is taken out of the numbers, and this sitting is counted in its place.
        let others = all - i64::from(first.is_some());
        let others_at_or_below = at_or_below - i64::from(first.is_some_and(|first| first <= score));
        if let Some(percentile) = scoring::percentile(others_at_or_below + 1, others + 1) {
            percentiles.insert(row.try_get_by_index(0)?, percentile);
        }
    }
    Ok(percentiles)
}

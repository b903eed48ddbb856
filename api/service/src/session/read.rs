//! Reads sittings, their answers and their scores.

use std::collections::HashMap;

use jishu_entity::test_session::{Column, Entity, Model};
use jishu_entity::{MockTestAttemptId, TestSessionId, UserId, test_answer};
use jishu_service_macros::service_call;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, IntoSimpleExpr, PaginatorTrait, QueryFilter, QuerySelect, Select, Value,
};

use super::close;
use crate::Services;
use crate::error::Fault;
use crate::page::{self, Keyset, Page, PageRequest};
use crate::scoring::Score;

/// The position of a sitting in a list of sittings: its id. Cursors contain it.
pub type SessionPosition = i64;

/// Returns the query for all sittings of a learner.
#[must_use]
pub fn of_user(owner: UserId) -> Select<Entity> {
    Entity::of(owner)
}

/// Returns the query for the sittings of a card, if the card belongs to this learner.
#[must_use]
pub fn of_card(owner: UserId, card: MockTestAttemptId) -> Select<Entity> {
    Entity::of(owner).filter(Column::MockTestAttemptId.eq(card))
}

/// Reads a page of the sittings that a query selects, the newest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.newest")]
pub async fn newest(
    services: &Services,
    sessions: Select<Entity>,
    request: PageRequest<SessionPosition>,
) -> Result<Page<Model>, DbErr> {
    let keyset = Keyset { columns: vec![Column::Id.into_simple_expr()], descending: true };
    page::fetch(services.database.reader(), sessions, keyset, request, |id| vec![Value::from(id)]).await
}

/// Counts the sittings that a query selects.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.count")]
pub async fn count(services: &Services, sessions: Select<Entity>) -> Result<u64, DbErr> {
    sessions.count(services.database.reader()).await
}

/// Finds the sittings with these ids, in no particular order. Leaves out sittings of other users.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.by_ids")]
pub async fn by_ids(
    services: &Services,
    owner: UserId,
    ids: Vec<TestSessionId>,
) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner).filter(Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// Finds the open sittings of these cards. Leaves out sittings of other users.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.open_of_cards")]
pub async fn open_of_cards(
    services: &Services,
    owner: UserId,
    cards: Vec<MockTestAttemptId>,
) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner)
        .filter(Column::MockTestAttemptId.is_in(cards))
        .filter(Column::OpenMarker.eq(1))
        .all(services.database.reader())
        .await
}

/// Reads the scores of the closed sittings of these cards of a user, by card, in the order of the attempts. Scores are
/// in hundredths of a mark.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.scores_of_cards")]
pub async fn scores_of_cards(
    services: &Services,
    owner: UserId,
    cards: Vec<MockTestAttemptId>,
) -> Result<HashMap<MockTestAttemptId, Vec<i32>>, DbErr> {
    let mut rows: Vec<(MockTestAttemptId, i32, i32)> = Entity::of(owner)
        .select_only()
        .columns([Column::MockTestAttemptId, Column::AttemptNumber, Column::Score])
        .filter(Column::MockTestAttemptId.is_in(cards))
        .filter(Column::Score.is_not_null())
        .into_tuple()
        .all(services.database.reader())
        .await?;
    rows.sort_unstable_by_key(|(_, attempt, _)| *attempt);
    let mut scores: HashMap<_, Vec<i32>> = HashMap::new();
    for (card, _, score) in rows {
        scores.entry(card).or_default().push(score);
    }
    Ok(scores)
}

/// Reads the saved answers of a sitting, by slot. Does not check to whom the sitting belongs.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.answers")]
pub async fn answers(
    services: &Services,
    id: TestSessionId,
) -> Result<HashMap<i32, test_answer::Model>, DbErr> {
    let rows = test_answer::Entity::find()
        .filter(test_answer::Column::SessionId.eq(id))
        .all(services.database.reader())
        .await?;
    Ok(rows.into_iter().map(|row| (row.slot, row)).collect())
}

/// Reads the greatest number of a batch that has stored answers in a sitting; 0 if no answers are stored. Does not
/// check to whom the sitting belongs.
///
/// # Errors
/// Returns the database's error.
#[service_call("session.answer_sequence")]
pub async fn answer_sequence(services: &Services, id: TestSessionId) -> Result<i32, DbErr> {
    let greatest: Option<Option<i32>> = test_answer::Entity::find()
        .select_only()
        .column_as(test_answer::Column::Sequence.max(), "sequence")
        .filter(test_answer::Column::SessionId.eq(id))
        .into_tuple()
        .one(services.database.reader())
        .await?;
    Ok(greatest.flatten().unwrap_or_default())
}

/// Computes the score of a closed sitting again, with the totals of its topics. The result is the same as when the
/// sitting was closed.
///
/// # Errors
/// Fails if the database fails, or if the paper of the sitting is missing or incomplete.
#[service_call("session.score_of")]
pub async fn score_of(services: &Services, session: &Model) -> Result<Score, Fault> {
    let paper = services.papers.get(session.into()).await?;
    let answers = close::answers(services.database.reader(), session.id).await?;
    Ok(close::score(&paper, &answers))
}

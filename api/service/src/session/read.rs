//! Reading sittings, page by page.

use std::collections::HashMap;

use jishu_entity::test_session::{Column, Entity, Model};
use jishu_entity::{MockTestAttemptId, TestSessionId, UserId, test_answer};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, IntoSimpleExpr, PaginatorTrait, QueryFilter, QuerySelect, Select, Value,
};

use super::close;
use crate::Services;
use crate::page::{self, Keyset, Page, PageRequest};
use crate::scoring::Score;

/// A sitting's place in a list of sittings.
pub type SessionKey = i64;

/// All sittings of a learner.
#[must_use]
pub fn of_user(owner: UserId) -> Select<Entity> {
    Entity::of(owner)
}

/// The sittings of a learner's card.
#[must_use]
pub fn of_card(owner: UserId, card: MockTestAttemptId) -> Select<Entity> {
    Entity::of(owner).filter(Column::MockTestAttemptId.eq(card))
}

/// A page of sittings, newest first.
///
/// # Errors
/// The database's.
pub async fn newest(
    services: &Services,
    sessions: Select<Entity>,
    request: PageRequest<SessionKey>,
) -> Result<Page<Model>, DbErr> {
    let keyset = Keyset { columns: vec![Column::Id.into_simple_expr()], descending: true };
    page::fetch(services.database.reader(), sessions, &keyset, request, |id| vec![Value::from(id)]).await
}

/// How many they are.
///
/// # Errors
/// The database's.
pub async fn count(services: &Services, sessions: Select<Entity>) -> Result<u64, DbErr> {
    sessions.count(services.database.reader()).await
}

/// Those of these sittings that are this user's.
///
/// # Errors
/// The database's.
pub async fn by_ids(
    services: &Services,
    owner: UserId,
    ids: impl IntoIterator<Item = TestSessionId> + Send,
) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner).filter(Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// The open sittings of these cards of this user.
///
/// # Errors
/// The database's.
pub async fn open_of_cards(
    services: &Services,
    owner: UserId,
    cards: impl IntoIterator<Item = MockTestAttemptId> + Send,
) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner)
        .filter(Column::MockTestAttemptId.is_in(cards))
        .filter(Column::OpenMarker.eq(1))
        .all(services.database.reader())
        .await
}

/// The scores of these cards' sittings that are over, in their order.
///
/// # Errors
/// The database's.
pub async fn scores_of_cards(
    services: &Services,
    owner: UserId,
    cards: impl IntoIterator<Item = MockTestAttemptId> + Send,
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

/// What is saved of a sitting, by slot.
///
/// # Errors
/// The database's.
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

/// The number of the latest batch that set an answer; 0 before the first.
///
/// # Errors
/// The database's.
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

/// The marks of a sitting that is over, topic by topic: the computation that closed it, again.
///
/// # Errors
/// The database's.
pub async fn score_of(services: &Services, session: &Model) -> Result<Score, DbErr> {
    let paper = services.papers.get(session.into()).await?;
    let answers = close::answers(services.database.reader(), session.id).await?;
    Ok(close::score(&paper, &answers))
}

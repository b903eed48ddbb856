//! What a learner may see of the key.

use std::collections::HashSet;

use jishu_entity::subject::ReviewPolicy;
use jishu_entity::test_session::{self, Column, Entity};
use jishu_entity::{PaperId, QuestionId, mock_test_attempt};
use sea_orm::{ColumnTrait, DbErr, QueryFilter, QuerySelect};

use crate::service::Services;

/// Of which questions of a sitting the key, the explanation and the marks may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    is_open: bool,
    /// Those that the learner is being asked elsewhere.
    hidden: HashSet<QuestionId>,
}

impl Review {
    /// Whether this question may be reviewed.
    #[must_use]
    pub fn shows(&self, question: QuestionId) -> bool {
        self.is_open && !self.hidden.contains(&question)
    }
}

/// Decides what of a sitting may be reviewed: nothing before it is over and its subject's policy lets it, and no question
/// that stands in another sitting of the learner that is still open.
///
/// # Errors
/// The database's.
pub async fn review(services: &Services, session: &test_session::Model) -> Result<Review, DbErr> {
    if session.open_marker.is_some() {
        return Ok(Review::default());
    }
    let policy = services.catalog.subject(session.subject_id).await?.review_policy;
    let is_open = match policy {
        ReviewPolicy::AfterSitting => true,
        ReviewPolicy::AfterLastAttempt => is_used_up(services, session).await?,
        ReviewPolicy::Never => false,
    };
    if !is_open {
        return Ok(Review::default());
    }
    let papers: Vec<PaperId> = Entity::of(session.user_id)
        .select_only()
        .column(Column::PaperId)
        .filter(Column::OpenMarker.eq(1))
        .into_tuple()
        .all(services.database.reader())
        .await?;
    let mut hidden = HashSet::new();
    for paper in papers {
        let paper = services.papers.get(paper).await?;
        hidden.extend(paper.questions.iter().map(|question| question.question_id));
    }
    Ok(Review { is_open, hidden })
}

/// Whether no sitting of the card is left or open.
async fn is_used_up(services: &Services, session: &test_session::Model) -> Result<bool, DbErr> {
    let card = mock_test_attempt::Entity::of(session.user_id)
        .filter(mock_test_attempt::Column::Id.eq(session.mock_test_attempt_id))
        .one(services.database.reader())
        .await?;
    Ok(card.is_some_and(|card| card.status == mock_test_attempt::CardStatus::Exhausted))
}

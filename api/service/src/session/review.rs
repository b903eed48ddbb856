//! What a learner may see of the key.

use std::collections::HashSet;

use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::subject::ReviewPolicy;
use jishu_entity::test_session::{self, Column, Entity};
use jishu_entity::{PaperId, QuestionId};
use sea_orm::{ColumnTrait, DbErr, QueryFilter, QuerySelect};

use super::start::is_entitled;
use crate::Services;
use crate::paper::PaperRevision;

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
    let papers: Vec<(PaperId, i32)> = Entity::of(session.user_id)
        .select_only()
        .columns([Column::PaperId, Column::PaperRevision])
        .filter(Column::OpenMarker.eq(1))
        .into_tuple()
        .all(services.database.reader())
        .await?;
    let mut hidden = HashSet::new();
    for (paper, revision) in papers {
        let paper = services.papers.get(PaperRevision { paper, revision }).await?;
        hidden.extend(paper.questions.iter().map(|question| question.question_id));
    }
    Ok(Review { is_open, hidden })
}

/// Whether the learner can sit this paper no more: of all their cards of its test, from whichever purchase, none is open
/// and none can be started.
async fn is_used_up(services: &Services, session: &test_session::Model) -> Result<bool, DbErr> {
    let (reader, now) = (services.database.reader(), services.clock.now());
    let test_number = services.papers.get(session.into()).await?.row.test_number;
    let cards = mock_test_attempt::Entity::of(session.user_id)
        .filter(mock_test_attempt::Column::SubjectId.eq(session.subject_id))
        .filter(mock_test_attempt::Column::TestNumber.eq(test_number))
        .all(reader)
        .await?;
    for card in cards {
        let may_be_sat = match card.status {
            CardStatus::Exhausted => false,
            CardStatus::InProgress => true,
            CardStatus::Available | CardStatus::Completed => is_entitled(reader, &card, now).await?,
        };
        if may_be_sat {
            return Ok(false);
        }
    }
    Ok(true)
}

//! Decides for which questions a learner may see the key after a sitting.

use std::collections::HashSet;

use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::subject::ReviewPolicy;
use jishu_entity::test_session::{self, Column, Entity};
use jishu_entity::{PaperId, QuestionId, UserId};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::start::is_entitled;
use crate::Services;
use crate::error::Fault;
use crate::paper::PaperRevision;

/// The questions of a sitting whose key, explanation and marks may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    is_open: bool,
    /// The questions that an open sitting of the learner or of the reader also asks.
    hidden: HashSet<QuestionId>,
}

impl Review {
    /// Tells whether the key, the explanation and the marks of a question may be shown.
    #[must_use]
    pub fn shows(&self, question: QuestionId) -> bool {
        self.is_open && !self.hidden.contains(&question)
    }
}

/// Decides for which questions of a sitting the key, the explanation and the marks may be shown. The sitting must be
/// over, and the review policy of its subject must allow it. Nothing is shown of a question that an open sitting of the
/// learner or of the `reader` also asks. The reader can be a member of staff who sits tests of the same subject.
///
/// # Errors
/// Fails if the database fails, or if the subject, the card or a paper is missing or damaged.
#[service_call("session.review")]
pub async fn review(
    services: &Services,
    session: &test_session::Model,
    reader: UserId,
) -> Result<Review, Fault> {
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
    let papers: Vec<(PaperId, i32)> = Entity::find()
        .filter(Column::UserId.is_in([session.user_id, reader]))
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

/// Tells whether the learner can no longer sit the test of this sitting. Checks all cards of the learner for this test,
/// from all purchases: no card may have an open sitting, and no card may allow a new sitting.
async fn is_used_up(services: &Services, session: &test_session::Model) -> Result<bool, Fault> {
    let (reader, now) = (services.database.reader(), services.clock.now());
    // Read the test number from the card, because the paper of an adopted sitting has another number.
    let test_number: Option<i32> = mock_test_attempt::Entity::of(session.user_id)
        .select_only()
        .column(mock_test_attempt::Column::TestNumber)
        .filter(mock_test_attempt::Column::Id.eq(session.mock_test_attempt_id))
        .into_tuple()
        .one(reader)
        .await?;
    let test_number = test_number.ok_or_else(|| Fault::missing("the card of a sitting"))?;
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

//! Closes the open sittings of cards whose entitlement ends.

use chrono::{DateTime, Utc};
use jishu_entity::entitlement::EntitlementEnd;
use jishu_entity::{PurchaseId, SubjectId, UserId, mock_test_attempt, test_session};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, DatabaseTransaction, QueryFilter, QueryOrder, QuerySelect};

use super::close::{self, Ending};
use crate::error::Fault;
use crate::paper::Papers;

/// Entitlements of one purchase that end.
#[derive(Clone, Debug)]
pub(crate) struct EndedEntitlements {
    /// The learner.
    pub(crate) owner: UserId,
    /// The purchase that gave the entitlements.
    pub(crate) purchase: PurchaseId,
    /// The subjects of the entitlements.
    pub(crate) subjects: Vec<SubjectId>,
    /// The reason why the entitlements end.
    pub(crate) reason: EntitlementEnd,
    /// The time at which the entitlements end.
    pub(crate) at: DateTime<Utc>,
}

/// Closes and scores each open sitting of a learner whose account is being deleted. A sitting whose deadline has passed
/// ends at its deadline, and any other sitting ends at `now`. The caller must have locked the row of the learner.
pub(crate) async fn close_all_of(
    transaction: &DatabaseTransaction,
    papers: &Papers,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let open: Vec<jishu_entity::TestSessionId> = test_session::Entity::of(owner)
        .select_only()
        .column(test_session::Column::Id)
        .filter(test_session::Column::OpenMarker.eq(1))
        .order_by_asc(test_session::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for id in open {
        let session = close::lock(transaction, id).await?;
        let ending = match session.expires_at <= now {
            true => Ending::Overdue,
            false => Ending::Deletion,
        };
        let paper = papers.get_through(transaction, (&session).into()).await?;
        close::close(transaction, session, &paper, ending, now).await?;
    }
    Ok(())
}

/// Closes and scores each open sitting of the cards that the ended entitlements gave. The caller must have locked the
/// row of the learner.
pub(crate) async fn close_open_of(
    transaction: &DatabaseTransaction,
    papers: &Papers,
    ended: &EndedEntitlements,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let cards = Query::select()
        .column(mock_test_attempt::Column::Id)
        .from(mock_test_attempt::Entity)
        .and_where(Expr::col(mock_test_attempt::Column::PurchaseId).eq(ended.purchase))
        .and_where(Expr::col(mock_test_attempt::Column::SubjectId).is_in(ended.subjects.iter().copied()))
        .take();
    let open: Vec<jishu_entity::TestSessionId> = test_session::Entity::of(ended.owner)
        .select_only()
        .column(test_session::Column::Id)
        .filter(test_session::Column::OpenMarker.eq(1))
        .filter(test_session::Column::MockTestAttemptId.in_subquery(cards))
        .order_by_asc(test_session::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for id in open {
        let session = close::lock(transaction, id).await?;
        // A sitting whose deadline was not after the end of the entitlement ended at its deadline.
        let ending = match session.expires_at <= ended.at {
            true => Ending::Overdue,
            false => Ending::Entitlement(ended.reason, ended.at),
        };
        let paper = papers.get_through(transaction, (&session).into()).await?;
        close::close(transaction, session, &paper, ending, now).await?;
    }
    Ok(())
}

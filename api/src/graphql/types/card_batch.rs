//! Data for all test cards of a page, read when a field first needs it.
//!
//! A loader collects the keys that arrive within a short time, and a long page takes longer than that. Here the
//! page asks for all of its cards at once, so that each kind of data takes one statement for a page of any length.

use std::collections::HashMap;
use std::hash::Hash;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use jishu_entity::mock_test_attempt::{CardStatus, Model};
use jishu_entity::{MockTestAttemptId, PurchaseId, SubjectId, UserId, entitlement, test_session};
use tokio::sync::OnceCell;

use super::Subject;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use jishu_service::catalog::Snapshot;
use jishu_service::paper::{Outline, TestId};

/// One kind of data about the cards, empty until a field needs it. An error is kept too, since the cards share it.
type CardData<K, V> = OnceCell<ApiResult<HashMap<(UserId, K), V>>>;

/// The cards of a page, or one card that was read alone.
#[derive(Default)]
pub(super) struct CardBatch {
    cards: Vec<(UserId, (MockTestAttemptId, SubjectId))>,
    /// The few subjects of the cards. Empty for a card that was read alone.
    subjects: Vec<Subject>,
    /// The cards with an open sitting.
    in_progress: Vec<(UserId, MockTestAttemptId)>,
    tests: Vec<(UserId, TestId)>,
    purchases: Vec<(UserId, PurchaseId)>,
    open_sessions: CardData<MockTestAttemptId, test_session::Model>,
    papers: CardData<TestId, Outline>,
    extra_seconds: CardData<(MockTestAttemptId, SubjectId), i32>,
    entitlements: CardData<PurchaseId, Vec<entitlement::Model>>,
}

impl CardBatch {
    pub(super) fn of(rows: &[Model]) -> Self {
        let sat = rows.iter().filter(|row| row.status == CardStatus::InProgress);
        Self {
            cards: rows.iter().map(|row| (row.user_id, (row.id, row.subject_id))).collect(),
            in_progress: sat.map(|row| (row.user_id, row.id)).collect(),
            tests: rows.iter().map(|row| (row.user_id, test_of(row))).collect(),
            purchases: rows.iter().map(|row| (row.user_id, row.purchase_id)).collect(),
            ..Self::default()
        }
    }

    /// Finds the subjects of the cards in a snapshot of the catalogue.
    pub(super) fn with_subjects(mut self, snapshot: &Snapshot) -> Self {
        for (_, (_, id)) in &self.cards {
            if self.subject(*id).is_none() {
                self.subjects.extend(Subject::in_snapshot(snapshot, *id));
            }
        }
        self
    }

    /// Returns a subject of the cards, if it is at hand.
    pub(super) fn subject(&self, id: SubjectId) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.row_id() == id)
    }

    /// Returns the open sitting of a card.
    pub(super) async fn open_session(
        &self,
        ctx: &Context<'_>,
        row: &Model,
    ) -> ApiResult<Option<&test_session::Model>> {
        let open = load_once(&self.open_sessions, &ctx.loaders()?.open_session, &self.in_progress).await?;
        Ok(open.get(&(row.user_id, row.id)))
    }

    /// Returns the paper of a card, if it has been made.
    pub(super) async fn paper(&self, ctx: &Context<'_>, row: &Model) -> ApiResult<Option<Outline>> {
        let papers = load_once(&self.papers, &ctx.loaders()?.paper, &self.tests).await?;
        Ok(papers.get(&(row.user_id, test_of(row))).copied())
    }

    /// Returns the extra time of a card, in seconds.
    pub(super) async fn extra_seconds(&self, ctx: &Context<'_>, row: &Model) -> ApiResult<i32> {
        let granted = load_once(&self.extra_seconds, &ctx.loaders()?.extra_seconds, &self.cards).await?;
        Ok(granted.get(&(row.user_id, (row.id, row.subject_id))).copied().unwrap_or_default())
    }

    /// Returns the entitlement that gave a card.
    pub(super) async fn entitlement(
        &self,
        ctx: &Context<'_>,
        row: &Model,
    ) -> ApiResult<Option<&entitlement::Model>> {
        let entitlements =
            load_once(&self.entitlements, &ctx.loaders()?.entitlements, &self.purchases).await?;
        let of_purchase = entitlements.get(&(row.user_id, row.purchase_id)).into_iter().flatten();
        Ok(of_purchase.into_iter().find(|entitlement| entitlement.subject_id == row.subject_id))
    }
}

fn test_of(row: &Model) -> TestId {
    TestId { subject_id: row.subject_id, test_number: row.test_number }
}

async fn load_once<'p, K, L>(
    data: &'p CardData<K, L::Value>,
    loader: &DataLoader<L>,
    keys: &[(UserId, K)],
) -> ApiResult<&'p HashMap<(UserId, K), L::Value>>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    L: Loader<(UserId, K)>,
    ApiError: From<L::Error>,
{
    let read = async || Ok(loader.load_many(keys.iter().copied()).await?);
    data.get_or_init(read).await.as_ref().map_err(Clone::clone)
}

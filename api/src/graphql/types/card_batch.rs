//! What is read for all cards of a page as soon as it is asked of one.
//!
//! A loader collects what is asked within a moment of its own, which a long page outlasts. Here a page asks it for all
//! of its cards at once, so that each part is one statement however long the page is.

use std::collections::HashMap;
use std::hash::Hash;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use jishu_entity::mock_test_attempt::{CardStatus, Model};
use jishu_entity::{MockTestAttemptId, PurchaseId, SubjectId, UserId, entitlement, test_session};
use tokio::sync::OnceCell;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use jishu_service::paper::{Outline, Test};
use jishu_service::session;

/// A part of what is known of the cards, none before it is asked for. A failure is kept: the cards share it.
type Part<K, V> = OnceCell<ApiResult<HashMap<(UserId, K), V>>>;

/// The cards of a page, or one that was read alone.
#[derive(Default)]
pub(super) struct CardBatch {
    cards: Vec<(UserId, MockTestAttemptId)>,
    /// Those that are being sat.
    in_progress: Vec<(UserId, MockTestAttemptId)>,
    tests: Vec<(UserId, Test)>,
    purchases: Vec<(UserId, PurchaseId)>,
    open: Part<MockTestAttemptId, test_session::Model>,
    papers: Part<Test, Outline>,
    extra_seconds: Part<MockTestAttemptId, i32>,
    rights: Part<PurchaseId, Vec<entitlement::Model>>,
}

impl CardBatch {
    pub(super) fn of(rows: &[Model]) -> Self {
        let sat = rows.iter().filter(|row| row.status == CardStatus::InProgress);
        Self {
            cards: rows.iter().map(|row| (row.user_id, row.id)).collect(),
            in_progress: sat.map(|row| (row.user_id, row.id)).collect(),
            tests: rows.iter().map(|row| (row.user_id, test(row))).collect(),
            purchases: rows.iter().map(|row| (row.user_id, row.purchase_id)).collect(),
            ..Self::default()
        }
    }

    /// The open sitting of a card.
    pub(super) async fn open(
        &self,
        ctx: &Context<'_>,
        row: &Model,
    ) -> ApiResult<Option<&test_session::Model>> {
        let open = part(&self.open, &ctx.loaders()?.open_session, &self.in_progress).await?;
        Ok(open.get(&(row.user_id, row.id)))
    }

    /// Whether a sitting of the card can begin or go on.
    pub(super) async fn can_start(&self, ctx: &Context<'_>, row: &Model) -> ApiResult<bool> {
        let (open, right) = (self.open(ctx, row).await?, self.right(ctx, row).await?);
        Ok(session::can_start(ctx.services()?, row, open, right))
    }

    /// The paper of a card, where it is made.
    pub(super) async fn paper(&self, ctx: &Context<'_>, row: &Model) -> ApiResult<Option<Outline>> {
        let papers = part(&self.papers, &ctx.loaders()?.paper, &self.tests).await?;
        Ok(papers.get(&(row.user_id, test(row))).copied())
    }

    /// What support granted to a card.
    pub(super) async fn extra_seconds(&self, ctx: &Context<'_>, row: &Model) -> ApiResult<i32> {
        let granted = part(&self.extra_seconds, &ctx.loaders()?.extra_seconds, &self.cards).await?;
        Ok(granted.get(&(row.user_id, row.id)).copied().unwrap_or_default())
    }

    /// The entitlement that gave a card.
    pub(super) async fn right(
        &self,
        ctx: &Context<'_>,
        row: &Model,
    ) -> ApiResult<Option<&entitlement::Model>> {
        let rights = part(&self.rights, &ctx.loaders()?.entitlements, &self.purchases).await?;
        let of_purchase = rights.get(&(row.user_id, row.purchase_id)).into_iter().flatten();
        Ok(of_purchase.into_iter().find(|right| right.subject_id == row.subject_id))
    }
}

fn test(row: &Model) -> (SubjectId, i32) {
    (row.subject_id, row.test_number)
}

async fn part<'p, K, L>(
    part: &'p Part<K, L::Value>,
    loader: &DataLoader<L>,
    keys: &[(UserId, K)],
) -> ApiResult<&'p HashMap<(UserId, K), L::Value>>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    L: Loader<(UserId, K)>,
    ApiError: From<L::Error>,
{
    let read = async || Ok(loader.load_many(keys.iter().copied()).await?);
    part.get_or_init(read).await.as_ref().map_err(Clone::clone)
}

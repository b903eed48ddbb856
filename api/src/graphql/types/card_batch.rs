//! Data that the test cards of a page share. `CardBatch::prepared` reads the data of the fields that the document
//! selects, before any field of a card runs. Other data is read when a field of one card first needs it. Each read
//! covers all cards of the page.
//!
//! A data loader collects the keys that arrive within a short time, and the fields of a long page arrive later than
//! that. A batch asks for the data of all cards of the page at once. So each kind of data takes one statement, however
//! long the page is.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use jishu_entity::mock_test_attempt::{CardStatus, Model};
use jishu_entity::{MockTestAttemptId, PurchaseId, SubjectId, UserId, entitlement, test_session};
use tokio::sync::OnceCell;

use super::card_selection::CardSelection;
use super::{SessionPaper, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::scalar::{Decimal, hundredths};
use jishu_service::catalog::Snapshot;
use jishu_service::paper::{Outline, TestId};
use jishu_service::session;

/// One kind of data about the cards, empty until a field needs it. If the read fails, the error is kept, and every card
/// gets it.
type CardData<K, V> = OnceCell<ApiResult<HashMap<(UserId, K), V>>>;

/// The cards of a page, or one card that was read alone.
#[derive(Default)]
pub(super) struct CardBatch {
    cards: Vec<CardKeys>,
    /// The subjects of the cards, each once. Empty for a card that was read alone.
    subjects: Vec<Arc<Subject>>,
    open_sessions: CardData<MockTestAttemptId, test_session::Model>,
    papers: CardData<TestId, Outline>,
    extra_seconds: CardData<(MockTestAttemptId, SubjectId), i32>,
    entitlements: CardData<PurchaseId, Vec<entitlement::Model>>,
    /// The values that [`CardBatch::prepared`] has made, by card.
    known: HashMap<MockTestAttemptId, KnownValues>,
}

/// Values of a card that its row does not contain. A value is None if it was not prepared.
#[derive(Default)]
struct KnownValues {
    can_start: Option<bool>,
    extra_seconds: Option<i32>,
    paper: Option<SessionPaper>,
    grade: Option<Option<Decimal>>,
}

/// The keys with which the data of one card is found.
#[derive(Clone, Copy)]
struct CardKeys {
    owner: UserId,
    id: MockTestAttemptId,
    test: TestId,
    purchase: PurchaseId,
    is_in_progress: bool,
}

impl CardKeys {
    fn of(row: &Model) -> Self {
        Self {
            owner: row.user_id,
            id: row.id,
            test: test_of(row),
            purchase: row.purchase_id,
            is_in_progress: row.status == CardStatus::InProgress,
        }
    }
}

impl CardBatch {
    pub(super) fn of(rows: &[Model]) -> Self {
        Self { cards: rows.iter().map(CardKeys::of).collect(), ..Self::default() }
    }

    /// Finds the subjects of the cards in a snapshot of the catalogue. Leaves out subjects that the snapshot lacks.
    pub(super) fn with_subjects(mut self, snapshot: &Snapshot) -> Self {
        for keys in &self.cards {
            let id = keys.test.subject_id;
            if self.subject(id).is_none() {
                self.subjects.extend(Subject::in_snapshot(snapshot, id).map(Arc::new));
            }
        }
        self
    }

    /// Reads the values of the cards that the document selects, so that the fields of the cards need not wait for them.
    /// If a value cannot be read, its field reports the error.
    pub(super) async fn prepared(
        mut self,
        ctx: &Context<'_>,
        selection: CardSelection,
        rows: &[Model],
    ) -> ApiResult<Self> {
        if !selection.needs_values() {
            return Ok(self);
        }
        let services = ctx.services()?;
        let mut known: HashMap<_, KnownValues> = HashMap::with_capacity(rows.len());
        for row in rows {
            let values = known.entry(row.id).or_default();
            if selection.can_start
                && let (Ok(open), Ok(right)) =
                    (self.open_session(ctx, row).await, self.entitlement(ctx, row).await)
            {
                values.can_start = Some(session::can_start(services, row, open, right));
            }
            if selection.extra_seconds {
                values.extra_seconds = self.extra_seconds(ctx, row).await.ok();
            }
            let subject = self.subject(row.subject_id);
            if selection.paper
                && let (Ok(made), Some(subject)) = (self.paper(ctx, row).await, subject)
            {
                values.paper = Some(made.unwrap_or_else(|| subject.outline()).into());
            }
            if selection.grade {
                values.grade = subject.and_then(|subject| subject.grade_of(row)).map(hundredths);
            }
        }
        self.known = known;
        Ok(self)
    }

    /// Returns whether the learner can start or continue a sitting of a card. Returns None if this value was not
    /// prepared.
    pub(super) fn known_can_start(&self, id: MockTestAttemptId) -> Option<&bool> {
        self.known.get(&id)?.can_start.as_ref()
    }

    /// Returns the extra time for each sitting of a card, in seconds. Returns None if this value was not prepared.
    pub(super) fn known_extra_seconds(&self, id: MockTestAttemptId) -> Option<&i32> {
        self.known.get(&id)?.extra_seconds.as_ref()
    }

    /// Returns the outline of the test of a card. Returns None if this value was not prepared.
    pub(super) fn known_paper(&self, id: MockTestAttemptId) -> Option<&SessionPaper> {
        self.known.get(&id)?.paper.as_ref()
    }

    /// Returns the grade of a card. The inner option is None if no sitting is scored. The outer option is None if the
    /// grade was not prepared.
    pub(super) fn known_grade(&self, id: MockTestAttemptId) -> Option<&Option<Decimal>> {
        self.known.get(&id)?.grade.as_ref()
    }

    /// Returns the subject with this id. Returns None if the batch does not have it.
    pub(super) fn subject(&self, id: SubjectId) -> Option<&Arc<Subject>> {
        self.subjects.iter().find(|subject| subject.row_id() == id)
    }

    /// Returns the open sitting of a card, or None. The first call reads the open sittings of all cards in the batch.
    pub(super) async fn open_session(
        &self,
        ctx: &Context<'_>,
        row: &Model,
    ) -> ApiResult<Option<&test_session::Model>> {
        let sat = self.cards.iter().filter(|keys| keys.is_in_progress).map(|keys| (keys.owner, keys.id));
        let open = load_once(&self.open_sessions, &ctx.loaders()?.open_session, sat).await?;
        Ok(open.get(&(row.user_id, row.id)))
    }

    /// Returns the outline of the paper of a card's test. Returns None if the paper has not been made yet. The first
    /// call reads the outlines for all cards in the batch.
    pub(super) async fn paper(&self, ctx: &Context<'_>, row: &Model) -> ApiResult<Option<Outline>> {
        let tests = self.cards.iter().map(|keys| (keys.owner, keys.test));
        let papers = load_once(&self.papers, &ctx.loaders()?.paper, tests).await?;
        Ok(papers.get(&(row.user_id, test_of(row))).copied())
    }

    /// Returns the extra time for each sitting of a card, in seconds. Returns 0 if support granted none. The first call
    /// reads the extra time of all cards in the batch.
    pub(super) async fn extra_seconds(&self, ctx: &Context<'_>, row: &Model) -> ApiResult<i32> {
        let cards = self.cards.iter().map(|keys| (keys.owner, (keys.id, keys.test.subject_id)));
        let granted = load_once(&self.extra_seconds, &ctx.loaders()?.extra_seconds, cards).await?;
        Ok(granted.get(&(row.user_id, (row.id, row.subject_id))).copied().unwrap_or_default())
    }

    /// Returns the entitlement that gave a card, even if it has ended. The first call reads the entitlements of all
    /// cards in the batch.
    pub(super) async fn entitlement(
        &self,
        ctx: &Context<'_>,
        row: &Model,
    ) -> ApiResult<Option<&entitlement::Model>> {
        let purchases = self.cards.iter().map(|keys| (keys.owner, keys.purchase));
        let entitlements = load_once(&self.entitlements, &ctx.loaders()?.entitlements, purchases).await?;
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
    keys: impl Iterator<Item = (UserId, K)>,
) -> ApiResult<&'p HashMap<(UserId, K), L::Value>>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    L: Loader<(UserId, K)>,
    ApiError: From<L::Error>,
{
    data.get_or_init(async || Ok(loader.load_many(keys).await?)).await.as_ref().map_err(Clone::clone)
}

//! The GraphQL type `MockTestAttempt`: a test card.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use graphql_engine::{PlainEnum, page_arguments, plain_fields};
use jishu_entity::mock_test_attempt::{self, CardStatus};

use super::card::Card;
use super::card_batch::CardBatch;
use super::{Purchase, SessionPaper, Subject, TestSession, TestSessionConnection, session_page};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::PageArgs;
use crate::graphql::scalar::{DateTime, Decimal, hundredths};
use jishu_service::paper::Outline;
use jishu_service::scoring;

/// The status of a test card.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "CardStatus")]
pub(in crate::graphql) enum MockTestAttemptStatus {
    /// The card has never been sat.
    Available,
    /// A sitting of the card is open.
    InProgress,
    /// The card has been sat, no sitting of it is open, and attempts are left.
    Completed,
    /// All attempts of the card are used, and no sitting of it is open.
    Exhausted,
}

pub(in crate::graphql) struct MockTestAttempt {
    card: Card,
}

/// A test card: one numbered mock test that a purchase gave to a user. The user can sit it up to `maxAttempts`
/// times.
#[page_arguments]
#[plain_fields]
#[Object]
impl MockTestAttempt {
    /// The global id of the test card. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.card.row.id.global()
    }

    /// The purchase that gave the test card.
    async fn purchase(&self) -> Purchase {
        Purchase::lazy(self.card.row.user_id, self.card.row.purchase_id)
    }

    #[graphql(flatten)]
    async fn card(&self) -> &Card {
        &self.card
    }

    /// The number of attempts of the card that are left. Use `canStart` to find out whether a sitting can start now.
    async fn remaining_attempts(&self) -> i32 {
        (self.card.row.max_attempts - self.card.row.attempts_used).max(0)
    }

    /// Whether the user can start or continue a sitting of the card now. This requires an open sitting, or an attempt
    /// left and a valid entitlement. `startTestSession` can still fail, because it also checks the account, the consent
    /// of a guardian and the number of questions.
    #[at_hand(known_can_start)]
    async fn can_start(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        self.card.can_start(ctx).await
    }

    /// The outline of the test: its number of questions, its time limit and its marks. Until somebody starts this test,
    /// the outline follows the settings of the subject. From then on, it is fixed.
    #[at_hand(known_paper)]
    async fn paper(&self, ctx: &Context<'_>) -> ApiResult<SessionPaper> {
        Ok(match self.card.paper(ctx).await? {
            Some(made) => made.into(),
            None => Outline::from(&*ctx.services()?.catalog.subject(self.card.row.subject_id).await?).into(),
        })
    }

    /// The extra time that support granted for each sitting, in seconds. It is added to `paper.timeLimitSeconds`. 0 if
    /// support granted no extra time.
    #[at_hand(known_extra_seconds)]
    async fn extra_time_seconds(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        self.card.extra_seconds(ctx).await
    }

    /// The time at which the latest sitting of the card started. Null if the card was never sat.
    async fn latest_attempt_at(&self) -> Option<DateTime> {
        self.card.latest_attempt_at()
    }

    /// The marks of the latest scored sitting. Null if no sitting of the card is scored.
    async fn latest_score(&self) -> Option<Decimal> {
        hundredths(self.card.row.latest_score)
    }

    /// The marks of the latest scored sitting as a percentage of the highest possible marks. Null if no sitting of the
    /// card is scored.
    async fn latest_percentage(&self) -> Option<Decimal> {
        hundredths(self.card.row.latest_percentage)
    }

    /// The marks of the first scored sitting. Null if no sitting of the card is scored.
    async fn first_score(&self) -> Option<Decimal> {
        hundredths(self.card.row.first_score)
    }

    /// The marks of the best scored sitting. Null if no sitting of the card is scored.
    async fn best_score(&self) -> Option<Decimal> {
        hundredths(self.card.row.best_score)
    }

    /// The grade of the card: marks that `markingScheme.gradingMethod` of the subject computes from the scored
    /// sittings. Null if no sitting of the card is scored.
    #[at_hand(known_grade)]
    async fn grade(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        self.grade_in_hundredths(ctx).await.map(hundredths).transpose()
    }

    /// The open sitting of the card. Null if no sitting is open.
    async fn open_session(&self, ctx: &Context<'_>) -> Nullable<TestSession> {
        let open = self.card.open_session(ctx).await;
        open.map(|open| open.cloned().map(TestSession::from)).transpose()
    }

    /// The sittings of the card, newest first.
    async fn sessions(&self, ctx: &Context<'_>, #[page] page: PageArgs) -> ApiResult<TestSessionConnection> {
        session_page(ctx, self.card.row.user_id, Some(self.card.row.id), page).await
    }
}

impl MockTestAttempt {
    /// Makes the card of a row of a page. `batch` has the data that the cards of the page share.
    pub(super) fn of_page(row: mock_test_attempt::Model, batch: &Arc<CardBatch>) -> Self {
        Self { card: Card::of_page(row, batch) }
    }

    fn known_can_start(&self) -> Option<&bool> {
        self.card.known_can_start()
    }

    fn known_paper(&self) -> Option<&SessionPaper> {
        self.card.known_paper()
    }

    fn known_extra_seconds(&self) -> Option<&i32> {
        self.card.known_extra_seconds()
    }

    fn known_grade(&self) -> Option<&Option<Decimal>> {
        self.card.known_grade()
    }

    async fn grade_in_hundredths(&self, ctx: &Context<'_>) -> ApiResult<Option<i32>> {
        let row = &self.card.row;
        let subject = ctx.services()?.catalog.subject(row.subject_id).await?;
        let method = subject.grading_method;
        if let Some(grade) = Subject::new(subject).grade_of(row) {
            return Ok(grade);
        }
        let scores = ctx.loaders()?.scores.load_one((row.user_id, row.id)).await?;
        Ok(scoring::grade(method, &scores.unwrap_or_default()))
    }
}

/// Makes the card of a row that was read alone, and not as a part of a page.
impl From<mock_test_attempt::Model> for MockTestAttempt {
    fn from(row: mock_test_attempt::Model) -> Self {
        Self { card: Card::alone(row) }
    }
}

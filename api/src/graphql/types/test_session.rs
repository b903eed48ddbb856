//! The GraphQL type `TestSession`, and connections of sittings.

use async_graphql::{Context, Enum, ID, Object};
use graphql_engine::{Plain, plain_fields};
use jishu_entity::entitlement::EntitlementEnd;
use jishu_entity::test_session::{self, SessionStatus};
use jishu_entity::{MockTestAttemptId, TestSessionId, UserId};
use sea_orm::Select;

use super::session_question::{SessionQuestion, questions};
use super::session_result::SessionResult;
use super::{MockTestAttempt, SessionPaper, Subject};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::scalar::DateTime;
use jishu_service::page::Page;
use jishu_service::paper::Outline;
use jishu_service::session;

/// The status of a sitting.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "SessionStatus")]
pub(in crate::graphql) enum TestSessionStatus {
    /// The sitting is open. Answers can be saved until the deadline.
    InProgress,
    /// The learner submitted the sitting.
    Submitted,
    /// The sitting ended without a submission, because the deadline passed, the access ended or the account was
    /// deleted. The saved answers were scored.
    AutoSubmitted,
    /// The sitting ended without a submission and without any saved answer. It was scored like every other sitting.
    Abandoned,
}

/// The reason why a sitting ended early, although the learner had not submitted it and the time limit had not passed.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "EntitlementEnd")]
pub(in crate::graphql) enum TestSessionEndReason {
    /// The subject of the sitting was refunded.
    Refunded,
    /// The term of the purchase that gave the test card was over.
    Expired,
}

pub(in crate::graphql) struct TestSession {
    owner: UserId,
    id: TestSessionId,
    row: tokio::sync::OnceCell<test_session::Model>,
    /// The greatest number of a batch with a saved answer. None if this number is not known yet. Then the field
    /// `answerSequence` reads it.
    sequence: Option<i32>,
}

/// A sitting of a test card by its learner, timed by the server's clock.
#[plain_fields]
#[Object]
impl TestSession {
    /// The global id of the sitting. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.id.global()
    }

    /// The test card of this sitting.
    async fn mock_test_attempt(&self, ctx: &Context<'_>) -> ApiResult<MockTestAttempt> {
        let card = self.row(ctx).await?.mock_test_attempt_id;
        let found = ctx.loaders()?.card.load_one((self.owner, card)).await?;
        found
            .map(MockTestAttempt::from)
            .ok_or_else(|| ApiError::internal(format!("test card {card} of a sitting is missing")))
    }

    /// The subject of the test.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Subject::load(ctx, self.row(ctx).await?.subject_id).await
    }

    /// The number of this sitting among the sittings of its card, counted from 1.
    async fn attempt_number(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        Ok(self.row(ctx).await?.attempt_number)
    }

    /// The status of the sitting.
    async fn status(&self, ctx: &Context<'_>) -> ApiResult<TestSessionStatus> {
        Ok(self.row(ctx).await?.status.into())
    }

    /// The time at which the sitting began.
    async fn started_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.started_at))
    }

    /// The deadline of the sitting. The server sets it at the start, and never later than the end of the entitlement.
    /// Only support can move it, by granting extra time. Compare it with `serverTime`, not with the clock of the
    /// device.
    async fn expires_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.expires_at))
    }

    /// The outline of the test: its number of questions, its time limit and its marks. The outline was fixed when a
    /// learner first started the test.
    async fn paper(&self, ctx: &Context<'_>) -> ApiResult<SessionPaper> {
        let id = self.row(ctx).await?.into();
        Ok(Outline::from(&*ctx.services()?.papers.get(id).await?).into())
    }

    /// The time at which the sitting ended, which is never after its deadline. Null while the sitting is open.
    async fn submitted_at(&self, ctx: &Context<'_>) -> Nullable<DateTime> {
        self.row(ctx).await.map(|row| row.submitted_at.map(DateTime)).transpose()
    }

    /// The reason why the sitting ended early: a refund, or the end of the term of the purchase. Null while the sitting
    /// is open, and if it ended in any other way.
    async fn end_reason(&self, ctx: &Context<'_>) -> Nullable<TestSessionEndReason> {
        self.row(ctx).await.map(|row| row.end_reason.map(TestSessionEndReason::from)).transpose()
    }

    /// The current time of the server's clock.
    async fn server_time(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(ctx.services()?.clock.now()))
    }

    /// The greatest number of a batch with a saved answer. 0 if no answer is saved. Give the next batch this number
    /// plus 1.
    async fn answer_sequence(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        if let Some(sequence) = self.sequence {
            return Ok(sequence);
        }
        // Reading the row checks the owner first, so that a client learns nothing about the sitting of another user.
        let id = self.row(ctx).await?.id;
        Ok(session::answer_sequence(ctx.services()?, id).await?)
    }

    /// The questions of the sitting in the order of the paper, with the saved answers. Staff see the answers only after
    /// the end of the sitting.
    async fn questions(&self, ctx: &Context<'_>) -> ApiResult<Plain<Vec<SessionQuestion>>> {
        questions(ctx, self.row(ctx).await?, self.sequence == Some(0)).await
    }

    /// The result of the sitting. Null until the sitting is over.
    async fn result(&self, ctx: &Context<'_>) -> Nullable<SessionResult> {
        self.row(ctx).await.map(|row| SessionResult::of(row.clone())).transpose()
    }
}

impl TestSession {
    /// Makes a sitting from its id. The row of the sitting is read when a field first needs it.
    pub(in crate::graphql) fn lazy(owner: UserId, id: TestSessionId) -> Self {
        Self { owner, id, row: tokio::sync::OnceCell::new(), sequence: None }
    }

    /// Adds the greatest number of a batch with a saved answer, if it is known. The caller must have checked that the
    /// user in `owner` owns the sitting.
    pub(in crate::graphql) fn with_sequence(self, sequence: Option<i32>) -> Self {
        Self { sequence, ..self }
    }

    async fn row(&self, ctx: &Context<'_>) -> ApiResult<&test_session::Model> {
        self.row
            .get_or_try_init(|| async {
                let found = ctx.loaders()?.session.load_one((self.owner, self.id)).await?;
                found.ok_or_else(|| ApiError::internal(format!("test session {} is missing", self.id)))
            })
            .await
    }
}

impl From<test_session::Model> for TestSession {
    fn from(row: test_session::Model) -> Self {
        Self {
            owner: row.user_id,
            id: row.id,
            row: tokio::sync::OnceCell::new_with(Some(row)),
            sequence: None,
        }
    }
}

impl ListNode for TestSession {
    const NAME: &'static str = "TestSession";
}

pub(in crate::graphql) type TestSessionConnection = Connection<TestSession, SessionTotal>;

pub(in crate::graphql) struct SessionTotal {
    sessions: Select<test_session::Entity>,
}

#[Object]
impl SessionTotal {
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(session::count(ctx.services()?, self.sessions.clone()).await?)
    }
}

/// Reads a page of the sittings of `owner`, newest first: of one test card if `card` is given, and otherwise of all
/// cards. Reads no rows if the client selects neither `edges` nor `pageInfo`.
pub(in crate::graphql) async fn session_page(
    ctx: &Context<'_>,
    owner: UserId,
    card: Option<MockTestAttemptId>,
    args: PageArgs,
) -> ApiResult<TestSessionConnection> {
    let services = ctx.services()?;
    let sessions = match card {
        Some(card) => session::of_card(owner, card),
        None => session::of_user(owner),
    };
    let request = args.request(ctx, "TestSession")?;
    let page = if wants_rows(ctx) {
        session::newest(services, sessions.clone(), request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    Ok(connect("TestSession", page, |row| row.id.0, TestSession::from, SessionTotal { sessions }))
}

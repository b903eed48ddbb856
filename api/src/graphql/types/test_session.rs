//! Sittings and lists of them.

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
    /// The deadline passed, or the access ended, and the saved answers were scored.
    AutoSubmitted,
    /// The deadline passed, or the access ended, without any answer. The sitting was scored like the others.
    Abandoned,
}

/// The reason why a sitting ended before the learner submitted it and before its time limit.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "EntitlementEnd")]
pub(in crate::graphql) enum TestSessionEndReason {
    /// The subject was refunded.
    Refunded,
    /// The term of the purchase was over.
    Expired,
}

pub(in crate::graphql) struct TestSession {
    owner: UserId,
    id: TestSessionId,
    row: tokio::sync::OnceCell<test_session::Model>,
    /// The number of the latest batch with a saved answer, if the statement that saved a batch has returned it.
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

    /// The test card.
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

    /// The number of this sitting among those of its card, counted from 1.
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

    /// The deadline. The server sets it at the start, at the latest to the end of the purchase. Only support can move it, by
    /// granting extra time. Compare it with `serverTime`, not with the clock of the device.
    async fn expires_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.expires_at))
    }

    /// The outline of the test: its questions, time and marks. It was fixed when a learner first started the test.
    async fn paper(&self, ctx: &Context<'_>) -> ApiResult<SessionPaper> {
        let id = self.row(ctx).await?.into();
        Ok(Outline::from(&*ctx.services()?.papers.get(id).await?).into())
    }

    /// The time at which the sitting ended, at the latest its deadline. Null while the sitting is open.
    async fn submitted_at(&self, ctx: &Context<'_>) -> Nullable<DateTime> {
        self.row(ctx).await.map(|row| row.submitted_at.map(DateTime)).transpose()
    }

    /// The reason why the sitting ended early. Null while it is open, and if the learner or the time limit ended it.
    async fn end_reason(&self, ctx: &Context<'_>) -> Nullable<TestSessionEndReason> {
        self.row(ctx).await.map(|row| row.end_reason.map(TestSessionEndReason::from)).transpose()
    }

    /// The current time of the server's clock.
    async fn server_time(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(ctx.services()?.clock.now()))
    }

    /// The number of the latest batch with a saved answer. 0 if no answer is saved. Use the next number for the
    /// next batch.
    async fn answer_sequence(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        if let Some(sequence) = self.sequence {
            return Ok(sequence);
        }
        // Checks the owner first, so that nothing of another user's sitting is shown.
        let id = self.row(ctx).await?.id;
        Ok(session::answer_sequence(ctx.services()?, id).await?)
    }

    /// The questions in the order of the paper, with the saved answers. Staff see the answers only after the end of the
    /// sitting.
    async fn questions(&self, ctx: &Context<'_>) -> ApiResult<Plain<Vec<SessionQuestion>>> {
        questions(ctx, self.row(ctx).await?, self.sequence == Some(0)).await
    }

    /// The result. Null until the sitting is over.
    async fn result(&self, ctx: &Context<'_>) -> Nullable<SessionResult> {
        self.row(ctx).await.map(|row| SessionResult::of(row.clone())).transpose()
    }
}

impl TestSession {
    /// Makes a sitting that reads its row when a field other than the id needs it.
    pub(in crate::graphql) fn lazy(owner: UserId, id: TestSessionId) -> Self {
        Self { owner, id, row: tokio::sync::OnceCell::new(), sequence: None }
    }

    /// Adds the number of the latest batch with a saved answer, if it is known. The caller has checked the owner.
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
    /// The total number of items. Counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(session::count(ctx.services()?, self.sessions.clone()).await?)
    }
}

/// Reads a page of the sittings of `owner`, or of one of their cards, newest first.
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

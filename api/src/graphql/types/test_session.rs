//! Sittings and lists of them.

use async_graphql::{Context, Enum, ID, Object};
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

/// How far a sitting is.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "SessionStatus")]
pub(in crate::graphql) enum TestSessionStatus {
    /// Answers are saved until the deadline.
    InProgress,
    /// The learner ended it.
    Submitted,
    /// Its deadline passed, and what was saved was scored.
    AutoSubmitted,
    /// Its deadline passed, and nothing had been answered. Scored like the others.
    Abandoned,
}

pub(in crate::graphql) struct TestSession {
    owner: UserId,
    id: TestSessionId,
    row: tokio::sync::OnceCell<test_session::Model>,
}

/// One sitting of one learner at a test card, against the server's clock.
#[Object]
impl TestSession {
    /// Global and opaque.
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

    /// The subject it tests.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        let id = self.row(ctx).await?.subject_id;
        Ok(Subject(ctx.services()?.catalog.subject(id).await?))
    }

    /// Which sitting of the card it is, from 1.
    async fn attempt_number(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        Ok(self.row(ctx).await?.attempt_number)
    }

    /// How far it is.
    async fn status(&self, ctx: &Context<'_>) -> ApiResult<TestSessionStatus> {
        Ok(self.row(ctx).await?.status.into())
    }

    /// When it began.
    async fn started_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.started_at))
    }

    /// Its deadline. Set by the server at the start and moved by nobody but support, who may grant more time. The
    /// server's clock alone decides: compare with `serverTime`, not with the device's.
    async fn expires_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.expires_at))
    }

    /// What its answers get and how many questions it has: fixed with the test, whatever has been changed since.
    async fn paper(&self, ctx: &Context<'_>) -> ApiResult<SessionPaper> {
        let id = self.row(ctx).await?.into();
        Ok(Outline::from(&*ctx.services()?.papers.get(id).await?).into())
    }

    /// When it ended: never after the deadline. Null while it is open.
    async fn submitted_at(&self, ctx: &Context<'_>) -> Nullable<DateTime> {
        self.row(ctx).await.map(|row| row.submitted_at.map(DateTime)).transpose()
    }

    /// The time by the server's clock, now.
    async fn server_time(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(ctx.services()?.clock.now()))
    }

    /// The number of the latest batch that set an answer; 0 before the first. The next batch is one more.
    async fn answer_sequence(&self, ctx: &Context<'_>) -> ApiResult<i32> {
        // So that nothing is told of a sitting that is another's.
        let id = self.row(ctx).await?.id;
        Ok(session::answer_sequence(ctx.services()?, id).await?)
    }

    /// What is asked, in the order of the paper, with what was answered.
    async fn questions(&self, ctx: &Context<'_>) -> ApiResult<Vec<SessionQuestion>> {
        questions(ctx, self.row(ctx).await?).await
    }

    /// What it came to; null until the sitting is over.
    async fn result(&self, ctx: &Context<'_>) -> Nullable<SessionResult> {
        self.row(ctx).await.map(|row| SessionResult::of(row.clone())).transpose()
    }
}

impl TestSession {
    /// A sitting that is read only when more than its id is asked for.
    pub(in crate::graphql) fn lazy(owner: UserId, id: TestSessionId) -> Self {
        Self { owner, id, row: tokio::sync::OnceCell::new() }
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
        Self { owner: row.user_id, id: row.id, row: tokio::sync::OnceCell::new_with(Some(row)) }
    }
}

impl ListNode for TestSession {
    const NAME: &'static str = "TestSession";
}

pub(in crate::graphql) type TestSessionConnection = Connection<TestSession, SessionTotal>;

pub(in crate::graphql) struct SessionTotal(Select<test_session::Entity>);

#[Object]
impl SessionTotal {
    /// How many there are in all; counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(session::count(ctx.services()?, self.0.clone()).await?)
    }
}

/// A page of the sittings of `owner`, or of one of their cards, newest first.
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
    connect("TestSession", page, |row| row.id.0, TestSession::from, SessionTotal(sessions))
}

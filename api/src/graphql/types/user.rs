//! People.

use async_graphql::{Context, Enum, ID, Object};
use jishu_entity::{SubjectId, UserId, user};

use super::purchase::{PurchaseConnection, purchase_page};
use super::{
    CardArgs, Cart, MockTestAttemptConnection, MockTestAttemptFilter, MockTestAttemptOrder, Progress,
    TestSessionConnection, card_page, session_page,
};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::PageArgs;
use crate::graphql::scalar::DateTime;
use jishu_service::account;
use jishu_service::card::CardFilter;
use jishu_service::progress::Scope;

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "user::Role")]
pub(in crate::graphql) enum Role {
    /// Buys subjects and sits tests.
    Learner,
    /// Keeps the catalogue and the question bank.
    Author,
    /// Refunds purchases and grants extra time.
    Support,
    /// Everything.
    Admin,
}

pub(in crate::graphql) struct User {
    id: UserId,
    row: tokio::sync::OnceCell<user::Model>,
}

/// A person with an account. Only the person themself is ever shown one.
#[Object]
impl User {
    /// Global and opaque.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.id.global()
    }

    /// What to call them.
    async fn name(&self, ctx: &Context<'_>) -> ApiResult<&str> {
        Ok(&self.row(ctx).await?.name)
    }

    /// Their address, in lower case.
    async fn email(&self, ctx: &Context<'_>) -> ApiResult<&str> {
        Ok(&self.row(ctx).await?.email)
    }

    /// What they may do.
    async fn role(&self, ctx: &Context<'_>) -> ApiResult<Role> {
        Ok(self.row(ctx).await?.role.into())
    }

    /// When they registered.
    async fn created_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }

    /// What they have set aside to buy.
    async fn cart(&self) -> Cart {
        Cart(self.id)
    }

    /// Their purchases, newest first.
    async fn purchases(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
    ) -> ApiResult<PurchaseConnection> {
        purchase_page(ctx, self.id, PageArgs::new(first, after, last, before)).await
    }

    /// Their test cards, of all purchases.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, a filter and an order")]
    async fn mock_test_attempts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only those that match.")] filter: Option<MockTestAttemptFilter>,
        #[graphql(desc = "By subject and number if not given.")] order_by: Option<MockTestAttemptOrder>,
    ) -> ApiResult<MockTestAttemptConnection> {
        let args = CardArgs { page: PageArgs::new(first, after, last, before), filter, order: order_by };
        card_page(ctx, self.id, CardFilter::default(), args).await
    }

    /// How they are doing in their tests.
    async fn progress(
        &self,
        #[graphql(desc = "Only in this subject; in one that they never had there is none.")]
        subject_id: Option<ID>,
    ) -> ApiResult<Progress> {
        let parsed = |id: ID| {
            SubjectId::parse(&id).ok_or_else(|| {
                ApiError::bad_input("`subjectId` is not the id of a Subject. Take ids from answers.")
            })
        };
        let subject = subject_id.map(parsed).transpose()?;
        Ok(Progress::lazy(Scope { owner: self.id, subject }))
    }

    /// Their sittings of all test cards, newest first.
    async fn test_sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
    ) -> ApiResult<TestSessionConnection> {
        session_page(ctx, self.id, None, PageArgs::new(first, after, last, before)).await
    }
}

impl User {
    /// A user who is read only when more than their id is asked for.
    pub(in crate::graphql) fn lazy(id: UserId) -> Self {
        Self { id, row: tokio::sync::OnceCell::new() }
    }

    async fn row(&self, ctx: &Context<'_>) -> ApiResult<&user::Model> {
        self.row
            .get_or_try_init(|| async {
                // A token can outlive its account.
                account::by_id(ctx.services()?, self.id).await?.ok_or(ApiError::Unauthenticated)
            })
            .await
    }
}

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self { id: row.id, row: tokio::sync::OnceCell::new_with(Some(row)) }
    }
}

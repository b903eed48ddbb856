//! Accounts.

use async_graphql::{Context, Enum, ID, Object};
use graphql_engine::page_arguments;
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

/// The role of a user: what the user may do.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "user::Role")]
pub(in crate::graphql) enum Role {
    /// Buys subjects and sits tests.
    Learner,
    /// Manages the question bank and the test settings.
    Author,
    /// Looks up learners and grants extra time.
    Support,
    /// May do everything.
    Admin,
}

pub(in crate::graphql) struct User {
    id: UserId,
    row: tokio::sync::OnceCell<user::Model>,
}

/// An account. Users can read only their own.
#[page_arguments]
#[Object]
impl User {
    /// The global id of the user. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.id.global()
    }

    /// The name of the user.
    async fn name(&self, ctx: &Context<'_>) -> ApiResult<&str> {
        Ok(&self.row(ctx).await?.name)
    }

    /// The e-mail address, in lower case.
    async fn email(&self, ctx: &Context<'_>) -> ApiResult<&str> {
        Ok(&self.row(ctx).await?.email)
    }

    /// Whether the user has proved that they receive mail at `email`.
    async fn email_verified(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        Ok(self.row(ctx).await?.email_verified_at.is_some())
    }

    /// The role, which says what the user may do.
    async fn role(&self, ctx: &Context<'_>) -> ApiResult<Role> {
        Ok(self.row(ctx).await?.role.into())
    }

    /// The time of the registration.
    async fn created_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }

    /// The cart.
    async fn cart(&self) -> Cart {
        Cart::of(self.id)
    }

    /// The purchases of the user, newest first.
    async fn purchases(&self, ctx: &Context<'_>, #[page] page: PageArgs) -> ApiResult<PurchaseConnection> {
        purchase_page(ctx, self.id, page).await
    }

    /// The test cards of the user, from all purchases.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, a filter and an order")]
    async fn mock_test_attempts(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
        #[graphql(desc = "Only cards that match this filter.")] filter: Option<MockTestAttemptFilter>,
        #[graphql(desc = "The order. The default is by subject and test number.")] order_by: Option<
            MockTestAttemptOrder,
        >,
    ) -> ApiResult<MockTestAttemptConnection> {
        let args = CardArgs { page, filter, order: order_by };
        card_page(ctx, self.id, CardFilter::default(), args).await
    }

    /// The progress of the user in their tests.
    async fn progress(
        &self,
        #[graphql(
            desc = "Only the progress in this subject. It is empty if the user never owned the subject."
        )]
        subject_id: Option<ID>,
    ) -> ApiResult<Progress> {
        let parsed = |id: ID| {
            SubjectId::parse(&id).ok_or_else(|| {
                ApiError::bad_input("`subjectId` is not the id of a Subject. Take ids from responses.")
            })
        };
        let subject = subject_id.map(parsed).transpose()?;
        Ok(Progress::lazy(Scope { owner: self.id, subject }))
    }

    /// The sittings of all test cards, newest first.
    async fn test_sessions(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
    ) -> ApiResult<TestSessionConnection> {
        session_page(ctx, self.id, None, page).await
    }
}

impl User {
    /// Makes a user that reads its row when a field other than the id needs it.
    pub(in crate::graphql) fn lazy(id: UserId) -> Self {
        Self { id, row: tokio::sync::OnceCell::new() }
    }

    async fn row(&self, ctx: &Context<'_>) -> ApiResult<&user::Model> {
        self.row
            .get_or_try_init(|| async {
                // An access token can outlive its account.
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

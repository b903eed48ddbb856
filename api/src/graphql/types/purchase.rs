//! Purchases and the list of them.

use async_graphql::{Context, Enum, ID, Object};
use jishu_entity::purchase::{self, PurchaseStatus as StoredStatus};
use jishu_entity::{PurchaseId, UserId};

use super::{
    CardArgs, Course, MockTestAttemptConnection, MockTestAttemptFilter, MockTestAttemptOrder, Money, Subject,
    card_page, money,
};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::scalar::DateTime;
use jishu_service::card::CardFilter;
use jishu_service::page::Page;

/// How subjects are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "purchase::PurchaseType")]
pub(in crate::graphql) enum PurchaseType {
    /// One subject.
    SingleSubject,
    /// Two or more subjects of one course.
    MultipleSubjects,
    /// Every subject of the course that is sold, at the bundle's price.
    FullBundle,
}

/// What became of a purchase.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum PurchaseStatus {
    /// It gives access.
    Active,
    /// Its term is over.
    Expired,
    /// It was paid back.
    Refunded,
}

pub(in crate::graphql) struct Purchase {
    owner: UserId,
    id: PurchaseId,
    row: tokio::sync::OnceCell<purchase::Model>,
}

/// One purchase by one user: its subjects and the test cards they gave.
#[Object]
impl Purchase {
    /// Global and opaque.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.id.global()
    }

    /// How its subjects were chosen.
    async fn purchase_type(&self, ctx: &Context<'_>) -> ApiResult<PurchaseType> {
        Ok(self.row(ctx).await?.purchase_type.into())
    }

    /// What became of it.
    async fn status(&self, ctx: &Context<'_>) -> ApiResult<PurchaseStatus> {
        let row = self.row(ctx).await?;
        let now = ctx.services()?.clock.now();
        Ok(match row.status {
            StoredStatus::Refunded => PurchaseStatus::Refunded,
            StoredStatus::Active if row.expires_at.is_some_and(|end| end <= now) => PurchaseStatus::Expired,
            StoredStatus::Active => PurchaseStatus::Active,
        })
    }

    /// The course that its subjects belong to.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Ok(Course(ctx.services()?.catalog.course(self.row(ctx).await?.course_id).await?))
    }

    /// What it bought; subjects that were owned before are not among them.
    async fn subjects(&self, ctx: &Context<'_>) -> ApiResult<Vec<Subject>> {
        let bought = ctx.loaders()?.entitlements.load_one((self.owner, self.id)).await?.unwrap_or_default();
        let catalog = &ctx.services()?.catalog;
        let mut subjects = Vec::with_capacity(bought.len());
        for entitlement in bought {
            subjects.push(Subject(catalog.subject(entitlement.subject_id).await?));
        }
        Ok(subjects)
    }

    /// What was paid.
    async fn cost(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        let row = self.row(ctx).await?;
        Ok(money(row.cost, &row.currency))
    }

    /// When it was made.
    async fn created_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }

    /// When its term is over; null for never.
    async fn expires_at(&self, ctx: &Context<'_>) -> Nullable<DateTime> {
        self.row(ctx).await.map(|row| row.expires_at.map(DateTime)).transpose()
    }

    /// The test cards it gave.
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
        let scope = CardFilter { purchase: Some(self.id), ..CardFilter::default() };
        card_page(ctx, self.owner, scope, args).await
    }
}

impl Purchase {
    /// A purchase that is read only when more than its id is asked for.
    pub(in crate::graphql) fn lazy(owner: UserId, id: PurchaseId) -> Self {
        Self { owner, id, row: tokio::sync::OnceCell::new() }
    }

    async fn row(&self, ctx: &Context<'_>) -> ApiResult<&purchase::Model> {
        self.row
            .get_or_try_init(|| async {
                let found = ctx.loaders()?.purchase.load_one((self.owner, self.id)).await?;
                found.ok_or_else(|| ApiError::internal(format!("purchase {} is missing", self.id)))
            })
            .await
    }
}

impl From<purchase::Model> for Purchase {
    fn from(row: purchase::Model) -> Self {
        Self { owner: row.user_id, id: row.id, row: tokio::sync::OnceCell::new_with(Some(row)) }
    }
}

impl ListNode for Purchase {
    const NAME: &'static str = "Purchase";
}

pub(in crate::graphql) type PurchaseConnection = Connection<Purchase, PurchaseTotal>;

pub(in crate::graphql) struct PurchaseTotal(UserId);

#[Object]
impl PurchaseTotal {
    /// How many there are in all; counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(jishu_service::purchase::count(ctx.services()?, self.0).await?)
    }
}

/// A page of the purchases of `owner`, newest first.
pub(in crate::graphql) async fn purchase_page(
    ctx: &Context<'_>,
    owner: UserId,
    args: PageArgs,
) -> ApiResult<PurchaseConnection> {
    let request = args.request(ctx, "Purchase")?;
    let page = if wants_rows(ctx) {
        jishu_service::purchase::page(ctx.services()?, owner, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    connect("Purchase", page, |row| row.id.0, Purchase::from, PurchaseTotal(owner))
}

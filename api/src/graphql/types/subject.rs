//! Subjects, from the catalogue in memory.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use jishu_entity::subject;

use super::{Course, Entitlement, MarkingScheme, Money, money};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use jishu_service::pricing;

#[derive(Clone)]
pub(in crate::graphql) struct Subject(pub(in crate::graphql) Arc<subject::Model>);

/// What is bought: a numbered set of mock tests.
#[Object]
impl Subject {
    /// Global and opaque.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// The course it belongs to.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Ok(Course(ctx.services()?.catalog.course(self.0.course_id).await?))
    }

    /// Its title.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it costs by itself when there is no offer.
    async fn list_price(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        self.money(ctx, self.0.list_price).await
    }

    /// What it costs by itself now: the offer where there is one.
    async fn price(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        let now = ctx.services()?.clock.now();
        self.money(ctx, pricing::price_of(&self.0, now)).await
    }

    /// How many test cards a purchase creates; 50 unless set otherwise.
    async fn total_mock_tests(&self) -> i32 {
        self.0.total_mock_tests
    }

    /// How often each test card may be sat.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// How its tests are marked, timed and reviewed.
    async fn marking_scheme(&self) -> MarkingScheme {
        MarkingScheme(Arc::clone(&self.0))
    }

    /// Whether it has left the catalogue: it can no longer be bought, and who owns it keeps it.
    async fn archived(&self) -> bool {
        self.0.archived_at.is_some()
    }

    /// The signed-in user's right to it; null unless they own it.
    async fn viewer_entitlement(&self, ctx: &Context<'_>) -> Nullable<Entitlement> {
        self.entitlement(ctx).await.transpose()
    }
}

impl Subject {
    async fn entitlement(&self, ctx: &Context<'_>) -> ApiResult<Option<Entitlement>> {
        let Some(viewer) = ctx.viewer() else { return Ok(None) };
        let loaders = ctx.loaders()?;
        let row = loaders.live_entitlement.load_one((viewer.user_id, self.0.id)).await?;
        Ok(row.map(Entitlement))
    }

    async fn money(&self, ctx: &Context<'_>, minor: i64) -> ApiResult<Money> {
        let course = ctx.services()?.catalog.course(self.0.course_id).await?;
        Ok(money(minor, &course.row.currency))
    }
}

//! Subjects, from the catalogue in memory.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use graphql_engine::plain_fields;
use jishu_entity::subject::GradingMethod;
use jishu_entity::{SubjectId, mock_test_attempt, subject};

use super::{Course, Entitlement, MarkingScheme, Money, Offer, money};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use jishu_service::catalog::Snapshot;
use jishu_service::paper::Outline;
use jishu_service::pricing;

#[derive(Clone)]
pub(in crate::graphql) struct Subject {
    row: Arc<subject::Model>,
    /// Its course, if it was at hand when the subject was found.
    course: Option<Course>,
}

/// A subject of a course. Its purchase gives a numbered set of mock tests.
#[plain_fields]
#[Object]
impl Subject {
    /// The global id of the subject. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.row.id.global()
    }

    /// The course of the subject.
    #[at_hand(known_course)]
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        match &self.course {
            Some(course) => Ok(course.clone()),
            None => Course::load(ctx, self.row.course_id).await,
        }
    }

    /// The code of the subject: its stable name in files, unique in its course. Null if it has none.
    async fn code(&self) -> Option<&str> {
        self.row.code.as_deref()
    }

    /// The number of the present state of the subject. Each change adds 1. An edit must send it.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// The name of the subject.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The price of the subject alone, without an offer.
    async fn list_price(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        self.money(ctx, self.row.list_price).await
    }

    /// The price of the subject alone now, with the current offer if there is one.
    async fn price(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        let now = ctx.services()?.clock.now();
        self.money(ctx, pricing::price_of(&self.row, now)).await
    }

    /// The offer that is set, also before it starts and after it ends. Null if none is set.
    async fn offer(&self, ctx: &Context<'_>) -> Nullable<Offer> {
        let services = match ctx.services() {
            Ok(services) => services,
            Err(error) => return Some(Err(error)),
        };
        match services.catalog.course(self.row.course_id).await {
            Ok(course) => Offer::of(&self.row, &course.row.currency).map(Ok),
            Err(fault) => Some(Err(fault.into())),
        }
    }

    /// The number of test cards that a purchase creates. The default is 50.
    async fn total_mock_tests(&self) -> i32 {
        self.row.total_mock_tests
    }

    /// The number of attempts of a test card that is bought now.
    async fn max_attempts(&self) -> i32 {
        self.row.max_attempts
    }

    /// The settings for marking, timing and reviewing the tests.
    async fn marking_scheme(&self) -> MarkingScheme {
        MarkingScheme::of(Arc::clone(&self.row))
    }

    /// Whether the subject has left the catalogue. Nobody can buy it any more, and its owners keep it.
    async fn archived(&self) -> bool {
        self.row.archived_at.is_some()
    }

    /// The viewer's entitlement to the subject. Null if the viewer is not signed in or does not own it.
    async fn viewer_entitlement(&self, ctx: &Context<'_>) -> Nullable<Entitlement> {
        self.entitlement(ctx).await.transpose()
    }
}

impl Subject {
    pub(in crate::graphql) fn new(row: Arc<subject::Model>) -> Self {
        Self { row, course: None }
    }

    /// Finds a subject and its course in a snapshot of the catalogue, without reading the database.
    pub(super) fn in_snapshot(snapshot: &Snapshot, id: SubjectId) -> Option<Self> {
        let row = Arc::clone(snapshot.subject(id)?);
        let course = snapshot.course(row.course_id).cloned().map(Course::new);
        Some(Self { row, course })
    }

    /// Reads a subject from the catalogue. It must exist.
    pub(in crate::graphql) async fn load(ctx: &Context<'_>, id: SubjectId) -> ApiResult<Self> {
        let catalog = &ctx.services()?.catalog;
        match Self::in_snapshot(&catalog.snapshot(), id) {
            Some(subject) => Ok(subject),
            None => Ok(Self::new(catalog.subject(id).await?)),
        }
    }

    /// Reads subjects from the catalogue. They must exist.
    pub(in crate::graphql) async fn load_all(
        ctx: &Context<'_>,
        ids: impl IntoIterator<Item = SubjectId>,
    ) -> ApiResult<Vec<Self>> {
        let mut subjects = Vec::new();
        for id in ids {
            subjects.push(Self::load(ctx, id).await?);
        }
        Ok(subjects)
    }

    fn known_course(&self) -> Option<&Course> {
        self.course.as_ref()
    }

    /// Returns the outline of a test that nobody has started.
    pub(super) fn outline(&self) -> Outline {
        Outline::from(&*self.row)
    }

    /// Returns the marks of a card that count, in hundredths, or None without a scored sitting. Returns None if the scores of
    /// all sittings are needed.
    pub(super) fn grade_of(&self, card: &mock_test_attempt::Model) -> Option<Option<i32>> {
        match self.row.grading_method {
            GradingMethod::Latest => Some(card.latest_score),
            GradingMethod::Highest => Some(card.best_score),
            GradingMethod::First => Some(card.first_score),
            GradingMethod::Average if card.latest_score.is_none() => Some(None),
            GradingMethod::Average => None,
        }
    }

    /// Returns the id of the row.
    pub(super) fn row_id(&self) -> SubjectId {
        self.row.id
    }

    async fn entitlement(&self, ctx: &Context<'_>) -> ApiResult<Option<Entitlement>> {
        let Some(viewer) = ctx.viewer() else { return Ok(None) };
        let loaders = ctx.loaders()?;
        let row = loaders.live_entitlement.load_one((viewer.user_id, self.row.id)).await?;
        Ok(row.map(Entitlement::from))
    }

    async fn money(&self, ctx: &Context<'_>, minor: i64) -> ApiResult<Money> {
        let course = ctx.services()?.catalog.course(self.row.course_id).await?;
        Ok(money(minor, &course.row.currency))
    }
}

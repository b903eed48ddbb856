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
    /// The course of the subject. None if it was not looked up together with the subject.
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

    /// The code of the subject: a stable name for files, which is unique in the course. Null if the subject has no
    /// code.
    async fn code(&self) -> Option<&str> {
        self.row.code.as_deref()
    }

    /// The number of the present state of the subject. Each change of the subject adds 1. Send this number with an
    /// edit.
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

    /// The price of the subject alone now. An offer that applies now reduces it.
    async fn price(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        let now = ctx.services()?.clock.now();
        self.money(ctx, pricing::price_of(&self.row, now)).await
    }

    /// The offer that is set for the subject, even if it has not started yet or has ended. Null if no offer is set.
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

    /// The number of test cards that a purchase of the subject creates. A new subject has 50 unless its author chose
    /// another number.
    async fn total_mock_tests(&self) -> i32 {
        self.row.total_mock_tests
    }

    /// The number of attempts that a test card gets if it is bought now. Allowances can give it more.
    async fn max_attempts(&self) -> i32 {
        self.row.max_attempts
    }

    /// The settings for marking, timing and reviewing the tests of the subject.
    async fn marking_scheme(&self) -> MarkingScheme {
        MarkingScheme::of(Arc::clone(&self.row))
    }

    /// Whether the subject is archived. Nobody can buy an archived subject, and users who own it keep it.
    async fn archived(&self) -> bool {
        self.row.archived_at.is_some()
    }

    /// The viewer's valid entitlement to the subject. Null if nobody is signed in, or if the viewer does not own the
    /// subject now.
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

    /// Finds a subject and its course in the catalogue in memory. Reads the catalogue again if it lacks the subject.
    /// Fails with an internal error if there is no such subject.
    pub(in crate::graphql) async fn load(ctx: &Context<'_>, id: SubjectId) -> ApiResult<Self> {
        let catalog = &ctx.services()?.catalog;
        match Self::in_snapshot(&catalog.snapshot(), id) {
            Some(subject) => Ok(subject),
            None => Ok(Self::new(catalog.subject(id).await?)),
        }
    }

    /// Finds subjects as [`Subject::load`] does, in the order of `ids`. Fails with an internal error if one of the
    /// subjects does not exist.
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

    /// Returns the outline that a test of this subject has while nobody has started the test.
    pub(super) fn outline(&self) -> Outline {
        Outline::from(&*self.row)
    }

    /// Returns the grade of a card in hundredths of a mark, taken from the row of the card. The inner option is None if
    /// no sitting of the card is scored. The outer option is None if the grade needs the scores of all sittings.
    pub(super) fn grade_of(&self, card: &mock_test_attempt::Model) -> Option<Option<i32>> {
        match self.row.grading_method {
            GradingMethod::Latest => Some(card.latest_score),
            GradingMethod::Highest => Some(card.best_score),
            GradingMethod::First => Some(card.first_score),
            GradingMethod::Average if card.latest_score.is_none() => Some(None),
            GradingMethod::Average => None,
        }
    }

    /// Returns the id of the subject's row in the database.
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

//! Test cards and the list of them.

use async_graphql::{Context, Enum, ID, InputObject, Object};
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::subject::GradingMethod;
use jishu_entity::{CourseId, PurchaseId, SubjectId, UserId};

use super::{Purchase, Subject, TestSession, TestSessionConnection, session_page};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::scalar::{DateTime, Decimal, hundredths};
use crate::service::card::{self, CardFilter, CardKey, CardOrder, CardSort};
use crate::service::page::Page;
use crate::service::scoring;

/// What can be done with a test card.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "CardStatus")]
pub(in crate::graphql) enum MockTestAttemptStatus {
    /// Never sat.
    Available,
    /// A sitting is open.
    InProgress,
    /// Sat, and may be sat again.
    Completed,
    /// Every attempt is used.
    Exhausted,
}

pub(in crate::graphql) struct MockTestAttempt(pub(in crate::graphql) mock_test_attempt::Model);

/// A test card: one numbered mock test that a purchase gave a user, to be sat up to `maxAttempts` times.
#[Object]
impl MockTestAttempt {
    /// Global and opaque.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// The purchase that gave it.
    async fn purchase(&self) -> Purchase {
        Purchase::lazy(self.0.user_id, self.0.purchase_id)
    }

    /// The subject it tests.
    async fn subject(&self, ctx: &Context<'_>) -> ApiResult<Subject> {
        Ok(Subject(ctx.services()?.catalog.subject(self.0.subject_id).await?))
    }

    /// Its number in the subject, from 1.
    async fn test_number(&self) -> i32 {
        self.0.test_number
    }

    /// What can be done with it.
    async fn status(&self) -> MockTestAttemptStatus {
        self.0.status.into()
    }

    /// How often it may be sat.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// How often it was sat; a sitting counts from its start.
    async fn attempts_used(&self) -> i32 {
        self.0.attempts_used
    }

    /// How often it may still be sat.
    async fn remaining_attempts(&self) -> i32 {
        (self.0.max_attempts - self.0.attempts_used).max(0)
    }

    /// When the latest sitting began; null before the first.
    async fn latest_attempt_at(&self) -> Option<DateTime> {
        self.0.latest_attempt_at.map(DateTime)
    }

    /// The marks of the latest scored sitting; null before the first.
    async fn latest_score(&self) -> Option<Decimal> {
        hundredths(self.0.latest_score)
    }

    /// The latest score in per cent of the most that could be had; null before the first.
    async fn latest_percentage(&self) -> Option<Decimal> {
        hundredths(self.0.latest_percentage)
    }

    /// The marks of the first scored sitting; null before it.
    async fn first_score(&self) -> Option<Decimal> {
        hundredths(self.0.first_score)
    }

    /// The marks of the best scored sitting; null before the first.
    async fn best_score(&self) -> Option<Decimal> {
        hundredths(self.0.best_score)
    }

    /// What counts of its sittings, in marks, by the subject's `markingScheme.gradingMethod`; null before the first scored
    /// sitting.
    async fn grade(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        self.graded(ctx).await.map(hundredths).transpose()
    }

    /// The sitting that is open; null where none is.
    async fn open_session(&self, ctx: &Context<'_>) -> Nullable<TestSession> {
        self.opened(ctx).await.transpose()
    }

    /// Its sittings, newest first.
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
    ) -> ApiResult<TestSessionConnection> {
        session_page(ctx, self.0.user_id, Some(self.0.id), PageArgs::new(first, after, last, before)).await
    }
}

impl MockTestAttempt {
    async fn graded(&self, ctx: &Context<'_>) -> ApiResult<Option<i32>> {
        let method = ctx.services()?.catalog.subject(self.0.subject_id).await?.grading_method;
        Ok(match method {
            GradingMethod::Latest => self.0.latest_score,
            GradingMethod::Highest => self.0.best_score,
            GradingMethod::First => self.0.first_score,
            GradingMethod::Average if self.0.latest_score.is_none() => None,
            GradingMethod::Average => {
                let scores = ctx.loaders()?.scores.load_one((self.0.user_id, self.0.id)).await?;
                scoring::grade(method, &scores.unwrap_or_default())
            }
        })
    }

    async fn opened(&self, ctx: &Context<'_>) -> ApiResult<Option<TestSession>> {
        if self.0.status != CardStatus::InProgress {
            return Ok(None);
        }
        let open = ctx.loaders()?.open_session.load_one((self.0.user_id, self.0.id)).await?;
        Ok(open.map(TestSession::from))
    }
}

/// Narrows a list of test cards; parts that are given must all hold. What is not yours matches nothing.
#[derive(Default, InputObject)]
pub(in crate::graphql) struct MockTestAttemptFilter {
    /// Only of this course.
    course_id: Option<ID>,
    /// Only of this subject.
    subject_id: Option<ID>,
    /// Only of this purchase.
    purchase_id: Option<ID>,
    /// Only with one of these statuses.
    status: Option<Vec<MockTestAttemptStatus>>,
}

/// What a list of test cards can be ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "CardSort")]
pub(in crate::graphql) enum MockTestAttemptSort {
    /// By subject, then by number.
    SubjectTestNumber,
    /// By the start of the latest sitting; cards never sat come last in both directions.
    LatestAttemptAt,
    /// By the percentage of the latest sitting; cards without one come last in both directions.
    LatestPercentage,
}

/// A direction of order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum OrderDirection {
    /// Smallest or earliest first.
    #[default]
    Asc,
    /// Greatest or latest first.
    Desc,
}

/// An order of a list of test cards.
#[derive(Clone, Copy, InputObject)]
pub(in crate::graphql) struct MockTestAttemptOrder {
    /// By what.
    field: MockTestAttemptSort,
    /// Which way.
    #[graphql(default)]
    direction: OrderDirection,
}

/// The arguments of a list of test cards.
#[derive(Default)]
pub(in crate::graphql) struct CardArgs {
    pub(in crate::graphql) page: PageArgs,
    pub(in crate::graphql) filter: Option<MockTestAttemptFilter>,
    pub(in crate::graphql) order: Option<MockTestAttemptOrder>,
}

impl ListNode for MockTestAttempt {
    const NAME: &'static str = "MockTestAttempt";
}

pub(in crate::graphql) type MockTestAttemptConnection = Connection<MockTestAttempt, CardTotal>;

pub(in crate::graphql) struct CardTotal {
    owner: UserId,
    filter: CardFilter,
}

#[Object]
impl CardTotal {
    /// How many there are in all; counted only when selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(card::count(ctx.services()?, self.owner, self.filter.clone()).await?)
    }
}

/// A page of the cards of `owner`, within `scope` and the client's filter.
pub(in crate::graphql) async fn card_page(
    ctx: &Context<'_>,
    owner: UserId,
    scope: CardFilter,
    args: CardArgs,
) -> ApiResult<MockTestAttemptConnection> {
    let services = ctx.services()?;
    let order = args.order.map_or_else(CardOrder::default, |order| CardOrder {
        sort: order.field.into(),
        descending: order.direction == OrderDirection::Desc,
    });
    let list = format!("MockTestAttempt.{:?}.{}", order.sort, if order.descending { "desc" } else { "asc" });
    let request = args.page.request(ctx, &list)?;
    let fits = |key: &Option<CardKey>| key.as_ref().is_none_or(|key| order.has(key) && key.is_possible());
    if !fits(&request.after) || !fits(&request.before) {
        return Err(ApiError::bad_input(
            "A cursor of this list is damaged. Take cursors from `edges.cursor`.",
        ));
    }
    let filter = narrowed(ctx, scope, args.filter.unwrap_or_default()).await?;
    let page = if wants_rows(ctx) {
        card::page(services, owner, filter.clone(), order, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    connect(&list, page, |row| order.key(row), MockTestAttempt, CardTotal { owner, filter })
}

/// `scope` and `filter` together. A course is looked up as its subjects.
async fn narrowed(
    ctx: &Context<'_>,
    scope: CardFilter,
    filter: MockTestAttemptFilter,
) -> ApiResult<CardFilter> {
    let mut narrowed = scope;
    if let Some(id) = filter.course_id {
        let subjects = match ctx.services()?.catalog.snapshot().course(parsed::<CourseId>("courseId", &id)?) {
            Some(course) => course.subjects.iter().map(|subject| subject.id).collect(),
            None => Vec::new(),
        };
        narrow_subjects(&mut narrowed, &subjects);
    }
    if let Some(id) = filter.subject_id {
        narrow_subjects(&mut narrowed, &[parsed::<SubjectId>("subjectId", &id)?]);
    }
    if let Some(id) = filter.purchase_id {
        let id = parsed::<PurchaseId>("purchaseId", &id)?;
        if narrowed.purchase.replace(id).is_some_and(|scope| scope != id) {
            narrow_subjects(&mut narrowed, &[]);
        }
    }
    if let Some(status) = filter.status {
        let mut wanted: Vec<CardStatus> = Vec::new();
        for status in status.into_iter().map(CardStatus::from) {
            if !wanted.contains(&status) {
                wanted.push(status);
            }
        }
        narrowed.status = Some(wanted);
    }
    Ok(narrowed)
}

fn narrow_subjects(filter: &mut CardFilter, to: &[SubjectId]) {
    filter.subjects = Some(match filter.subjects.take() {
        Some(subjects) => subjects.into_iter().filter(|id| to.contains(id)).collect(),
        None => to.to_vec(),
    });
}

fn parsed<K: GlobalKey>(name: &str, id: &ID) -> ApiResult<K> {
    K::parse(id).ok_or_else(|| {
        ApiError::bad_input(format!("`filter.{name}` is not the id of a {}. Take ids from answers.", K::TYPE))
    })
}

//! Lists of test cards.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::{CourseId, PurchaseId, SubjectId, UserId};

use super::card_batch::CardBatch;
use super::card_selection::CardSelection;
use super::{MockTestAttempt, MockTestAttemptStatus};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use jishu_service::card::{self, CardFilter, CardOrder, CardPosition, CardSort, Entitled};
use jishu_service::page::Page;

/// A filter for a list of test cards. A card must match every field that is given. The id of another
/// user's purchase matches no card.
#[derive(Default, InputObject)]
pub(in crate::graphql) struct MockTestAttemptFilter {
    /// Only cards for subjects of this course.
    course_id: Option<ID>,
    /// Only cards for this subject.
    subject_id: Option<ID>,
    /// Only cards that this purchase gave.
    purchase_id: Option<ID>,
    /// Only cards with one of these statuses.
    status: Option<Vec<MockTestAttemptStatus>>,
    /// True for cards whose entitlement is valid, false for cards whose entitlement has ended by a refund or has
    /// expired. A subject that was bought again can have cards of both kinds.
    entitled: Option<bool>,
}

/// The value by which a list of test cards is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "CardSort")]
pub(in crate::graphql) enum MockTestAttemptSort {
    /// By subject, in the order in which the subjects were created, then by test number.
    SubjectTestNumber,
    /// By the start of the latest sitting. Cards without a sitting come last in both directions.
    LatestAttemptAt,
    /// By the percentage of the latest scored sitting. Cards without a scored sitting come last in both directions.
    LatestPercentage,
}

/// The direction of a sort.
#[derive(Clone, Copy, Default, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum OrderDirection {
    /// The smallest number or the earliest time comes first.
    #[default]
    Asc,
    /// The greatest number or the latest time comes first.
    Desc,
}

/// The order of a list of test cards.
#[derive(Clone, Copy, InputObject)]
pub(in crate::graphql) struct MockTestAttemptOrder {
    /// The value by which the list is sorted.
    field: MockTestAttemptSort,
    /// The direction of the sort.
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
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(card::count(ctx.services()?, self.owner, self.filter.clone()).await?)
    }
}

/// Reads a page of the test cards of `owner` that are within `scope` and match the filter of the client. Reads no rows
/// if the client selects neither `edges` nor `pageInfo`.
pub(in crate::graphql) async fn card_page(
    ctx: &Context<'_>,
    owner: UserId,
    scope: CardFilter,
    args: CardArgs,
) -> ApiResult<MockTestAttemptConnection> {
    page_of_cards(ctx, owner, scope, args, MockTestAttempt::of_page).await
}

/// Reads the page that [`card_page`] describes. `node` turns the row of each card into an item of the list.
pub(super) async fn page_of_cards<Node: ListNode>(
    ctx: &Context<'_>,
    owner: UserId,
    scope: CardFilter,
    args: CardArgs,
    node: impl Fn(mock_test_attempt::Model, &Arc<CardBatch>) -> Node,
) -> ApiResult<Connection<Node, CardTotal>> {
    let services = ctx.services()?;
    let order = args.order.map_or_else(CardOrder::default, |order| CardOrder {
        sort: order.field.into(),
        descending: order.direction == OrderDirection::Desc,
    });
    let list = format!("MockTestAttempt.{:?}.{}", order.sort, if order.descending { "desc" } else { "asc" });
    let request = args.page.request(ctx, &list)?;
    let fits = |position: &Option<CardPosition>| {
        position.as_ref().is_none_or(|position| order.has(position) && position.is_possible())
    };
    if !fits(&request.after) || !fits(&request.before) {
        return Err(ApiError::bad_input(
            "A cursor of this list is damaged. Take cursors from `edges.cursor`.",
        ));
    }
    let filter = narrow(ctx, scope, args.filter.unwrap_or_default()).await?;
    let selection = CardSelection::of(ctx);
    let page = if wants_rows(ctx) {
        card::page(services, owner, filter.clone(), order, selection.columns(), request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    let batch = CardBatch::of(&page.rows).with_subjects(&services.catalog.snapshot());
    let batch = Arc::new(batch.prepared(ctx, selection, &page.rows).await?);
    Ok(connect(&list, page, |row| order.position(row), |row| node(row, &batch), CardTotal { owner, filter }))
}

/// Adds the conditions of the client's filter to `scope`. A course becomes a list of its subjects. Fails with
/// `BAD_USER_INPUT` if an id does not have the right type.
async fn narrow(
    ctx: &Context<'_>,
    scope: CardFilter,
    filter: MockTestAttemptFilter,
) -> ApiResult<CardFilter> {
    let mut narrowed = scope;
    if let Some(id) = filter.course_id {
        let subjects = match ctx.services()?.catalog.snapshot().course(parse_id::<CourseId>("courseId", &id)?)
        {
            Some(course) => course.subjects.iter().map(|subject| subject.id).collect(),
            None => Vec::new(),
        };
        narrow_subjects(&mut narrowed, &subjects);
    }
    if let Some(id) = filter.subject_id {
        narrow_subjects(&mut narrowed, &[parse_id::<SubjectId>("subjectId", &id)?]);
    }
    if let Some(id) = filter.purchase_id {
        let id = parse_id::<PurchaseId>("purchaseId", &id)?;
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
    if let Some(holds) = filter.entitled {
        narrowed.entitled = Some(Entitled { holds, at: ctx.services()?.clock.now() });
    }
    Ok(narrowed)
}

fn narrow_subjects(filter: &mut CardFilter, to: &[SubjectId]) {
    filter.subjects = Some(match filter.subjects.take() {
        Some(subjects) => subjects.into_iter().filter(|id| to.contains(id)).collect(),
        None => to.to_vec(),
    });
}

fn parse_id<K: GlobalKey>(name: &str, id: &ID) -> ApiResult<K> {
    K::parse(id).ok_or_else(|| {
        ApiError::bad_input(format!(
            "`filter.{name}` is not the id of a {}. Take ids from responses.",
            K::TYPE
        ))
    })
}

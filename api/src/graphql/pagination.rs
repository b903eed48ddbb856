//! Relay connections. A cursor is the opaque text of a position in a list. A page has 50 items by default, and at most
//! 100.
//! <https://relay.dev/graphql/connections.htm>

use std::borrow::Cow;

use async_graphql::{Context, ObjectType, OutputType, SimpleObject, TypeName};
use graphql_engine::{Plain, PlainObject, PlainOutput};

use super::cursor::{Cursor, CursorHead, CursorKey};
use super::error::{ApiError, ApiResult};
use jishu_service::page::{Page, PageDirection, PageRequest};

/// The number of items on a page if a client gives neither `first` nor `last`.
pub(super) const DEFAULT_PAGE_SIZE: u32 = 50;
/// The maximum number of items on a page.
pub(super) const MAX_PAGE_SIZE: u32 = 100;

/// A type that can be the item of a list.
pub(super) trait ListNode: OutputType + PlainOutput + 'static {
    /// The name of the GraphQL type of the item, such as `Order`. `OrderConnection` and `OrderEdge` are named after it.
    const NAME: &'static str;
}

/// A page of a list.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(super) struct Connection<Node: ListNode, Total: ObjectType> {
    /// The items of the page, each with its cursor.
    edges: Plain<Vec<Edge<Node>>>,
    /// Whether the list has items before and after the page, and the cursors for reading them.
    page_info: PageInfo,
    #[graphql(flatten)]
    total: Total,
}

impl<Node: ListNode, Total: ObjectType> TypeName for Connection<Node, Total> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", Node::NAME).into()
    }
}

/// The position of a page in its list, for reading the page before or after this page.
#[derive(PlainObject, SimpleObject)]
pub(super) struct PageInfo {
    /// Whether the list has items before this page.
    has_previous_page: bool,
    /// Whether the list has items after this page.
    has_next_page: bool,
    /// The cursor of the first item on the page. Send this cursor as `before` to read the previous page. Null if the
    /// page is empty.
    start_cursor: Option<Cursor>,
    /// The cursor of the last item on the page. Send this cursor as `after` to read the next page. Null if the page is
    /// empty.
    end_cursor: Option<Cursor>,
}

/// An item of a list, with its cursor.
#[derive(PlainObject, SimpleObject)]
#[graphql(name_type)]
pub(super) struct Edge<Node: ListNode> {
    /// The cursor of the item: its position in the list, for `after` and `before`.
    cursor: Cursor,
    /// The item of the list.
    node: Node,
}

impl<Node: ListNode> TypeName for Edge<Node> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", Node::NAME).into()
    }
}

/// The arguments `first`, `after`, `last` and `before` of a connection, as the client sent them.
#[derive(Clone, Debug, Default)]
pub(super) struct PageArgs {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

impl PageArgs {
    pub(super) fn new(
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Self {
        Self { first, after, last, before }
    }

    /// Checks the arguments of a connection and parses the cursors. `list` names the list and its order. Fails with
    /// `BAD_USER_INPUT` if a page size is out of range, `first` and `last` are both given, or a cursor belongs to
    /// another list or order.
    pub(super) fn request<K: CursorKey>(self, ctx: &Context<'_>, list: &str) -> ApiResult<PageRequest<K>> {
        let (limit, direction) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_input("`first` and `last` are both given. Leave out one of them."));
            }
            (None, Some(last)) => (page_size("last", last)?, PageDirection::Backward),
            (Some(first), None) => (page_size("first", first)?, PageDirection::Forward),
            (None, None) if self.before.is_some() && self.after.is_none() => {
                (DEFAULT_PAGE_SIZE, PageDirection::Backward)
            }
            (None, None) => (DEFAULT_PAGE_SIZE, PageDirection::Forward),
        };
        let read = |name: &str, cursor: Option<String>| {
            cursor.map(|cursor| Cursor::parse(&cursor, name, list)).transpose()
        };
        let page_info = ctx.look_ahead().field("pageInfo");
        let finds_previous = page_info.field("hasPreviousPage").exists();
        let finds_next = page_info.field("hasNextPage").exists();
        let (after, before) = (read("after", self.after)?, read("before", self.before)?);
        Ok(PageRequest { limit, direction, after, before, finds_previous, finds_next })
    }
}

/// Checks a page size that a client sent. `name` is the name of the argument. Fails with `BAD_USER_INPUT` if the number
/// is not 1 to 100.
pub(super) fn page_size(name: &str, value: i32) -> ApiResult<u32> {
    match u32::try_from(value) {
        Ok(value @ 1..=MAX_PAGE_SIZE) => Ok(value),
        _ => Err(ApiError::bad_input(format!(
            "`{name}` must be 1 to {MAX_PAGE_SIZE}; {value} was given. Read longer lists page by page."
        ))),
    }
}

/// Tells whether the client selected `edges` or `pageInfo` of a connection, which need the rows of the page.
/// `totalCount` does not need them.
pub(super) fn wants_rows(ctx: &Context<'_>) -> bool {
    let ahead = ctx.look_ahead();
    ahead.field("edges").exists() || ahead.field("pageInfo").exists()
}

/// Makes a connection from a page of rows. `list` names the list and its order, `key` returns the position of a row,
/// and `node` makes the item from a row.
pub(super) fn connect<T, K, Node, Total>(
    list: &str,
    page: Page<T>,
    key: impl Fn(&T) -> K,
    mut node: impl FnMut(T) -> Node,
    total: Total,
) -> Connection<Node, Total>
where
    K: CursorKey,
    Node: ListNode,
    Total: ObjectType,
{
    let head = CursorHead::of(list);
    let edge = |row| Edge { cursor: head.cursor(&key(&row)), node: node(row) };
    let edges: Vec<_> = page.rows.into_iter().map(edge).collect();
    let page_info = PageInfo {
        has_previous_page: page.has_previous,
        has_next_page: page.has_next,
        start_cursor: edges.first().map(|edge| edge.cursor),
        end_cursor: edges.last().map(|edge| edge.cursor),
    };
    Connection { edges: Plain(edges), page_info, total }
}

/// Cuts a page out of a list in memory, which is sorted by the unique key that `key` returns.
pub(super) fn slice<T: Clone, K: PartialOrd>(
    rows: &[T],
    key: impl Fn(&T) -> K,
    request: PageRequest<K>,
) -> Page<T> {
    let start = request.after.map_or(0, |after| rows.partition_point(|row| key(row) <= after));
    let end = request.before.map_or(rows.len(), |before| rows.partition_point(|row| key(row) < before));
    let end = end.max(start);
    let limit = request.limit as usize;
    let (start, end) = match request.direction {
        PageDirection::Forward => (start, end.min(start + limit)),
        PageDirection::Backward => (start.max(end.saturating_sub(limit)), end),
    };
    Page { rows: rows[start..end].to_vec(), has_previous: start > 0, has_next: end < rows.len() }
}

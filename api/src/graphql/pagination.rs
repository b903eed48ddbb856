//! Relay connections, once for every list: opaque keyset cursors, `first` or `last` of 50 and at most 100.
//! <https://relay.dev/graphql/connections.htm>

use std::borrow::Cow;

use async_graphql::connection::PageInfo;
use async_graphql::{Context, ObjectType, OutputType, SimpleObject, TypeName};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{ApiError, ApiResult};
use jishu_service::page::{Page, PageRequest, Toward};

/// How many items a page has when neither `first` nor `last` is given.
pub(super) const DEFAULT_PAGE: u32 = 50;
/// How many items a page has at most.
pub(super) const LONGEST_PAGE: u32 = 100;

/// A type that lists are made of.
pub(super) trait ListNode: OutputType {
    /// Its name: `X` in `XConnection` and `XEdge`.
    const NAME: &'static str;
}

/// A page of a list, and where it stands in the list.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(super) struct Connection<Node: ListNode, Total: ObjectType> {
    /// The items of the page, each with its cursor.
    edges: Vec<Edge<Node>>,
    /// Where the page stands in the list.
    page_info: PageInfo,
    #[graphql(flatten)]
    total: Total,
}

impl<Node: ListNode, Total: ObjectType> TypeName for Connection<Node, Total> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", Node::NAME).into()
    }
}

/// An item of a list.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(super) struct Edge<Node: ListNode> {
    /// The position of the item, for `after` and `before`.
    cursor: String,
    /// The item itself.
    node: Node,
}

impl<Node: ListNode> TypeName for Edge<Node> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", Node::NAME).into()
    }
}

/// The four arguments of a connection, as a client sent them.
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

    /// Checks the arguments and reads the cursors. `list` names the list and its order: a cursor of another is
    /// refused.
    pub(super) fn request<K: DeserializeOwned>(
        self,
        ctx: &Context<'_>,
        list: &str,
    ) -> ApiResult<PageRequest<K>> {
        let (limit, toward) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_input("Give `first` or `last`, and not both."));
            }
            (None, Some(last)) => (page_length("last", last)?, Toward::Start),
            (Some(first), None) => (page_length("first", first)?, Toward::End),
            (None, None) if self.before.is_some() && self.after.is_none() => (DEFAULT_PAGE, Toward::Start),
            (None, None) => (DEFAULT_PAGE, Toward::End),
        };
        let read = |name: &str, cursor: Option<String>| {
            cursor.map(|cursor| Cursor(cursor).key(name, list)).transpose()
        };
        let page_info = ctx.look_ahead().field("pageInfo");
        let look_around =
            page_info.field("hasPreviousPage").exists() || page_info.field("hasNextPage").exists();
        let (after, before) = (read("after", self.after)?, read("before", self.before)?);
        Ok(PageRequest { limit, toward, after, before, look_around })
    }
}

/// Checks an argument that says how many items are asked for.
pub(super) fn page_length(name: &str, value: i32) -> ApiResult<u32> {
    match u32::try_from(value) {
        Ok(value @ 1..=LONGEST_PAGE) => Ok(value),
        _ => Err(ApiError::bad_input(format!(
            "`{name}` must be 1 to {LONGEST_PAGE}; {value} was given. Read longer lists page by page."
        ))),
    }
}

/// An opaque cursor: the key of a row, and the list that it is of.
pub(super) struct Cursor(String);

impl From<String> for Cursor {
    fn from(sent: String) -> Self {
        Self(sent)
    }
}

impl From<Cursor> for String {
    fn from(Cursor(text): Cursor) -> Self {
        text
    }
}

impl Cursor {
    pub(super) fn of(list: &str, key: &impl Serialize) -> ApiResult<Self> {
        let json = serde_json::to_vec(&(list, key)).map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(json)))
    }

    pub(super) fn key<K: DeserializeOwned>(&self, argument: &str, list: &str) -> ApiResult<K> {
        let foreign = || {
            ApiError::bad_input(format!(
                "`{argument}` is not a cursor of this list. Take cursors from `edges.cursor` or `pageInfo`."
            ))
        };
        let json = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| foreign())?;
        let (of, key): (String, serde_json::Value) = serde_json::from_slice(&json).map_err(|_| foreign())?;
        if of != list {
            return Err(ApiError::bad_input(format!(
                "`{argument}` is a cursor of another list or order. Use a cursor only with the `orderBy` it \
                 came from."
            )));
        }
        serde_json::from_value(key).map_err(|_| foreign())
    }
}

/// Whether a field of the connection that needs the rows is selected; `totalCount` alone does not.
pub(super) fn wants_rows(ctx: &Context<'_>) -> bool {
    let ahead = ctx.look_ahead();
    ahead.field("edges").exists() || ahead.field("pageInfo").exists()
}

/// A page as a connection.
pub(super) fn connect<T, K, Node, Total>(
    list: &str,
    page: Page<T>,
    key: impl Fn(&T) -> K,
    node: impl Fn(T) -> Node,
    total: Total,
) -> ApiResult<Connection<Node, Total>>
where
    K: Serialize,
    Node: ListNode,
    Total: ObjectType,
{
    let mut edges = Vec::with_capacity(page.rows.len());
    for row in page.rows {
        let Cursor(cursor) = Cursor::of(list, &key(&row))?;
        edges.push(Edge { cursor, node: node(row) });
    }
    let page_info = PageInfo {
        has_previous_page: page.has_previous,
        has_next_page: page.has_next,
        start_cursor: edges.first().map(|edge| edge.cursor.clone()),
        end_cursor: edges.last().map(|edge| edge.cursor.clone()),
    };
    Ok(Connection { edges, page_info, total })
}

/// A page of a list that is in memory, sorted by a unique key.
pub(super) fn slice<T: Clone, K: PartialOrd>(
    rows: &[T],
    key: impl Fn(&T) -> K,
    request: PageRequest<K>,
) -> Page<T> {
    let start = request.after.map_or(0, |after| rows.partition_point(|row| key(row) <= after));
    let end = request.before.map_or(rows.len(), |before| rows.partition_point(|row| key(row) < before));
    let end = end.max(start);
    let limit = request.limit as usize;
    let (start, end) = match request.toward {
        Toward::End => (start, end.min(start + limit)),
        Toward::Start => (start.max(end.saturating_sub(limit)), end),
    };
    Page { rows: rows[start..end].to_vec(), has_previous: start > 0, has_next: end < rows.len() }
}

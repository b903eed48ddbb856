//! Keyset pagination for every list. Reading a page costs the same at the start and at the end of a list. Rows that are
//! inserted between two requests neither repeat nor hide other rows.

use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, Order, SimpleExpr};
use sea_orm::{
    Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait, Select, Statement, Value,
};

/// The direction in which a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageDirection {
    /// The page is read from the start of the list, or from the position `after`.
    Forward,
    /// The page is read from the end of the list, or from the position `before`.
    Backward,
}

/// A request for one page of a list. `K` is the position of a row in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// Maximum number of rows of the page.
    pub limit: u32,
    /// The direction of reading.
    pub direction: PageDirection,
    /// The page contains only rows after this position.
    pub after: Option<K>,
    /// The page contains only rows before this position.
    pub before: Option<K>,
    /// Whether to find out if the list has rows before the page. The check can cost one more statement if `after` is
    /// given.
    pub finds_previous: bool,
    /// Whether to find out if the list has rows after the page. The check can cost one more statement if `before` is
    /// given.
    pub finds_next: bool,
}

/// One page of a list, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows of the page.
    pub rows: Vec<T>,
    /// Whether the list has rows before the first row of the page. If `finds_previous` was false in the request,
    /// `has_previous` can be false although the list has earlier rows.
    pub has_previous: bool,
    /// Whether the list has rows after the last row of the page. If `finds_next` was false in the request, `has_next`
    /// can be false although the list has later rows.
    pub has_next: bool,
}

/// The order of a list: columns that are unique together, all in one direction.
#[derive(Clone, Debug)]
pub struct Keyset {
    /// The columns, the most significant column first. Their values must not be null.
    pub columns: Vec<SimpleExpr>,
    /// Whether the row with the greatest values comes first.
    pub descending: bool,
}

impl Keyset {
    /// Returns the condition for the rows after the position `key` (forward) or before it (backward). `key` has one
    /// value for each column. If `inclusive`, the row at the position matches, too.
    fn beyond(
        &self,
        backend: DbBackend,
        key: Vec<Value>,
        direction: PageDirection,
        inclusive: bool,
    ) -> Condition {
        let greater = (direction == PageDirection::Forward) != self.descending;
        if backend == DbBackend::MySql {
            return spelled_out(&self.columns, key, greater, inclusive);
        }
        let columns = Expr::tuple(self.columns.iter().cloned());
        compare(columns, Expr::tuple(key.into_iter().map(Expr::value)), greater, inclusive).into_condition()
    }

    fn order(&self, direction: PageDirection) -> Order {
        if (direction == PageDirection::Forward) == self.descending { Order::Desc } else { Order::Asc }
    }
}

fn compare(left: SimpleExpr, right: SimpleExpr, greater: bool, inclusive: bool) -> SimpleExpr {
    match (greater, inclusive) {
        (true, false) => left.gt(right),
        (true, true) => left.gte(right),
        (false, false) => left.lt(right),
        (false, true) => left.lte(right),
    }
}

/// Returns the comparison of columns with values, such as `(a, b) > (x, y)`, as `a >= x AND (a > x OR (a = x AND b >
/// y))`.
///
/// MariaDB and MySQL do not use an index to compare rows. The condition `a >= x` looks redundant, but it lets these
/// databases scan a range of the index.
fn spelled_out(columns: &[SimpleExpr], key: Vec<Value>, greater: bool, inclusive: bool) -> Condition {
    let pairs: Vec<(SimpleExpr, SimpleExpr)> =
        columns.iter().cloned().zip(key.into_iter().map(Expr::value)).collect();
    let (mut any, mut equal_so_far) = (Condition::any(), Condition::all());
    for (position, (column, value)) in pairs.iter().enumerate() {
        let inclusive = inclusive && position + 1 == pairs.len();
        let beyond = compare(column.clone(), value.clone(), greater, inclusive);
        any = any.add(equal_so_far.clone().add(beyond));
        equal_so_far = equal_so_far.add(column.clone().eq(value.clone()));
    }
    let range = pairs.into_iter().next().map(|(column, value)| compare(column, value, greater, true));
    Condition::all().add_option(range).add(any)
}

/// Reads one page of `select` in the order of `keyset`. `key_values` converts a position to values, in the order of the
/// keyset's columns.
///
/// # Errors
/// Returns the database's error.
pub fn fetch<E, K>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
    keyset: Keyset,
    request: PageRequest<K>,
    key_values: fn(K) -> Vec<Value>,
) -> impl Future<Output = Result<Page<E::Model>, DbErr>> + Send
where
    E: EntityTrait,
    E::Model: FromQueryResult + Send + Sync,
{
    let read = |row: &QueryResult| E::Model::from_query_result(row, "");
    fetch_rows(connection, select, keyset, request, key_values, read)
}

/// Reads one page as [`fetch`] does, and converts each row to an item with `read`.
///
/// Builds all statements before it returns the future. While the future waits for a connection, it keeps their texts and
/// values, which take less memory than the query builders. If the rows show that the list has more rows, the statement
/// for that flag is not sent.
///
/// # Errors
/// Returns the database's error.
pub fn fetch_rows<E, K, T>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
    keyset: Keyset,
    request: PageRequest<K>,
    key_values: fn(K) -> Vec<Value>,
    read: impl Fn(&QueryResult) -> Result<T, DbErr> + Send,
) -> impl Future<Output = Result<Page<T>, DbErr>> + Send
where
    E: EntityTrait,
    T: Send,
{
    let backend = connection.get_database_backend();
    let PageRequest { limit, direction, after, before, finds_previous, finds_next } = request;
    let (after, before) = (after.map(key_values), before.map(key_values));
    let any_from = |key: &Vec<Value>, direction| {
        let rows = select.clone().filter(keyset.beyond(backend, key.clone(), direction, true));
        any_row(rows).build(backend)
    };
    let previous =
        after.as_ref().filter(|_| finds_previous).map(|key| any_from(key, PageDirection::Backward));
    let next = before.as_ref().filter(|_| finds_next).map(|key| any_from(key, PageDirection::Forward));

    let mut page = select;
    if let Some(after) = after {
        page = page.filter(keyset.beyond(backend, after, PageDirection::Forward, false));
    }
    if let Some(before) = before {
        page = page.filter(keyset.beyond(backend, before, PageDirection::Backward, false));
    }
    let order = keyset.order(direction);
    for column in keyset.columns {
        page = page.order_by(column, order.clone());
    }
    // One row more than requested is read, to find out whether there are more rows.
    let page = page.limit(u64::from(limit) + 1).build(backend);
    let limit = limit as usize;

    async move {
        let found = connection.query_all_raw(page).await?;
        let more = found.len() > limit;
        let mut rows = found.iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
        drop(found);
        let (more_before, more_after) = match direction {
            PageDirection::Forward => (false, more),
            PageDirection::Backward => {
                rows.reverse();
                (more, false)
            }
        };
        let has_previous = more_before || finds_row(connection, previous).await?;
        let has_next = more_after || finds_row(connection, next).await?;
        Ok(Page { rows, has_previous, has_next })
    }
}

/// Turns a selection into a query that returns one row if the selection has rows.
fn any_row<E: EntityTrait>(select: Select<E>) -> Select<E> {
    select.select_only().expr_as(Expr::val(1), "found").limit(1)
}

/// Returns whether a statement returns a row. Returns false if there is no statement.
async fn finds_row(connection: &impl ConnectionTrait, statement: Option<Statement>) -> Result<bool, DbErr> {
    let Some(statement) = statement else { return Ok(false) };
    Ok(connection.query_one_raw(statement).await?.is_some())
}

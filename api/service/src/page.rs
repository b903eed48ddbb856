//! Keyset pagination, once for every list: a page costs the same at the start and at the end, and rows that
//! are inserted meanwhile neither repeat nor hide others.

use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, Order, SimpleExpr};
use sea_orm::{
    Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use sea_orm::{FromQueryResult, Select, Value};

/// Which way a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toward {
    /// `first`: from the start of the list, or from `after`.
    End,
    /// `last`: from the end of the list, or from `before`.
    Start,
}

/// What part of a list is asked for. `K` is the key of a row in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// At most so many rows.
    pub limit: u32,
    /// Which way.
    pub toward: Toward,
    /// Only rows after this key.
    pub after: Option<K>,
    /// Only rows before this key.
    pub before: Option<K>,
    /// Whether the caller wants to know of rows on the far side of the keys, which costs a statement for each.
    pub look_around: bool,
}

/// A page of a list, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there are rows before the first.
    pub has_previous: bool,
    /// Whether there are rows after the last.
    pub has_next: bool,
}

/// What a list is ordered by: columns that together are unique, all in one direction.
#[derive(Clone, Debug)]
pub struct Keyset {
    /// The columns, most significant first. None of them may be null.
    pub columns: Vec<SimpleExpr>,
    /// Greatest first.
    pub descending: bool,
}

impl Keyset {
    /// Rows on one side of `key`, which has a value for each column; with the row at `key` when `inclusive`.
    fn beyond(&self, backend: DbBackend, key: Vec<Value>, toward: Toward, inclusive: bool) -> Condition {
        let greater = (toward == Toward::End) != self.descending;
        if backend == DbBackend::MySql {
            return spelled_out(&self.columns, key, greater, inclusive);
        }
        let columns = Expr::tuple(self.columns.iter().cloned());
        compare(columns, Expr::tuple(key.into_iter().map(Expr::value)), greater, inclusive).into_condition()
    }

    fn order(&self, toward: Toward) -> Order {
        if (toward == Toward::End) == self.descending { Order::Desc } else { Order::Asc }
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

/// `(a, b) > (x, y)` as `a >= x AND (a > x OR (a = x AND b > y))`: MariaDB and MySQL do not use an index for a
/// comparison of rows. The first part looks redundant and is what gives them the range.
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

/// Reads one page of `select`. `key_values` gives the values of a key in the order of the keyset's columns.
///
/// # Errors
/// The database's.
pub async fn fetch<E, K>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
    keyset: &Keyset,
    request: PageRequest<K>,
    key_values: fn(K) -> Vec<Value>,
) -> Result<Page<E::Model>, DbErr>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Send + Sync,
{
    let backend = connection.get_database_backend();
    let (after, before) = (request.after.map(key_values), request.before.map(key_values));
    let mut page = select.clone();
    if let Some(after) = after.clone() {
        page = page.filter(keyset.beyond(backend, after, Toward::End, false));
    }
    if let Some(before) = before.clone() {
        page = page.filter(keyset.beyond(backend, before, Toward::Start, false));
    }
    for column in &keyset.columns {
        page = page.order_by(column.clone(), keyset.order(request.toward));
    }
    // One row more than asked for tells whether there are more.
    let limit = request.limit as usize;
    let mut rows = page.limit(u64::from(request.limit) + 1).all(connection).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);

    let at_or_beyond = async |key: Option<Vec<Value>>, toward| match key {
        Some(key) if request.look_around => {
            let beyond = select.clone().filter(keyset.beyond(backend, key, toward, true));
            exists(connection, beyond).await
        }
        _ => Ok(false),
    };
    let (has_previous, has_next) = match request.toward {
        Toward::End => {
            (at_or_beyond(after, Toward::Start).await?, more || at_or_beyond(before, Toward::End).await?)
        }
        Toward::Start => {
            rows.reverse();
            (more || at_or_beyond(after, Toward::Start).await?, at_or_beyond(before, Toward::End).await?)
        }
    };
    Ok(Page { rows, has_previous, has_next })
}

async fn exists<E: EntityTrait>(connection: &impl ConnectionTrait, select: Select<E>) -> Result<bool, DbErr> {
    let found: Option<i32> =
        select.select_only().expr_as(Expr::val(1), "found").limit(1).into_tuple().one(connection).await?;
    Ok(found.is_some())
}

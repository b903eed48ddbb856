//! Reads rows one by one, so that an unreadable row does not affect the others.

use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, PrimaryKeyToColumn,
    QueryResult, QueryTrait, Select,
};

/// A row that cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// The numbers of its primary key, in order.
    pub(crate) key: Vec<i64>,
    /// The reason.
    pub(crate) error: DbErr,
}

/// Reads the rows of a query: the readable ones as models, the others by their keys.
///
/// # Errors
/// Returns the database's error.
pub(crate) async fn readable<E>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<(Vec<E::Model>, Vec<Unreadable>), DbErr>
where
    E: EntityTrait,
{
    let found = connection.query_all_raw(select.build(connection.get_database_backend())).await?;
    let (mut rows, mut unreadable) = (Vec::with_capacity(found.len()), Vec::new());
    for row in &found {
        match E::Model::from_query_result(row, "") {
            Ok(model) => rows.push(model),
            Err(error) => unreadable.push(Unreadable { key: key_of::<E>(row), error }),
        }
    }
    Ok((rows, unreadable))
}

/// Reads the key of a row. Parts of the key that cannot be read are left out.
fn key_of<E: EntityTrait>(row: &QueryResult) -> Vec<i64> {
    let number = |column: &str| {
        row.try_get::<i64>("", column).or_else(|_| row.try_get::<i32>("", column).map(i64::from)).ok()
    };
    E::PrimaryKey::iter().filter_map(|key| number(key.into_column().as_str())).collect()
}

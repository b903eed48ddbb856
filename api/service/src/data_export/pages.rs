//! Reads any number of rows in pages, so that only one page is in memory.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

/// Reads rows in the order of their ids, in pages of at most `limit` rows.
pub(super) struct Pages<E: EntityTrait> {
    rows: Select<E>,
    column: E::Column,
    id: fn(&E::Model) -> i64,
    limit: u64,
    after: i64,
}

impl<E: EntityTrait> Pages<E> {
    /// Prepares to read the rows. `column` is the column of the id, and `id` returns the id of a row.
    pub(super) fn new(rows: Select<E>, column: E::Column, id: fn(&E::Model) -> i64, limit: u64) -> Self {
        Self { rows, column, id, limit, after: 0 }
    }

    /// Reads the next page. Returns None if there are no more rows.
    pub(super) async fn next(
        &mut self,
        reader: &impl ConnectionTrait,
    ) -> Result<Option<Vec<E::Model>>, DbErr> {
        let page = self.rows.clone().filter(self.column.gt(self.after)).order_by_asc(self.column);
        let rows = page.limit(self.limit).all(reader).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = (self.id)(last);
        Ok(Some(rows))
    }
}

//! A statement for PostgreSQL that inserts rows into several tables.
//!
//! Each parameter is written together with its value, so that a value cannot get into the column of another value.

use std::fmt::Write;

use sea_orm::sea_query::ArrayType;
use sea_orm::{
    ActiveModelTrait, ActiveValue, DbBackend, EntityTrait, IdenStatic, Iterable, Statement, Value,
};

/// The content of a column in a new row.
pub(crate) enum Cell {
    /// A value, which becomes a parameter.
    Value(Value),
    /// An expression in SQL.
    Sql(&'static str),
}

/// A statement for PostgreSQL that is put together from parts.
#[derive(Debug, Default)]
pub(crate) struct InsertStatement {
    text: String,
    values: Vec<Value>,
}

impl InsertStatement {
    /// Appends SQL without parameters.
    pub(crate) fn sql(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Appends a parameter with this value.
    fn parameter(&mut self, value: Value) {
        self.values.push(value);
        // Writing to a `String` cannot fail.
        let _infallible = write!(self.text, "${}", self.values.len());
    }

    /// Appends `INSERT INTO … (…) SELECT …`, with one column for each cell. The caller may append a `FROM` after it.
    pub(crate) fn insert<E: EntityTrait>(
        mut self,
        cells: impl IntoIterator<Item = (E::Column, Cell)>,
    ) -> Self {
        let cells: Vec<_> = cells.into_iter().collect();
        self.text.push_str("INSERT INTO ");
        self.text.push_str(E::default().table_name());
        for (number, (column, _)) in cells.iter().enumerate() {
            self.text.push_str(if number > 0 { ", " } else { " (" });
            self.text.push_str(column.as_str());
        }
        self.text.push_str(") SELECT ");
        for (number, (_, cell)) in cells.into_iter().enumerate() {
            if number > 0 {
                self.text.push_str(", ");
            }
            match cell {
                Cell::Value(value) => self.parameter(value),
                Cell::Sql(expression) => self.text.push_str(expression),
            }
        }
        self
    }

    /// Appends arrays as a table: `unnest(…) AS name (…)`. Each array is a column of the table.
    pub(crate) fn unnest<const N: usize>(mut self, name: &str, arrays: [(&str, Value); N]) -> Self {
        let columns = arrays.each_ref().map(|(column, _)| *column).join(", ");
        self.text.push_str("unnest(");
        for (number, (_, array)) in arrays.into_iter().enumerate() {
            if number > 0 {
                self.text.push_str(", ");
            }
            self.parameter(array);
        }
        let _infallible = write!(self.text, ") AS {name} ({columns})");
        self
    }

    /// Returns the statement with its values.
    pub(crate) fn build(self) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, self.text, self.values)
    }
}

/// Returns the columns of a row that have a value, each with its value.
pub(crate) fn cells<A: ActiveModelTrait>(
    mut row: A,
) -> impl Iterator<Item = (<A::Entity as EntityTrait>::Column, Cell)> {
    <A::Entity as EntityTrait>::Column::iter().filter_map(move |column| match row.take(column) {
        ActiveValue::Set(value) | ActiveValue::Unchanged(value) => Some((column, Cell::Value(value))),
        ActiveValue::NotSet => None,
    })
}

/// Returns the values as one array, whose elements have the type `kind`.
pub(crate) fn array(kind: ArrayType, values: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(kind, Some(Box::new(values.into_iter().collect())))
}

#[cfg(test)]
mod tests {
    use jishu_entity::{UserId, cart_item};
    use sea_orm::ActiveValue::{NotSet, Set};

    use super::*;

    #[test]
    fn each_parameter_gets_the_value_that_was_written_with_it() {
        let row = cart_item::ActiveModel {
            user_id: Set(UserId(7)),
            subject_id: NotSet,
            added_at: NotSet,
            price: Set(Some(30)),
        };
        let computed = [(cart_item::Column::SubjectId, Cell::Sql("v.id"))];
        let ids = array(ArrayType::BigInt, [Value::from(1_i64), Value::from(2_i64)]);
        let numbers = array(ArrayType::Int, [Value::from(3)]);
        let statement = InsertStatement::default()
            .sql("WITH put AS (")
            .insert::<cart_item::Entity>(cells(row).chain(computed))
            .sql(" FROM ")
            .unnest("v", [("id", ids.clone()), ("number", numbers.clone())])
            .sql(") SELECT 1")
            .build();
        assert_eq!(
            statement.sql,
            "WITH put AS (INSERT INTO cart_items (user_id, price, subject_id) SELECT $1, $2, v.id \
             FROM unnest($3, $4) AS v (id, number)) SELECT 1"
        );
        let values = statement.values.map(|values| values.0);
        assert_eq!(values, Some(vec![7_i64.into(), Some(30_i64).into(), ids, numbers]));
    }
}

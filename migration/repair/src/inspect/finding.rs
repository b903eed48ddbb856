//! Counts cases of a problem and reads examples.

use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Map, Value};

use crate::names::MAX_SAMPLES;
use crate::sql::{Dialect, count, rows};

/// The number of cases of a problem, with the first few cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The number of cases.
    pub count: i64,
    /// The first few cases, as JSON objects.
    pub samples: Vec<Value>,
}

/// Reads findings from a database.
pub(super) struct FindingReader<'c, C> {
    pub(super) connection: &'c C,
    pub(super) dialect: Dialect,
}

impl<C: ConnectionTrait> FindingReader<'_, C> {
    /// Counts the rows of a query and reads the first few. `columns` are the columns of the query to read and sort by.
    pub(super) async fn find(&self, query: &str, columns: &[&str]) -> Result<Finding, DbErr> {
        let count = count(self.connection, format!("SELECT COUNT(*) FROM ({query}) AS found")).await?;
        if count == 0 {
            return Ok(Finding::default());
        }
        let list =
            columns.iter().map(|column| self.dialect.text(&self.dialect.quote(column))).collect::<Vec<_>>();
        let order = self.dialect.quote_all(columns.iter().copied());
        let text = format!(
            "SELECT {} FROM ({query}) AS found ORDER BY {order} LIMIT {MAX_SAMPLES}",
            list.join(", ")
        );
        let mut samples = Vec::new();
        for row in rows(self.connection, text, []).await? {
            let mut sample = Map::new();
            for (position, column) in columns.iter().enumerate() {
                let value: Option<String> = row.try_get_by_index(position)?;
                sample.insert((*column).to_owned(), value.map_or(Value::Null, as_json));
            }
            samples.push(Value::Object(sample));
        }
        Ok(Finding { count, samples })
    }
}

/// Converts a text to a JSON number if it is an integer, or else to a JSON string.
pub(super) fn as_json(text: String) -> Value {
    text.parse::<i64>().map_or(Value::String(text), Value::from)
}

//! Finds the data that a revert of migrations would delete.

use std::collections::BTreeMap;

use jishu_migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr, Statement};

use super::{Database, MigrateError};

/// The data that a revert of the latest migrations would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The migrations that would be reverted, the latest first.
    pub migrations: Vec<String>,
    /// The tables that would be dropped, each with its number of rows.
    pub tables: Vec<(String, i64)>,
    /// The columns of other tables that would be dropped, each with its number of values that are not null.
    pub columns: Vec<(String, String, i64)>,
}

/// The columns of each table.
type Shape = BTreeMap<String, Vec<String>>;

impl Database {
    /// Finds the data that a revert of this many migrations would delete. Does not change the database. Applies the
    /// migrations to two empty databases in memory, and compares their tables and columns.
    ///
    /// # Errors
    /// Returns an error if a newer version has migrated the database, or if the database fails.
    pub async fn losses(&self, steps: u32) -> Result<Losses, MigrateError> {
        self.refuse_unknown().await?;
        let applied: Vec<String> = self
            .migrations()
            .await?
            .into_iter()
            .filter(|migration| migration.applied)
            .map(|migration| migration.name)
            .collect();
        let all = u32::try_from(applied.len()).unwrap_or(u32::MAX);
        let kept = all.saturating_sub(steps);
        let (before, after) = (shape_after(all).await?, shape_after(kept).await?);
        let taken = applied.iter().skip(usize::try_from(kept).unwrap_or(usize::MAX)).rev().cloned();
        let mut losses = Losses { migrations: taken.collect(), ..Losses::default() };
        for (table, columns) in before {
            let Some(remaining) = after.get(&table) else {
                let rows = self.count(&table, "*").await?;
                losses.tables.push((table, rows));
                continue;
            };
            for column in columns.into_iter().filter(|column| !remaining.contains(column)) {
                let values = self.count(&table, &column).await?;
                losses.columns.push((table.clone(), column, values));
            }
        }
        Ok(losses)
    }

    /// Counts the rows of a table if `what` is `*`, or the values of the column `what` that are not null. The names
    /// come from the migrations of jishu, so they are safe in a statement.
    async fn count(&self, table: &str, what: &str) -> Result<i64, DbErr> {
        let text = format!("SELECT COUNT({what}) FROM {table}");
        let row = self.reader.query_one_raw(Statement::from_string(self.backend(), text)).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0))
    }
}

/// Returns the tables and columns that a new database has after this many migrations.
async fn shape_after(migrations: u32) -> Result<Shape, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging_level(log::LevelFilter::Debug);
    let scratch = sea_orm::Database::connect(options).await?;
    // With 0, the migrator would apply all migrations, so it is not called.
    if migrations > 0 {
        Migrator::up(&scratch, Some(migrations)).await?;
    }
    let shape = shape(&scratch).await?;
    scratch.close().await?;
    Ok(shape)
}

async fn shape(scratch: &DatabaseConnection) -> Result<Shape, DbErr> {
    let text = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table' \
                AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~' AND t.name <> ? ORDER BY 1";
    let statement = Statement::from_sql_and_values(
        scratch.get_database_backend(),
        text,
        [Migrator::migration_table_name().to_string().into()],
    );
    let mut shape = Shape::new();
    for row in scratch.query_all_raw(statement).await? {
        shape.entry(row.try_get_by_index(0)?).or_default().push(row.try_get_by_index(1)?);
    }
    Ok(shape)
}

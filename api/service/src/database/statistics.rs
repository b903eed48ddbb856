//! Renews the statistics of PostgreSQL's planner for tables that have grown.
//!
//! Each connection keeps the plans of its statements. A plan that was made while a table was empty may read the whole
//! table, or walk through the wrong index. PostgreSQL keeps this plan until the statistics of the table change. A
//! vacuum of empty tables, as after a restore, leads to these plans. See `api/docs/decisions/kept-plans.md`.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::Database;

/// Pause between two checks of the sizes of the tables.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Finds the tables that have at least four times as many pages as their statistics say, and whether this database
/// user may renew the statistics. Leaves out tables of less than 8 pages, because every plan reads them quickly.
const GROWN_TABLES_SQL: &str = "\
SELECT c.relname::text, pg_has_role(c.relowner, 'USAGE') FROM pg_class c \
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace \
AND pg_relation_size(c.oid) / current_setting('block_size')::bigint >= GREATEST(8, 4 * c.relpages::bigint)";

/// The tables that had grown since their statistics were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrownTables {
    /// The tables whose statistics were renewed.
    pub renewed: Vec<String>,
    /// The tables that belong to another user of the database, who must renew their statistics.
    pub foreign: Vec<String>,
}

impl Database {
    /// Renews the statistics of tables that have grown, and returns these tables. All connections of all nodes then
    /// plan the statements on these tables again. Does nothing on databases other than PostgreSQL.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn renew_statistics(&self) -> Result<GrownTables, DbErr> {
        if self.backend() != DbBackend::Postgres {
            return Ok(GrownTables::default());
        }
        let GrownTables { mut renewed, foreign } = self.grown_tables().await?;
        if !renewed.is_empty() {
            let names: Vec<String> = renewed.iter().map(|name| quoted(name)).collect();
            // Another node may be renewing the statistics of some of these tables. SKIP_LOCKED skips the tables that
            // are being renewed, so their statistics may still be out of date.
            let analyze = format!("ANALYZE (SKIP_LOCKED) {}", names.join(", "));
            self.writer.execute_unprepared(&analyze).await?;
            let skipped = self.grown_tables().await?.renewed;
            renewed.retain(|name| !skipped.contains(name));
        }
        Ok(GrownTables { renewed, foreign })
    }

    /// Finds the tables that have grown. In the result of this function, `renewed` has the tables whose statistics this
    /// database user may renew. They are not renewed yet.
    async fn grown_tables(&self) -> Result<GrownTables, DbErr> {
        let mut tables = GrownTables::default();
        let find = Statement::from_string(DbBackend::Postgres, GROWN_TABLES_SQL);
        for row in self.writer.query_all_raw(find).await? {
            let is_ours: bool = row.try_get_by_index(1)?;
            let list = if is_ours { &mut tables.renewed } else { &mut tables.foreign };
            list.push(row.try_get_by_index(0)?);
        }
        Ok(tables)
    }

    /// Calls [`Database::renew_statistics`] every few seconds, until the task is dropped. Ends at once on databases
    /// other than PostgreSQL.
    pub async fn keep_statistics(self) {
        if self.backend() != DbBackend::Postgres {
            return;
        }
        let mut warned = false;
        loop {
            match self.renew_statistics().await {
                Ok(tables) => {
                    if !tables.renewed.is_empty() {
                        tracing::info!(tables = ?tables.renewed, "tables have grown, and their statistics were renewed");
                    }
                    if !tables.foreign.is_empty() && !std::mem::replace(&mut warned, true) {
                        tracing::warn!(
                            tables = ?tables.foreign,
                            "tables have grown, but they belong to another user of the database; run ANALYZE as that user"
                        );
                    }
                }
                Err(error) => tracing::debug!(%error, "the statistics of tables were not renewed"),
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }
}

/// Returns the name of a table in quotes, for a statement.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

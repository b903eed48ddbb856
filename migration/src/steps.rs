//! Steps of a migration that can be repeated.
//!
//! On SQLite and PostgreSQL a migration is one transaction. MariaDB and MySQL commit each statement that changes
//! the schema on its own, so an interrupted run leaves some of its changes. And if nodes of a Galera cluster start
//! at the same time, they migrate at the same time, because the lock belongs to one server. So on MariaDB and MySQL
//! a step is skipped if its result already exists. Another result is still an error, such as a table of the old
//! system with the same name and other columns.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, QueryResult, Statement, Value};

/// A schema manager that skips steps whose result already exists.
pub(crate) struct Steps<'m, 'c>(&'m SchemaManager<'c>);

/// Begins a step.
pub(crate) fn step<'m, 'c>(manager: &'m SchemaManager<'c>) -> Steps<'m, 'c> {
    Steps(manager)
}

tokio::task_local! {
    /// The statements that [`Steps::execute`] has sent in this task.
    static RECORDED: Arc<Mutex<Vec<String>>>;
}

/// Runs migrations, and records the statements that are sent as they are, because the driver tells its observers only of
/// prepared ones.
pub async fn record<W: Future>(statements: Arc<Mutex<Vec<String>>>, work: W) -> W::Output {
    RECORDED.scope(statements, work).await
}

impl Steps<'_, '_> {
    /// Sends a statement, or several with semicolons between them, as they are.
    pub(crate) async fn execute(&self, text: &str) -> Result<(), DbErr> {
        // Outside of a recording there is nothing to write to.
        let _ = RECORDED.try_with(|statements| {
            statements.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        });
        self.0.get_connection().execute_unprepared(text).await.map(drop)
    }

    /// Creates a table. A table with this name and exactly these columns comes from an earlier run, because the
    /// server never creates a table in part.
    pub(crate) async fn create_table(&self, statement: TableCreateStatement) -> Result<(), DbErr> {
        let name = match statement.get_table_name() {
            Some(TableRef::Table(TableName(_, name), _)) => name.to_string(),
            _ => String::new(),
        };
        let columns: Vec<String> = statement.get_columns().iter().map(ColumnDef::get_column_name).collect();
        let Err(error) = self.0.create_table(statement).await else { return Ok(()) };
        if self.commits_each_statement() && self.columns(&name).await? == columns {
            return Ok(());
        }
        Err(error)
    }

    /// Adds a column to a table. A column with this name comes from an earlier run, because the table is ours.
    pub(crate) async fn add_column(&self, table: &'static str, mut column: ColumnDef) -> Result<(), DbErr> {
        let name = column.get_column_name();
        let Err(error) = self.0.alter_table(Table::alter().table(table).add_column(&mut column).take()).await
        else {
            return Ok(());
        };
        if self.commits_each_statement() && self.columns(table).await?.contains(&name) {
            return Ok(());
        }
        Err(error)
    }

    /// Drops a column.
    pub(crate) async fn drop_column(&self, table: &'static str, column: &'static str) -> Result<(), DbErr> {
        if self.commits_each_statement() && !self.columns(table).await?.iter().any(|name| name == column) {
            return Ok(());
        }
        self.0.alter_table(Table::alter().table(table).drop_column(column).take()).await
    }

    /// Creates an index. The names of indexes are unique in our schema.
    pub(crate) async fn create_index(&self, statement: IndexCreateStatement) -> Result<(), DbErr> {
        let name = statement.get_index_spec().get_name().unwrap_or_default().to_owned();
        let Err(error) = self.0.create_index(statement).await else { return Ok(()) };
        if self.commits_each_statement() && self.has_index(name).await? {
            return Ok(());
        }
        Err(error)
    }

    /// Drops an index.
    pub(crate) async fn drop_index(&self, name: &'static str, table: &'static str) -> Result<(), DbErr> {
        if self.commits_each_statement() && !self.has_index(name.to_owned()).await? {
            return Ok(());
        }
        self.0.drop_index(Index::drop().name(name).table(table).to_owned()).await
    }

    /// Drops a table.
    pub(crate) async fn drop_table(&self, mut statement: TableDropStatement) -> Result<(), DbErr> {
        if self.commits_each_statement() {
            statement.if_exists();
        }
        self.0.drop_table(statement).await
    }

    /// Adds constraints to a table, each with its name and its condition. The names are unique in our schema.
    /// PostgreSQL and MariaDB check all rows in one pass.
    pub(crate) async fn add_checks(&self, table: &str, checks: &[(&str, String)]) -> Result<(), DbErr> {
        let add = |(name, condition): &(&str, String)| format!("ADD CONSTRAINT {name} CHECK ({condition})");
        let all: Vec<_> = checks.iter().map(add).collect();
        let text = format!("ALTER TABLE {table} {}", all.join(", "));
        let Err(error) = self.execute(&text).await else { return Ok(()) };
        if self.commits_each_statement() && self.has_checks(checks).await? {
            return Ok(());
        }
        Err(error)
    }

    /// Drops constraints.
    pub(crate) async fn drop_checks(&self, table: &str, checks: &[(&str, String)]) -> Result<(), DbErr> {
        if self.commits_each_statement() && !self.has_checks(checks).await? {
            return Ok(());
        }
        let all: Vec<_> = checks.iter().map(|(name, _)| format!("DROP CONSTRAINT {name}")).collect();
        let text = format!("ALTER TABLE {table} {}", all.join(", "));
        self.execute(&text).await
    }

    /// Returns whether the constraints exist. It looks only for the first one, because one statement adds or drops
    /// all.
    async fn has_checks(&self, checks: &[(&str, String)]) -> Result<bool, DbErr> {
        let Some((name, _)) = checks.first() else { return Ok(true) };
        let text = "SELECT 1 FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() \
                    AND CONSTRAINT_NAME = ?";
        Ok(!self.query(text, (*name).into()).await?.is_empty())
    }

    fn commits_each_statement(&self) -> bool {
        self.0.get_database_backend() == DbBackend::MySql
    }

    async fn columns(&self, table: &str) -> Result<Vec<String>, DbErr> {
        let text = "SELECT CAST(COLUMN_NAME AS CHAR) FROM information_schema.COLUMNS \
                    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
        self.query(text, table.into()).await?.iter().map(|row| row.try_get_by_index(0)).collect()
    }

    async fn has_index(&self, name: String) -> Result<bool, DbErr> {
        let text =
            "SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = ?";
        Ok(!self.query(text, name.into()).await?.is_empty())
    }

    async fn query(&self, text: &str, value: Value) -> Result<Vec<QueryResult>, DbErr> {
        let statement = Statement::from_sql_and_values(DbBackend::MySql, text, [value]);
        self.0.get_connection().query_all_raw(statement).await
    }
}

//! Steps of a migration that can be repeated.
//!
//! On SQLite and PostgreSQL, jishu runs migrations in one transaction. MariaDB and MySQL commit each statement that
//! changes the schema on its own, so an interrupted run leaves some of its changes. Nodes on several servers of a
//! Galera cluster may also migrate at the same time, because the migration lock covers only one server.
//!
//! So on MariaDB and MySQL a step that changes the schema succeeds if its result already exists. For a table, the
//! columns are compared: a table of the old system with the same name and other columns is an error. For a column, an
//! index or a constraint, the name alone decides.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, QueryResult, Statement, Value};

/// A schema manager whose steps succeed on MariaDB and MySQL if their result already exists.
pub(crate) struct Steps<'m, 'c>(&'m SchemaManager<'c>);

/// Wraps a schema manager, to run one step with it.
pub(crate) fn step<'m, 'c>(manager: &'m SchemaManager<'c>) -> Steps<'m, 'c> {
    Steps(manager)
}

tokio::task_local! {
    /// The list to which [`Steps::execute`] appends its statements. Set only inside [`record`].
    static RECORDED: Arc<Mutex<Vec<String>>>;
}

/// Awaits `work`, and appends to `statements` the text of each statement that its migrations send without preparing it.
/// The driver does not report unprepared statements to its observers.
pub async fn record<W: Future>(statements: Arc<Mutex<Vec<String>>>, work: W) -> W::Output {
    RECORDED.scope(statements, work).await
}

impl Steps<'_, '_> {
    /// Sends one statement, or several with semicolons between them, without preparing them. Inside [`record`] it also
    /// records the text. It does not check whether the result already exists.
    pub(crate) async fn execute(&self, text: &str) -> Result<(), DbErr> {
        // `try_with` fails outside of `record`. Then nothing needs to be recorded.
        let _ = RECORDED.try_with(|statements| {
            statements.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        });
        self.0.get_connection().execute_unprepared(text).await.map(drop)
    }

    /// Creates a table. On MariaDB and MySQL it is also a success if a table with this name and exactly these columns
    /// exists. An earlier run created that table, and in full, because the server never creates a table in part.
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

    /// Adds a column to a table. On MariaDB and MySQL it is also a success if the table has a column with this name: an
    /// earlier run added it, because nothing but migrations changes the tables of jishu.
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

    /// Drops a column. On MariaDB and MySQL it does nothing if the column does not exist.
    pub(crate) async fn drop_column(&self, table: &'static str, column: &'static str) -> Result<(), DbErr> {
        if self.commits_each_statement() && !self.columns(table).await?.iter().any(|name| name == column) {
            return Ok(());
        }
        self.0.alter_table(Table::alter().table(table).drop_column(column).take()).await
    }

    /// Creates an index. On MariaDB and MySQL it is also a success if the schema has an index with this name. The name
    /// alone is enough, because no two indexes of jishu have the same name.
    pub(crate) async fn create_index(&self, statement: IndexCreateStatement) -> Result<(), DbErr> {
        let name = statement.get_index_spec().get_name().unwrap_or_default().to_owned();
        let Err(error) = self.0.create_index(statement).await else { return Ok(()) };
        if self.commits_each_statement() && self.has_index(name).await? {
            return Ok(());
        }
        Err(error)
    }

    /// Drops an index. On MariaDB and MySQL it does nothing if the index does not exist.
    pub(crate) async fn drop_index(&self, name: &'static str, table: &'static str) -> Result<(), DbErr> {
        if self.commits_each_statement() && !self.has_index(name.to_owned()).await? {
            return Ok(());
        }
        self.0.drop_index(Index::drop().name(name).table(table).to_owned()).await
    }

    /// Drops a table. On MariaDB and MySQL it does nothing if the table does not exist.
    pub(crate) async fn drop_table(&self, mut statement: TableDropStatement) -> Result<(), DbErr> {
        if self.commits_each_statement() {
            statement.if_exists();
        }
        self.0.drop_table(statement).await
    }

    /// Adds CHECK constraints to a table, each with its name and its condition. A single statement adds all of them, so
    /// that PostgreSQL and MariaDB check the rows in one pass. On MariaDB and MySQL it is also a success if the
    /// constraints exist. SQLite does not support this statement.
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

    /// Drops CHECK constraints with one statement. On MariaDB and MySQL it does nothing if the constraints do not
    /// exist.
    pub(crate) async fn drop_checks(&self, table: &str, checks: &[(&str, String)]) -> Result<(), DbErr> {
        if self.commits_each_statement() && !self.has_checks(checks).await? {
            return Ok(());
        }
        let all: Vec<_> = checks.iter().map(|(name, _)| format!("DROP CONSTRAINT {name}")).collect();
        let text = format!("ALTER TABLE {table} {}", all.join(", "));
        self.execute(&text).await
    }

    /// Returns whether the constraints exist on MariaDB or MySQL. It searches only for the first constraint, because
    /// one statement adds or drops all of them.
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

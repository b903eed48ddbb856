//! Predicts which tables the pending migrations lock, and for how long, without changing the database.
//!
//! The migrations run once in an empty scratch database of the same kind, and their statements are recorded. The
//! numbers of rows come from the statistics of the real database. The speed is measured with a table in the scratch
//! database.

mod effect;
mod speed;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jishu_migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::database::{Database, MigrateError, ScratchDatabase, ScratchError, StatementObserver};

pub use effect::{Blocked, Effect, Work};
pub use speed::Speed;

/// The effects of the pending migrations.
#[derive(Clone, Debug, PartialEq)]
pub struct MigrationPlan {
    /// The pending migrations, in order.
    pub migrations: Vec<PlannedMigration>,
    /// The speed that was measured for the estimates. None if nothing is pending.
    pub speed: Option<Speed>,
    /// Whether all migrations run in one transaction, so that it keeps its locks until the last migration ends.
    pub is_one_transaction: bool,
    /// The reason why the scratch database still exists. None if it was dropped.
    pub left: Option<String>,
}

/// The effects of one migration.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedMigration {
    /// The name of the migration.
    pub name: String,
    /// The statements of the migration that change something, in order. Leaves out changes of tables that are new.
    pub statements: Vec<PlannedStatement>,
}

/// The effect of one statement.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStatement {
    /// The text of the statement, in one line.
    pub text: String,
    /// The effect of the statement, with the table that it changes.
    pub effect: Effect,
    /// The approximate number of rows of the table, by the statistics of the database. 0 for a new or unknown table.
    pub rows: i64,
    /// The estimated duration of the statement.
    pub duration: Duration,
}

/// A reason why no plan was made.
#[derive(Debug, thiserror::Error)]
pub enum MigrationPlanError {
    /// The database cannot be migrated by this version.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The scratch database could not be created or dropped.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The scratch server is of another kind than the database, so its statements would be different.
    #[error(
        "the scratch server is {scratch}, but the database is {database}. Give the URL of a {database} server with \
         --scratch-url, or omit --scratch-url to use the server of the database"
    )]
    OtherKind {
        /// The kind of the database.
        database: &'static str,
        /// The kind of the scratch server.
        scratch: &'static str,
    },
    /// The caller asked to stop.
    #[error("the plan was interrupted, so it shows nothing. Run the command again")]
    Interrupted,
    /// No plan was made, and the scratch database still exists.
    #[error("{error}. Besides, {left}")]
    Left {
        /// The reason why no plan was made.
        error: Box<MigrationPlanError>,
        /// The reason why the scratch database still exists.
        left: ScratchError,
    },
    /// The database returned an error.
    #[error("the plan could not be made: {0}")]
    Database(#[from] DbErr),
}

/// Plans the pending migrations of a database. If there are any, creates a scratch database on the server at
/// `scratch_url`, and drops it again, even if `stop` completes first.
///
/// # Errors
/// Fails if a newer version has migrated the database, if it is no database of jishu, if the scratch server is
/// of another kind, if no scratch database can be created, or if `stop` completes.
pub async fn plan(
    database: &Database,
    scratch_url: &str,
    stop: impl Future<Output = ()>,
) -> Result<MigrationPlan, MigrationPlanError> {
    let scratch_backend = ScratchDatabase::backend_of(scratch_url)?;
    if scratch_backend != database.backend() {
        let (database, scratch) = (kind_of(database.backend()), kind_of(scratch_backend));
        return Err(MigrationPlanError::OtherKind { database, scratch });
    }
    database.refuse_newer().await?;
    database.refuse_old_system().await?;
    let (applied, pending): (Vec<_>, Vec<_>) =
        database.migrations().await?.into_iter().partition(|migration| migration.applied);
    let is_one_transaction = database.backend() != DbBackend::MySql;
    if pending.is_empty() {
        return Ok(MigrationPlan { migrations: Vec::new(), speed: None, is_one_transaction, left: None });
    }
    let rows = rows_by_statistics(database).await?;
    let scratch = ScratchDatabase::create(scratch_url).await?;
    let log = Arc::new(Mutex::new(Vec::new()));
    let planned = async {
        let connection = scratch.connect(Some(observer(&log))).await?;
        let statements = rehearse(&connection, &log, applied.len(), pending.len()).await;
        let speed = Speed::measure(&connection).await;
        connection.close().await?;
        Ok::<_, DbErr>((statements?, speed?))
    };
    let planned = tokio::select! {
        planned = planned => planned.map_err(MigrationPlanError::from),
        () = stop => Err(MigrationPlanError::Interrupted),
    };
    let (statements, speed, left) = match (planned, scratch.remove().await) {
        (Ok((statements, speed)), removed) => (statements, speed, removed.err().map(|left| left.to_string())),
        (Err(error), Ok(())) => return Err(error),
        (Err(error), Err(left)) => return Err(MigrationPlanError::Left { error: Box::new(error), left }),
    };
    let mut new_tables: HashSet<String> = HashSet::new();
    let mut migrations = Vec::with_capacity(pending.len());
    for (migration, texts) in pending.into_iter().zip(statements) {
        let mut statements = Vec::new();
        for text in texts {
            let Some(effect) = Effect::of(database.backend(), &text) else { continue };
            let table = effect.table.as_ref();
            let is_new = effect.makes_table || table.is_some_and(|table| new_tables.contains(table));
            if effect.makes_table {
                new_tables.extend(effect.table.clone());
            } else if is_new {
                // A pending migration creates the table, so it is empty and no other transaction uses it.
                continue;
            }
            let rows = table.and_then(|table| rows.get(table)).copied().filter(|_| !is_new).unwrap_or(0);
            let duration = speed.duration(effect.work, rows);
            statements.push(PlannedStatement { text, rows, duration, effect });
        }
        migrations.push(PlannedMigration { name: migration.name, statements });
    }
    Ok(MigrationPlan { migrations, speed: Some(speed), is_one_transaction, left })
}

/// Returns the name of a kind of database for messages.
fn kind_of(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "PostgreSQL",
        DbBackend::MySql => "MariaDB",
        _ => "SQLite",
    }
}

fn observer(log: &Arc<Mutex<Vec<String>>>) -> StatementObserver {
    let log = Arc::clone(log);
    Arc::new(move |text| log.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned()))
}

/// Divides a text at its semicolons into statements, each in one line. A trigger with its body stays one statement.
fn parts_of(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(';') {
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        let in_trigger =
            parts.last().is_some_and(|last| last.starts_with("CREATE TRIGGER") && !last.ends_with("END"));
        match parts.last_mut() {
            Some(last) if in_trigger => *last = format!("{last}; {part}"),
            _ if part.is_empty() => {}
            _ => parts.push(part),
        }
    }
    parts
}

/// Applies the first `applied` migrations in the scratch database, and then the next `pending` migrations one by one.
/// Returns the statements of each pending migration, except those about the table of migrations.
async fn rehearse(
    connection: &DatabaseConnection,
    log: &Arc<Mutex<Vec<String>>>,
    applied: usize,
    pending: usize,
) -> Result<Vec<Vec<String>>, DbErr> {
    // The migrator is called only with a number above 0, because `Some(0)` would apply all migrations.
    if applied > 0 {
        Migrator::up(connection, Some(u32::try_from(applied).unwrap_or(u32::MAX))).await?;
    }
    let taken = || std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
    taken();
    let own_table = Migrator::migration_table_name().to_string();
    let mut statements = Vec::with_capacity(pending);
    for _ in 0..pending {
        jishu_migration::record(Arc::clone(log), Migrator::up(connection, Some(1))).await?;
        let parts = taken().iter().flat_map(|text| parts_of(text)).collect::<Vec<_>>();
        statements.push(parts.into_iter().filter(|text| !text.contains(&own_table)).collect());
    }
    Ok(statements)
}

/// Reads the approximate number of rows of each table, without counting rows. On servers the numbers come from the
/// statistics, and on SQLite from the greatest `rowid`.
async fn rows_by_statistics(database: &Database) -> Result<HashMap<String, i64>, DbErr> {
    let (reader, backend) = (database.reader(), database.backend());
    let text = match backend {
        DbBackend::Postgres => {
            "SELECT c.relname::text, GREATEST(c.reltuples::bigint, COALESCE(s.n_live_tup, 0)) FROM pg_class c LEFT JOIN \
             pg_stat_user_tables s ON s.relid = c.oid WHERE c.relkind = 'r' AND c.relnamespace = \
             current_schema()::regnamespace"
        }
        DbBackend::MySql => {
            "SELECT CAST(TABLE_NAME AS CHAR), CAST(COALESCE(TABLE_ROWS, 0) AS SIGNED) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE()"
        }
        _ => {
            "SELECT name, 0 FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        }
    };
    let mut rows = HashMap::new();
    for row in reader.query_all_raw(Statement::from_string(backend, text)).await? {
        let table: String = row.try_get_by_index(0)?;
        let mut count: i64 = row.try_get_by_index(1)?;
        if backend == DbBackend::Sqlite {
            let greatest = format!("SELECT COALESCE(MAX(rowid), 0) FROM \"{table}\"");
            let row = reader.query_one_raw(Statement::from_string(backend, greatest)).await?;
            count = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        }
        rows.insert(table, count);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_statements_in_one_text_are_told_apart() {
        let trigger = "CREATE TRIGGER a BEFORE INSERT ON t WHEN x BEGIN SELECT RAISE(ABORT, 'x'); END";
        let text = format!("DROP TRIGGER a;\n  {trigger}; UPDATE t SET x = 1;");
        assert_eq!(parts_of(&text), ["DROP TRIGGER a", trigger, "UPDATE t SET x = 1"]);
    }
}

//! Migrations, safe to start from several nodes at once: one migrates, the others wait.

use std::collections::HashSet;
use std::time::Duration;

use jishu_migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqlErr, Statement,
    TransactionTrait,
};

use super::{Database, Failure, sql};

/// Names our lock among others of the same PostgreSQL database: "jishu" in ASCII.
const ADVISORY_LOCK: i64 = 0x6a_69_73_68_75;
/// Names our lock on a MariaDB/MySQL server, with the schema's name.
const NAMED_LOCK: &str = "CONCAT('jishu.migrate.', DATABASE())";
/// How long a node waits for another's migration there, in seconds.
const LOCK_WAIT: u32 = 600;
/// How often a node of a Galera cluster goes on after another was in its way.
const ROUNDS: u32 = 20;

/// A migration and whether it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// An error that left the schema unchanged.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database has migrations that this version does not know.
    #[error(
        "a newer jishu has migrated this database: the migrations {} are unknown to this version. Run the newer \
         version, or restore a backup from before its upgrade", .0.join(", ")
    )]
    Newer(Vec<String>),
    /// The database has tables that no migration of ours made.
    #[error(
        "this database has the table `{table}`, and no migration of jishu was applied to it: it is a database of the old \
         system, or of another program. Give jishu a new database with --database-url. `jishu check` and `jishu repair` work \
         on the old one", table = .0
    )]
    OldSystem(&'static str),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DbErr),
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down(u32),
}

impl Database {
    /// Applies all pending migrations, unless another node just did.
    ///
    /// # Errors
    /// The database's. On SQLite and PostgreSQL nothing is changed then; MariaDB/MySQL commits each statement
    /// that changes the schema by itself, and the next run goes on from there.
    pub async fn migrate_up(&self) -> Result<(), MigrateError> {
        self.refuse_newer().await?;
        self.refuse_old_system().await?;
        Ok(self.migrate(Direction::Up).await?)
    }

    /// Takes back the latest migrations.
    ///
    /// # Errors
    /// As [`Database::migrate_up`].
    pub async fn migrate_down(&self, steps: u32) -> Result<(), MigrateError> {
        self.refuse_newer().await?;
        Ok(self.migrate(Direction::Down(steps)).await?)
    }

    async fn migrate(&self, direction: Direction) -> Result<(), DbErr> {
        match self.backend() {
            DbBackend::MySql => self.migrate_beside_a_lock(direction).await,
            DbBackend::Postgres => {
                let transaction = self.writer.begin().await?;
                let lock =
                    sql(DbBackend::Postgres, "SELECT pg_advisory_xact_lock(?)", [ADVISORY_LOCK.into()]);
                transaction
                    .execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
                    .await?;
                transaction.execute_raw(lock).await?;
                run(direction, &transaction).await?;
                transaction.commit().await
            }
            // The writer's transaction is the lock; another process waits for it as long as for any other.
            _ => {
                let transaction = self.begin().await?;
                run(direction, &transaction).await?;
                transaction.commit().await
            }
        }
    }

    /// Schema changes commit by themselves there, so the lock is held by another connection.
    async fn migrate_beside_a_lock(&self, direction: Direction) -> Result<(), DbErr> {
        let holder = self.migrator.begin().await?;
        let take =
            Statement::from_string(DbBackend::MySql, format!("SELECT GET_LOCK({NAMED_LOCK}, {LOCK_WAIT})"));
        let taken: Option<i32> = match holder.query_one_raw(take).await? {
            Some(row) => row.try_get_by_index(0)?,
            None => None,
        };
        if taken != Some(1) {
            return Err(DbErr::Migration(format!("another node has been migrating for {LOCK_WAIT} s")));
        }
        let result = match direction {
            Direction::Up => self.migrate_up_beside_others().await,
            Direction::Down(steps) => Migrator::down(&self.migrator, Some(steps)).await,
        };
        release(holder).await?;
        result
    }

    /// The lock is one server's own: on a Galera cluster a node that started on another server may be migrating
    /// too. Each passes over what the other has done, and starts again where both did the same at once.
    async fn migrate_up_beside_others(&self) -> Result<(), DbErr> {
        let mut round = 1;
        loop {
            let Err(error) = Migrator::up(&self.migrator, None).await else { return Ok(()) };
            let recorded_by_another = matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)));
            if round == ROUNDS || !(recorded_by_another || Failure::of(&error) == Failure::Conflict) {
                return Err(error);
            }
            tracing::debug!(%error, round, "another node is migrating too");
            tokio::time::sleep(Duration::from_millis(100)).await;
            round += 1;
        }
    }

    /// Every migration and whether it is applied. Writes nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrations(&self) -> Result<Vec<MigrationState>, DbErr> {
        let applied: HashSet<_> = applied_migrations(self.reader.pool()).await?.into_iter().collect();
        let state = |migration: Box<dyn jishu_migration::MigrationTrait>| {
            let name = migration.name().to_owned();
            MigrationState { applied: applied.contains(&name), name }
        };
        Ok(Migrator::migrations().into_iter().map(state).collect())
    }

    /// Finds the applied migrations that this version does not know, in order. Writes nothing.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn unknown_migrations(&self) -> Result<Vec<String>, DbErr> {
        Ok(unknown_among(applied_migrations(self.reader.pool()).await?))
    }

    /// Refuses a database that a newer version has migrated: this version could write unfitting rows.
    ///
    /// # Errors
    /// Returns an error if the database is newer, or if it fails.
    pub async fn refuse_newer(&self) -> Result<(), MigrateError> {
        let unknown = self.unknown_migrations().await?;
        if unknown.is_empty() { Ok(()) } else { Err(MigrateError::Newer(unknown)) }
    }

    /// Refuses a database with tables of jishu's names that jishu did not make.
    ///
    /// # Errors
    /// Fails for such a database, and with the database.
    pub async fn refuse_old_system(&self) -> Result<(), MigrateError> {
        if !applied_migrations(self.reader.pool()).await?.is_empty() {
            return Ok(());
        }
        let schema = sea_orm_migration::SchemaManager::new(self.reader.pool());
        for table in SHARED_TABLES {
            // A first migration that was cut off leaves this one on MariaDB, without a record.
            if table == "users" && self.backend() == DbBackend::MySql {
                continue;
            }
            // Another node may have migrated since.
            if schema.has_table(table).await? && applied_migrations(self.reader.pool()).await?.is_empty() {
                return Err(MigrateError::OldSystem(table));
            }
        }
        Ok(())
    }
}

/// Tables that both the old system and jishu have.
const SHARED_TABLES: [&str; 5] = ["mock_test_attempts", "purchases", "subjects", "courses", "users"];

/// The names of the applied migrations; none where the database has no record of any.
///
/// # Errors
/// Returns the database's error.
pub async fn applied_migrations(connection: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let table = Migrator::migration_table_name().to_string();
    if !sea_orm_migration::SchemaManager::new(connection).has_table(&table).await? {
        return Ok(Vec::new());
    }
    let text = format!("SELECT version FROM {table}");
    let select = Statement::from_string(connection.get_database_backend(), text);
    connection.query_all_raw(select).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Finds the migrations that this version does not know, in order.
#[must_use]
pub fn unknown_among(mut applied: Vec<String>) -> Vec<String> {
    let known = Migrator::migrations();
    applied.retain(|name| !known.iter().any(|migration| migration.name() == name));
    applied.sort();
    applied
}

async fn run(direction: Direction, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    match direction {
        Direction::Up => Migrator::up(transaction, None).await,
        Direction::Down(steps) => Migrator::down(transaction, Some(steps)).await,
    }
}

/// The lock belongs to the connection, which goes back to the pool.
async fn release(holder: DatabaseTransaction) -> Result<(), DbErr> {
    let release = Statement::from_string(DbBackend::MySql, format!("SELECT RELEASE_LOCK({NAMED_LOCK})"));
    holder.query_one_raw(release).await?;
    holder.commit().await
}

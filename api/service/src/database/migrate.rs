//! Applies and reverts migrations. If several nodes start at once, one of them migrates, and the other nodes wait.

use std::collections::HashSet;
use std::time::Duration;

use jishu_migration::{Migrator, MigratorTrait, is_expanding};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, SqlErr, Statement, TransactionTrait};

use super::{Database, Failure, columns_of, sql};

/// The id of the advisory lock on PostgreSQL: "jishu" in ASCII.
const ADVISORY_LOCK_ID: i64 = 0x6a_69_73_68_75;
/// The SQL expression for the name of the lock of migrations on MariaDB and MySQL. The lock's name includes the name of
/// the database.
const NAMED_LOCK_EXPRESSION: &str = "CONCAT('jishu.migrate.', DATABASE())";
/// Maximum time in seconds that a node waits for the lock of migrations on MariaDB and MySQL.
const LOCK_WAIT_SECONDS: u32 = 600;
/// Maximum number of times that a node of a Galera cluster tries to migrate. It tries again after a conflict with
/// another node.
const MAX_ROUNDS: u32 = 20;

/// A migration and whether it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// The name of the migration.
    pub name: String,
    /// Whether the migration was applied to the database.
    pub applied: bool,
}

/// An error of migrations. With [`MigrateError::Newer`] and [`MigrateError::OldSystem`] nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database has migrations that this version does not know.
    #[error(
        "a newer jishu has migrated this database: the migrations {} are unknown to this version. Run the newer \
         version, or restore a backup from before its upgrade", .0.join(", ")
    )]
    Newer(Vec<String>),
    /// The database has tables that were not made by migrations of jishu.
    #[error(
        "this database has the table `{table}`, and no migration of jishu was applied to it: it is a database of the old \
         system, or of another program. Nothing was changed. Give jishu a new database with --database-url. To fill the new \
         database from the old system, run `jishu adopt --from OLD_URL --database-url NEW_URL`. `jishu check` and \
         `jishu repair` work on the database of the old system", table = .0
    )]
    OldSystem(&'static str),
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] DbErr),
}

#[derive(Clone, Copy)]
enum Direction {
    /// Applies all pending migrations.
    Up,
    /// Reverts this many migrations.
    Down(u32),
}

impl Database {
    /// Applies all pending migrations. Does nothing if they are applied already, for example by another node.
    ///
    /// # Errors
    /// Refuses a database of a newer version or of the old system. Otherwise returns the database's error. Then
    /// SQLite and PostgreSQL have changed nothing. MariaDB and MySQL commit each schema change separately, and the
    /// next call continues after the last committed one.
    pub async fn migrate_up(&self) -> Result<(), MigrateError> {
        self.refuse_newer().await?;
        self.refuse_old_system().await?;
        let unknown = self.unknown_migrations().await?;
        if !unknown.is_empty() {
            let is_complete = self.migrations().await?.iter().all(|migration| migration.applied);
            // The migrator refuses every database with a migration that it does not know, so it is not called here. If
            // all migrations of this version are applied, nothing is left to do.
            return if is_complete { Ok(()) } else { Err(MigrateError::Newer(unknown)) };
        }
        Ok(self.migrate(Direction::Up).await?)
    }

    /// Reverts the latest migrations: as many as `steps` says.
    ///
    /// # Errors
    /// Refuses a database with a migration that this version does not know. Otherwise returns the database's error,
    /// as [`Database::migrate_up`] does.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), MigrateError> {
        self.refuse_unknown().await?;
        Ok(self.migrate(Direction::Down(steps)).await?)
    }

    async fn migrate(&self, direction: Direction) -> Result<(), DbErr> {
        match self.backend() {
            DbBackend::MySql => self.migrate_under_named_lock(direction).await,
            DbBackend::Postgres => {
                let transaction = self.writer.begin().await?;
                let lock =
                    sql(DbBackend::Postgres, "SELECT pg_advisory_xact_lock(?)", [ADVISORY_LOCK_ID.into()]);
                transaction
                    .execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
                    .await?;
                transaction.execute_raw(lock).await?;
                run(direction, &transaction).await?;
                transaction.commit().await
            }
            // A write transaction locks the whole SQLite database. Other processes wait for it.
            _ => {
                let transaction = self.begin().await?;
                run(direction, &transaction).await?;
                transaction.commit().await
            }
        }
    }

    /// Migrates on MariaDB or MySQL. Both commit each schema change separately, so no single transaction can hold a
    /// lock for all migrations. Instead, a second connection holds a named lock until the migrations have ended.
    async fn migrate_under_named_lock(&self, direction: Direction) -> Result<(), DbErr> {
        let holder = self.migrator.begin().await?;
        let take = Statement::from_string(
            DbBackend::MySql,
            format!("SELECT GET_LOCK({NAMED_LOCK_EXPRESSION}, {LOCK_WAIT_SECONDS})"),
        );
        let taken: Option<i32> = match holder.query_one_raw(take).await? {
            Some(row) => row.try_get_by_index(0)?,
            None => None,
        };
        match taken {
            Some(1) => {}
            Some(_) => {
                return Err(DbErr::Migration(format!(
                    "another process is migrating the database, and did not finish within {LOCK_WAIT_SECONDS} s. Run \
                     the command again later"
                )));
            }
            // `GET_LOCK` returns NULL if the server could not take the lock, for instance because the server has no
            // memory left.
            None => {
                return Err(DbErr::Migration(
                    "the database server could not take the lock of migrations. Run the command again later"
                        .to_owned(),
                ));
            }
        }
        let result = match direction {
            Direction::Up => self.migrate_up_on_cluster().await,
            Direction::Down(steps) => Migrator::down(&self.migrator, Some(steps)).await,
        };
        release(holder).await?;
        result
    }

    /// Applies the migrations while nodes on other servers of a Galera cluster may apply them too, because the lock of
    /// migrations works on one server only. Each node skips the migrations that another node has applied, and starts
    /// again after a conflict.
    async fn migrate_up_on_cluster(&self) -> Result<(), DbErr> {
        let mut round = 1;
        loop {
            let Err(error) = Migrator::up(&self.migrator, None).await else { return Ok(()) };
            let recorded_by_another = matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)));
            if round == MAX_ROUNDS || !(recorded_by_another || Failure::of(&error) == Failure::Conflict) {
                return Err(error);
            }
            tracing::debug!(%error, round, "another node is migrating as well; retrying");
            tokio::time::sleep(Duration::from_millis(100)).await;
            round += 1;
        }
    }

    /// Returns every migration, and whether it was applied. Writes nothing.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn migrations(&self) -> Result<Vec<MigrationState>, DbErr> {
        let applied: HashSet<_> = applied_migrations(self.reader.pool()).await?.into_iter().collect();
        let state = |migration: Box<dyn jishu_migration::MigrationTrait>| {
            let name = migration.name().to_owned();
            MigrationState { applied: applied.contains(&name), name }
        };
        Ok(Migrator::migrations().into_iter().map(state).collect())
    }

    /// Finds the applied migrations that this version does not know, ordered by name. Writes nothing.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn unknown_migrations(&self) -> Result<Vec<String>, DbErr> {
        Ok(unknown_among(applied_migrations(self.reader.pool()).await?))
    }

    /// Refuses a database that a newer version has migrated, because this version could write rows that do not fit the
    /// newer schema. Accepts unknown migrations that only add to the schema: nodes of this version and of the next
    /// version can then run at the same time.
    ///
    /// # Errors
    /// Fails if the database is newer. Otherwise returns the database's error.
    pub async fn refuse_newer(&self) -> Result<(), MigrateError> {
        let mut unknown = self.unknown_migrations().await?;
        unknown.retain(|name| !is_expanding(name));
        if unknown.is_empty() { Ok(()) } else { Err(MigrateError::Newer(unknown)) }
    }

    /// Refuses a database with any migration that this version does not know. This version cannot revert the
    /// migrations that were applied before an unknown one.
    ///
    /// # Errors
    /// Fails if the database is newer. Otherwise returns the database's error.
    pub async fn refuse_unknown(&self) -> Result<(), MigrateError> {
        let unknown = self.unknown_migrations().await?;
        if unknown.is_empty() { Ok(()) } else { Err(MigrateError::Newer(unknown)) }
    }

    /// Refuses a database that was never migrated by jishu, but has a table of the old system or a table with a name
    /// that jishu uses too.
    ///
    /// # Errors
    /// Fails for a refused database. Otherwise returns the database's error.
    pub async fn refuse_old_system(&self) -> Result<(), MigrateError> {
        if !applied_migrations(self.reader.pool()).await?.is_empty() {
            return Ok(());
        }
        let schema = sea_orm_migration::SchemaManager::new(self.reader.pool());
        for table in OLD_SYSTEM_TABLES.into_iter().chain(SHARED_TABLES) {
            // If the first migration is interrupted on MariaDB, this table exists although no migration is recorded.
            if table == "users" && self.backend() == DbBackend::MySql {
                continue;
            }
            // Checks again, because another node may have migrated meanwhile.
            if schema.has_table(table).await? && applied_migrations(self.reader.pool()).await?.is_empty() {
                return Err(MigrateError::OldSystem(table));
            }
        }
        Ok(())
    }
}

/// Tables that only the old system has.
const OLD_SYSTEM_TABLES: [&str; 3] = ["exam_category", "exam_category_purchase", "test_attempt_sessions"];

/// Tables that both the old system and jishu have.
const SHARED_TABLES: [&str; 5] = ["mock_test_attempts", "purchases", "subjects", "courses", "users"];

/// Returns the names of the applied migrations. Returns an empty list if no migration was ever applied.
///
/// # Errors
/// Returns the database's error.
pub async fn applied_migrations(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let table = Migrator::migration_table_name().to_string();
    if columns_of(connection, &table).await?.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!("SELECT version FROM {table}");
    let select = Statement::from_string(connection.get_database_backend(), text);
    connection.query_all_raw(select).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Returns those of the applied migrations that this version does not know, ordered by name.
#[must_use]
pub fn unknown_among(mut applied: Vec<String>) -> Vec<String> {
    let known = Migrator::migrations();
    applied.retain(|name| !known.iter().any(|migration| migration.name() == name));
    applied.sort();
    applied
}

/// Applies or reverts the migrations in a transaction.
async fn run(direction: Direction, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    match direction {
        Direction::Up => Migrator::up(transaction, None).await,
        Direction::Down(steps) => Migrator::down(transaction, Some(steps)).await,
    }
}

/// Releases the lock of migrations explicitly. The lock belongs to the connection, so the connection would keep the
/// lock after its return to the pool.
async fn release(holder: DatabaseTransaction) -> Result<(), DbErr> {
    let release =
        Statement::from_string(DbBackend::MySql, format!("SELECT RELEASE_LOCK({NAMED_LOCK_EXPRESSION})"));
    holder.query_one_raw(release).await?;
    holder.commit().await
}

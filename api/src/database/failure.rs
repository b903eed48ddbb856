//! What a database error means for the transaction it ended.

use sea_orm::sqlx;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// What to do about a [`DbErr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another transaction was in the way: run the whole transaction again.
    Conflict,
    /// The connection went away. Before COMMIT nothing was written; at COMMIT the outcome is unknown.
    ConnectionLost,
    /// Running it again would fail again.
    Permanent,
}

impl Failure {
    /// Classifies an error by its code, never by its text.
    #[must_use]
    pub fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Self::Permanent,
            DbErr::ConnectionAcquire(_) => Self::ConnectionLost,
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => Self::of_sqlx(error),
            _ => Self::Permanent,
        }
    }

    fn of_sqlx(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::of_database(error.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::ConnectionLost,
            _ => Self::Permanent,
        }
    }

    fn of_database(error: &dyn sqlx::error::DatabaseError) -> Self {
        if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            return match error.number() {
                // 1213 deadlock, 1205 lock wait timeout (on MariaDB NOWAIT too), 3572 NOWAIT on MySQL,
                // 1020 record changed since last read, 1047 Galera node not ready.
                1213 | 1205 | 3572 | 1020 | 1047 => Self::Conflict,
                // 1053 server shutdown in progress, 1927 connection killed, 1040 too many connections.
                1053 | 1927 | 1040 => Self::ConnectionLost,
                _ => Self::Permanent,
            };
        }
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            return match code.as_ref() {
                // serialization_failure, deadlock_detected, lock_not_available.
                "40001" | "40P01" | "55P03" => Self::Conflict,
                // admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections.
                "57P01" | "57P02" | "57P03" | "53300" => Self::ConnectionLost,
                code if code.starts_with("08") => Self::ConnectionLost,
                _ => Self::Permanent,
            };
        }
        // SQLite: BUSY, and BUSY_SNAPSHOT (517), BUSY_RECOVERY (261), BUSY_TIMEOUT (773).
        match code.as_ref() {
            "5" | "261" | "517" | "773" => Self::Conflict,
            _ => Self::Permanent,
        }
    }
}

/// A temporary cause for which the database did not execute a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// No connection was free in time.
    NoConnection,
    /// The statement took too long.
    TooSlow,
    /// Another transaction held a lock for too long.
    Locked,
    /// The database refuses connections, restarts, or closed the connection.
    Down,
    /// The database is read-only, or its disk is full.
    TakesNoWrites,
}

impl Unavailable {
    /// Finds out, by its code, whether an error has such a cause.
    #[must_use]
    pub fn of(error: &DbErr) -> Option<Self> {
        match error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Some(Self::NoConnection),
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => match error.as_database_error() {
                Some(refused) => Self::of_database(refused),
                None => (Failure::of_sqlx(error) == Failure::ConnectionLost).then_some(Self::Down),
            },
            error => (Failure::of(error) == Failure::ConnectionLost).then_some(Self::Down),
        }
    }

    fn of_database(error: &dyn sqlx::error::DatabaseError) -> Option<Self> {
        if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            return match error.number() {
                // 1205 lock wait timeout, 3572 NOWAIT on MySQL.
                1205 | 3572 => Some(Self::Locked),
                // 1969 max_statement_time, 3024 max_execution_time.
                1969 | 3024 => Some(Self::TooSlow),
                // 1040 too many connections, 1047 Galera node not ready, 1053 shutdown, 1927 connection killed.
                1040 | 1047 | 1053 | 1927 => Some(Self::Down),
                // 1021 disk full, 1114 table full, 1290 and 1836 server is read-only.
                1021 | 1114 | 1290 | 1836 => Some(Self::TakesNoWrites),
                _ => None,
            };
        }
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            return match code.as_ref() {
                // lock_not_available, query_canceled.
                "55P03" => Some(Self::Locked),
                "57014" => Some(Self::TooSlow),
                // admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections, out_of_memory.
                "57P01" | "57P02" | "57P03" | "53300" | "53200" => Some(Self::Down),
                code if code.starts_with("08") => Some(Self::Down),
                // read_only_sql_transaction, disk_full.
                "25006" | "53100" => Some(Self::TakesNoWrites),
                _ => None,
            };
        }
        // SQLite's extended codes have the primary one in their lowest byte.
        match code.parse::<u32>().ok()? & 0xff {
            // BUSY.
            5 => Some(Self::Locked),
            // IOERR, CANTOPEN.
            10 | 14 => Some(Self::Down),
            // READONLY, FULL.
            8 | 13 => Some(Self::TakesNoWrites),
            _ => None,
        }
    }
}

/// An error of a service that may have come from the database.
pub trait IsFailure: From<DbErr> {
    /// The database's error, where that is the cause.
    fn database_error(&self) -> Option<&DbErr>;
}

impl IsFailure for DbErr {
    fn database_error(&self) -> Option<&DbErr> {
        Some(self)
    }
}

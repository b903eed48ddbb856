//! Classifies database errors: whether to retry, and whether the database is temporarily unavailable.

use sea_orm::sqlx;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use crate::metrics::RetryCause;

/// The kind of a [`DbErr`], which decides whether the transaction is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The transaction was in conflict with another transaction. The whole transaction can be retried.
    Conflict,
    /// The connection was lost or could not be made. Before COMMIT nothing was written; at COMMIT the outcome is
    /// unknown.
    ConnectionLost,
    /// A retry would fail again.
    Permanent,
}

impl Failure {
    /// Classifies an error by the code of the database, or by the kind of the driver's error. Never reads the text of
    /// the error.
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
                // 1213 deadlock, 1205 lock wait timeout and the NOWAIT of MariaDB, 3572 the NOWAIT of MySQL, 1020
                // record changed since last read, 1047 Galera node not ready.
                1213 | 1205 | 3572 | 1020 | 1047 => Self::Conflict,
                // 1053 server shutdown in progress, 1317 query killed, 1927 connection killed, 1040 too many
                // connections, 1203 and 1226 too many connections of this user.
                1053 | 1317 | 1927 | 1040 | 1203 | 1226 => Self::ConnectionLost,
                _ => Self::Permanent,
            };
        }
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            return match code.as_ref() {
                // serialization_failure, deadlock_detected, lock_not_available.
                "40001" | "40P01" | "55P03" => Self::Conflict,
                // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout, too_many_connections,
                // idle_in_transaction_session_timeout.
                "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" => Self::ConnectionLost,
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

impl RetryCause {
    /// Returns the cause of a retry after a failure. A permanent failure has the cause `TakenKey`, because it is
    /// retried only if a unique key refused a row.
    pub(super) fn of(failure: Failure) -> Self {
        match failure {
            Failure::Conflict => Self::Conflict,
            Failure::ConnectionLost => Self::ConnectionLost,
            Failure::Permanent => Self::TakenKey,
        }
    }
}

/// A temporary reason why the database did not execute a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// No connection was free in time.
    NoConnection,
    /// The statement took too long.
    TooSlow,
    /// Another transaction held a lock for too long.
    Locked,
    /// The database refuses connections, restarts, or closed the connection. Or it cannot read its disk, or has no
    /// memory.
    Down,
    /// The database is read-only.
    ReadOnly,
    /// The disk of the database is full.
    DiskFull,
}

impl Unavailable {
    /// Finds the temporary reason of an error by its code. Returns None if the error has no temporary reason.
    #[must_use]
    pub fn of(error: &DbErr) -> Option<Self> {
        match error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Some(Self::NoConnection),
            DbErr::Conn(RuntimeErr::SqlxError(failed))
            | DbErr::Exec(RuntimeErr::SqlxError(failed))
            | DbErr::Query(RuntimeErr::SqlxError(failed)) => {
                let code = failed.as_database_error().and_then(Self::of_database);
                code.or_else(|| Self::of_failure(Failure::of(error)))
            }
            error => Self::of_failure(Failure::of(error)),
        }
    }

    /// Returns the temporary reason that a failure has if its retries did not succeed. None for a permanent failure.
    fn of_failure(failure: Failure) -> Option<Self> {
        match failure {
            Failure::Conflict => Some(Self::Locked),
            Failure::ConnectionLost => Some(Self::Down),
            Failure::Permanent => None,
        }
    }

    /// Finds the temporary reasons that [`Failure`] does not distinguish, or that it classifies as permanent.
    fn of_database(error: &dyn sqlx::error::DatabaseError) -> Option<Self> {
        if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            return match error.number() {
                // 1969 means that max_statement_time has passed, 3024 that max_execution_time has passed.
                1969 | 3024 => Some(Self::TooSlow),
                // 1047 means that a node of Galera is not ready; 1026 and 1030 are errors of the disk.
                1047 | 1026 | 1030 => Some(Self::Down),
                // 1290 and 1836 mean a read-only server, 1792 a read-only transaction, and 1036 a read-only table.
                1290 | 1836 | 1792 | 1036 => Some(Self::ReadOnly),
                // 1021 means that the disk is full, 1114 that a table is full.
                1021 | 1114 => Some(Self::DiskFull),
                _ => None,
            };
        }
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            return match code.as_ref() {
                // query_canceled.
                "57014" => Some(Self::TooSlow),
                // out_of_memory, io_error.
                "53200" | "58030" => Some(Self::Down),
                // read_only_sql_transaction.
                "25006" => Some(Self::ReadOnly),
                // disk_full.
                "53100" => Some(Self::DiskFull),
                _ => None,
            };
        }
        // An extended code of SQLite has the primary code in its lowest byte.
        match code.parse::<u32>().ok()? & 0xff {
            // BUSY.
            5 => Some(Self::Locked),
            // IOERR, CANTOPEN.
            10 | 14 => Some(Self::Down),
            // READONLY.
            8 => Some(Self::ReadOnly),
            // FULL.
            13 => Some(Self::DiskFull),
            _ => None,
        }
    }
}

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
                // 1213 deadlock, 1205 lock wait timeout, 1020 record changed since last read,
                // 1047 Galera node not ready.
                1213 | 1205 | 1020 | 1047 => Self::Conflict,
                // 1053 server shutdown in progress, 1927 connection killed.
                1053 | 1927 => Self::ConnectionLost,
                _ => Self::Permanent,
            };
        }
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            return match code.as_ref() {
                // serialization_failure, deadlock_detected, lock_not_available.
                "40001" | "40P01" | "55P03" => Self::Conflict,
                // admin_shutdown, crash_shutdown, cannot_connect_now.
                "57P01" | "57P02" | "57P03" => Self::ConnectionLost,
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

/// Why a statement was not carried out, where that is nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// No connection was free in time.
    OfConnections,
    /// The statement took too long, or waited too long for what others are doing.
    OfTime,
}

impl Shortage {
    /// Whether one was the cause of an error.
    #[must_use]
    pub fn of(error: &DbErr) -> Option<Self> {
        let (DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))) = error
        else {
            let no_connection = matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
            return no_connection.then_some(Self::OfConnections);
        };
        let error = error.as_database_error()?;
        let timed_out = if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            // 1205 lock wait timeout, 1969 max_statement_time, 3024 max_execution_time.
            matches!(error.number(), 1205 | 1969 | 3024)
        } else {
            // PostgreSQL: lock_not_available, query_canceled. SQLite: BUSY.
            matches!(error.code().as_deref(), Some("55P03" | "57014" | "5" | "773"))
        };
        timed_out.then_some(Self::OfTime)
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

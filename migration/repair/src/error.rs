//! The errors of a repair, and the classification of database errors.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, sqlx};

use crate::names::CARD_TABLE;

/// A reason why a database could not be inspected, repaired or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The scheme of the URL is not that of a supported database.
    #[error("the URL of the database must begin with sqlite://, postgres://, mysql:// or mariadb://")]
    UnknownScheme,
    /// The table of cards does not exist.
    #[error(
        "there is no table `{CARD_TABLE}` in {place}. Neither the old system nor `jishu migrate up` has set up this \
         database. Check --database-url"
    )]
    NoTable {
        /// The schema, database or file that was searched.
        place: String,
    },
    /// The table of cards exists, but lacks columns that the repair needs.
    #[error(
        "the table `{CARD_TABLE}` lacks these columns, which the repair needs: {}. Check --database-url", .0.join(", ")
    )]
    MissingColumns(Vec<String>),
    /// The URL, the search path or the table of cards is of a kind that the repair does not support.
    #[error("{0}")]
    Unsupported(String),
    /// A person must decide something before the repair can run.
    #[error("the repair cannot run yet: {}", .0.join("; "))]
    Blocked(Vec<String>),
    /// The database has no log of a repair.
    #[error(
        "no repair of this database is logged, so there is nothing to undo{}",
        if *.earlier > 0 { ". An earlier version merged cards and did not log their sittings. Restore a backup" } else { "" }
    )]
    NothingToUndo {
        /// The number of cards that an earlier version of jishu merged.
        earlier: i64,
    },
    /// The repair cannot be undone, mostly because rows have changed since. The texts name the causes.
    #[error("nothing was changed, because the repair cannot be undone: {}. Bring the database back to its state right \
             after the repair and undo again, or restore a backup", .0.join("; "))]
    CannotUndo(Vec<String>),
    /// Another repair or undo of this database did not end in time. On SQLite, also any other program that keeps the
    /// lock for writing.
    #[error(
        "another repair or undo of this database is running, another program keeps an SQLite file locked, or the \
         database server still runs a killed repair. Try again later"
    )]
    Busy,
    /// A statement or a batch of the merge did not get its locks in any of its attempts.
    #[error(
        "the table stayed locked during {attempts} short waits. Find the open transaction that locks the table, end \
         that transaction, and run the same command again. The command continues where it stopped"
    )]
    Locked {
        /// The number of attempts to get the lock.
        attempts: u32,
    },
    /// Something is left to do after the last round, because the application disturbed every round: the application
    /// inserted duplicates, changed rows or caused deadlocks.
    #[error(
        "the running application disturbed each of {rounds} rounds of the repair, for instance with new duplicates or \
         with deadlocks. Stop the application for a moment, and run the repair again. The repair continues where it \
         stopped{}",
        .last_error.as_ref().map(|error| format!(". The last round ended with this error: {error}")).unwrap_or_default()
    )]
    TooManyRounds {
        /// The number of rounds.
        rounds: u32,
        /// The error that ended the last round. `None` if the round ran all its steps.
        last_error: Option<DbErr>,
    },
    /// A check failed, or the log of a repair cannot be read or written. An open transaction was rolled back.
    #[error("{0}. Unfinished changes were rolled back")]
    Inconsistent(String),
    /// The caller's watcher stopped the repair or undo.
    #[error("the command was interrupted. Run the same command again to continue")]
    Interrupted,
    /// The connection that held the lock of the repair was lost.
    #[error(
        "the connection to the database was lost. Run the same command again. The command continues where it \
         stopped"
    )]
    ConnectionLost,
    /// The database reported an error.
    #[error("{0}")]
    Database(#[from] DbErr),
}

/// A kind of database error that the repair handles in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCause {
    /// A lock was not available in time, or the database could not run the statement now for another reason. The
    /// statement can be retried.
    Locked,
    /// The database ended this transaction, because of a deadlock or a conflict with another transaction.
    Deadlock,
    /// A unique key refused a row, or could not be built because two rows are equal.
    Duplicate,
    /// The connection was lost.
    ConnectionLost,
    /// Any other error.
    Other,
}

impl ErrorCause {
    /// Classifies an error by the code of the database, or by the kind of the driver's error. Never reads the text of
    /// the error.
    pub(crate) fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => Self::ConnectionLost,
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => match error.as_ref() {
                sqlx::Error::Database(error) => Self::of_database(error.as_ref()),
                sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                    Self::ConnectionLost
                }
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }

    fn of_database(error: &dyn sqlx::error::DatabaseError) -> Self {
        if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            return match error.number() {
                // 1205: lock wait timeout. 1799: the log of an online index build is full. 1020: the row has changed
                // since it was read. 1047: the Galera node is not ready.
                1205 | 1799 | 1020 | 1047 => Self::Locked,
                1213 => Self::Deadlock,
                1062 | 1586 => Self::Duplicate,
                1053 | 1927 => Self::ConnectionLost,
                _ => Self::Other,
            };
        }
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            return match code.as_ref() {
                "55P03" => Self::Locked,
                "40P01" | "40001" => Self::Deadlock,
                "23505" => Self::Duplicate,
                "57P01" | "57P02" | "57P03" => Self::ConnectionLost,
                code if code.starts_with("08") => Self::ConnectionLost,
                _ => Self::Other,
            };
        }
        // SQLite: BUSY with its extended codes and LOCKED, then CONSTRAINT_PRIMARYKEY and CONSTRAINT_UNIQUE.
        match code.as_ref() {
            "5" | "6" | "261" | "517" | "773" => Self::Locked,
            "1555" | "2067" => Self::Duplicate,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_rounds_are_explained_by_the_error_of_the_last_round() {
        let text = |last_error| RepairError::TooManyRounds { rounds: 20, last_error }.to_string();
        assert!(text(None).ends_with("continues where it stopped"));
        let deadlock = DbErr::Custom("deadlock detected".to_owned());
        assert!(text(Some(deadlock)).ends_with("ended with this error: Custom Error: deadlock detected"));
    }
}

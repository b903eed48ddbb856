//! What can go wrong, and what a database's error means for a repair.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, sqlx};

use super::CARDS;

/// Why a database could not be inspected or repaired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The URL names no database we know.
    #[error("the URL of the database must begin with sqlite://, postgres:// or mysql://")]
    UnknownScheme,
    /// The table is not there.
    #[error(
        "there is no table `{CARDS}` in {place}: this is neither a database of the old system nor one that \
         `jishu migrate up` has made. Look at --database-url"
    )]
    NoTable {
        /// The schema, database or file that was looked into.
        place: String,
    },
    /// The table is there and is not the one we know.
    #[error("the table `{CARDS}` has no column {}", .0.join(", "))]
    MissingColumns(Vec<String>),
    /// The table is of a kind that cannot be repaired by this command.
    #[error("{0}")]
    Unsupported(String),
    /// Something stands in the way that a person must decide on.
    #[error("the repair cannot go on: {}", .0.join("; "))]
    Blocked(Vec<String>),
    /// No run of a repair is logged.
    #[error(
        "no repair of this database is logged, so there is nothing to undo{}",
        if *.earlier > 0 { ". Its merged cards come from an earlier version, which logged no sittings" } else { "" }
    )]
    NothingToUndo {
        /// How many cards an earlier version merged.
        earlier: i64,
    },
    /// Rows have changed since the repair.
    #[error("nothing was changed, because the repair cannot be undone: {}. Restore these rows by hand, or restore a \
             backup", .0.join("; "))]
    CannotUndo(Vec<String>),
    /// Another repair holds the lock.
    #[error(
        "another repair of this database is running, or one that was killed has not ended on the server yet"
    )]
    Busy,
    /// A lock on the table was not to be had in short waits.
    #[error(
        "the table stayed locked by others through {attempts} short waits. Look for a transaction that is \
         left open, and run the repair again; it goes on where it stopped"
    )]
    Locked {
        /// How often it was tried.
        attempts: u32,
    },
    /// Duplicates came in faster than they were merged.
    #[error(
        "the running application inserted new duplicates in each of {rounds} rounds. Stop it for a moment, \
         and run the repair again; it goes on where it stopped"
    )]
    KeepsChanging {
        /// How many rounds there were.
        rounds: u32,
    },
    /// A check inside a transaction failed; the transaction was rolled back.
    #[error("{0}; nothing of this step was written")]
    Inconsistent(String),
    /// The callback asked to stop.
    #[error("the repair was interrupted; run it again to go on")]
    Interrupted,
    /// The connection that held the repair's lock went away.
    #[error("the connection to the database was lost; run the repair again, it goes on where it stopped")]
    ConnectionLost,
    /// The database refused.
    #[error("{0}")]
    Database(#[from] DbErr),
}

/// What an error of the database means for the step that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A lock was not to be had in time: the same statement again.
    Locked,
    /// Chosen as the victim of a deadlock.
    Deadlock,
    /// A unique key cannot be built, or refused a row.
    Duplicate,
    /// The connection went away.
    ConnectionLost,
    /// All else.
    Other,
}

impl Cause {
    /// Classifies by code, never by text.
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
                // Lock wait timeout; 1799: the log of an online build is full; 1020 and 1047: Galera.
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
        // SQLite: BUSY and its extended codes; LOCKED; CONSTRAINT_PRIMARYKEY, CONSTRAINT_UNIQUE.
        match code.as_ref() {
            "5" | "6" | "261" | "517" | "773" => Self::Locked,
            "1555" | "2067" => Self::Duplicate,
            _ => Self::Other,
        }
    }
}

//! Reads the rows of several tables from the result of one statement, by the positions of the columns. Reading about
//! sixty columns by name took a twentieth of the server's time for a purchase.

use std::fmt::Write;

use jishu_entity::{course, entitlement, mock_test_attempt, purchase_request, subject, test_session};
use sea_orm::{DbErr, QueryResult, TryGetable};

/// The row of a table whose columns stand one after the other in a result.
pub(crate) trait JoinedRow: Sized {
    /// The columns of the table, in the order in which they are selected and read. The first one is never null.
    const COLUMNS: &'static [&'static str];

    /// Reads a row whose first column has the position `first` in the result.
    fn read(row: &QueryResult, first: usize) -> Result<Self, DbErr>;
}

/// Implements [`JoinedRow`]. The fields are all fields of the model, of which the first is a part of its primary key.
macro_rules! joined_rows {
    ($($model:ty { $($column:ident),+ $(,)? })+) => {$(
        impl JoinedRow for $model {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn read(row: &QueryResult, first: usize) -> Result<Self, DbErr> {
                let mut positions = first..;
                // Rust evaluates the fields in the order in which they are written here.
                Ok(Self { $($column: row.try_get_by_index(positions.next().unwrap_or_default())?),+ })
            }
        }
    )+};
}

joined_rows! {
    course::Model {
        id, code, name, description, currency, bundle_price, validity_days, version, archived_at, created_at,
    }
    entitlement::Model {
        purchase_id, subject_id, user_id, price_paid, list_price, tax, test_cards, granted_at, expires_at, ended_at,
        end_reason,
    }
    mock_test_attempt::Model {
        id, purchase_id, user_id, subject_id, test_number, status, max_attempts, attempts_used, latest_attempt_at,
        latest_score, latest_percentage, first_score, best_score,
    }
    purchase_request::Model { id, user_id, idempotency_key, request_hash, outcome, purchase_id, created_at }
    subject::Model {
        id, course_id, code, name, list_price, offer_price, offer_starts_at, offer_ends_at, total_mock_tests,
        max_attempts, marks_correct, marks_wrong, marks_unanswered, questions_per_test, time_limit_seconds,
        grading_method, review_policy, version, archived_at, created_at,
    }
    test_session::Model {
        id, mock_test_attempt_id, user_id, subject_id, paper_id, paper_revision, attempt_number, seed, status,
        open_marker, ranked, started_at, expires_at, submitted_at, end_reason, score, max_score, percentage, correct,
        wrong, unanswered, time_taken_seconds, saves,
    }
}

/// Appends all columns of a table to the list of a `SELECT`, each with a comma after it. `alias` is the name of the
/// table in the statement. The name of a column in the result is the alias, an underscore and the name in the table.
pub(crate) fn add_columns<M: JoinedRow>(list: &mut String, alias: &str) {
    for column in M::COLUMNS {
        // Writing to a `String` cannot fail.
        let _infallible = write!(list, "{alias}.{column} AS {alias}_{column}, ");
    }
}

/// Reads the columns of one row of a result from left to right.
pub(crate) struct JoinedColumns<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl<'a> JoinedColumns<'a> {
    /// Begins at the first column.
    pub(crate) fn of(row: &'a QueryResult) -> Self {
        Self { row, next: 0 }
    }

    /// Reads the row of the next joined table, whose columns [`add_columns`] has listed. Returns None if the join found
    /// no row of this table.
    pub(crate) fn row<M: JoinedRow>(&mut self) -> Result<Option<M>, DbErr> {
        let first = self.next;
        self.next += M::COLUMNS.len();
        match self.row.try_get_by_index::<Option<i64>>(first)? {
            Some(_) => M::read(self.row, first).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the row of the next joined table into `slot`, unless `slot` has a row already.
    pub(crate) fn row_once<M: JoinedRow>(&mut self, slot: &mut Option<M>) -> Result<(), DbErr> {
        match slot {
            Some(_) => self.next += M::COLUMNS.len(),
            None => *slot = self.row()?,
        }
        Ok(())
    }

    /// Reads the value of the next column.
    pub(crate) fn value<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        self.next += 1;
        self.row.try_get_by_index(self.next - 1)
    }
}

//! Reads a database of the old system, in one transaction that cannot write. The transaction sees one state of the
//! database, even if the old system keeps running.

mod row;

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    IsolationLevel, QueryResult, Statement, TransactionOptions, TransactionTrait, Value,
};

pub(super) use row::OldRow;

use crate::database::columns_of;
use crate::database::sql;

/// A table of the old system, with the columns that the adoption reads. If the table lacks a column, its values count
/// as null.
#[derive(Debug)]
pub(super) struct OldTable {
    pub(super) name: &'static str,
    columns: &'static [&'static str],
}

pub(super) const USERS: OldTable = OldTable {
    name: "users",
    columns: &["id", "email_id", "name", "password", "is_admin", "status", "auth_provider", "created_at"],
};
pub(super) const COURSES: OldTable = OldTable {
    name: "exam_category",
    columns: &["id", "course_name", "description", "amount", "offer_amount"],
};
pub(super) const SUBJECTS: OldTable = OldTable {
    name: "exam_category_subjects",
    columns: &[
        "id",
        "exam_category_id",
        "subject_name",
        "amount",
        "offer_amount",
        "total_mock",
        "is_deleted",
        "is_bundle",
    ],
};
pub(super) const PURCHASES: OldTable = OldTable {
    name: "exam_category_purchase",
    columns: &[
        "id",
        "user_id",
        "exam_category_id",
        "subject_id",
        "subjects_included",
        "purchase_type",
        "cost",
        "purchase_date",
        "status",
        "total_mock_tests",
    ],
};
pub(super) const CARDS: OldTable = OldTable {
    name: "mock_test_attempts",
    columns: &[
        "id",
        "purchase_id",
        "user_id",
        "subject_id",
        "test_number",
        "max_attempts",
        "attempts_used",
        "total_questions",
        "latest_score",
        "latest_attempt_date",
        "first_attempt_score",
        "first_attempt_date",
        "status",
    ],
};
pub(super) const SITTINGS: OldTable = OldTable {
    name: "test_attempt_sessions",
    columns: &[
        "id",
        "mock_test_id",
        "user_id",
        "attempt_number",
        "score",
        "time_taken",
        "correct_answers",
        "wrong_answers",
        "unanswered",
        "status",
        "started_at",
        "completed_at",
    ],
};
pub(super) const ANSWERS: OldTable = OldTable {
    name: "test_answers",
    columns: &["id", "session_id", "question_id", "selected_answer", "time_taken"],
};
pub(super) const QUESTIONS: OldTable = OldTable {
    name: "exam_category_questions",
    columns: &[
        "id",
        "subject_id",
        "question",
        "option_1",
        "option_2",
        "option_3",
        "option_4",
        "correct_answer",
        "explanation",
        "difficulty_level",
        "mock_test_id",
    ],
};

/// The tables whose rows are carried, in the order in which they are read.
pub(super) const CARRIED_TABLES: [&OldTable; 8] =
    [&USERS, &COURSES, &SUBJECTS, &QUESTIONS, &PURCHASES, &CARDS, &SITTINGS, &ANSWERS];

/// The columns of carried tables whose values jishu does not store. The report counts these values.
const VALUES_LEFT_BEHIND: [(&str, &str); 4] = [
    ("users", "mobile_no"),
    ("users", "date_of_birth"),
    ("users", "google_id"),
    ("exam_category_purchase", "mock_tests_used"),
];

/// The number of rows of a table, and its greatest id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct TableSize {
    pub(super) rows: i64,
    pub(super) max_id: i64,
}

/// An open database of the old system.
pub(super) struct OldDatabase {
    connection: DatabaseConnection,
    transaction: DatabaseTransaction,
    /// The columns of each table of [`CARRIED_TABLES`]. Empty for a table that does not exist.
    columns: BTreeMap<&'static str, Vec<String>>,
}

impl OldDatabase {
    /// Opens the old database, and begins the transaction for all reads. Fails if an SQLite file does not exist.
    pub(super) async fn open(url: &str) -> Result<Self, DbErr> {
        let connection = sea_orm::Database::connect(connect_options(url)).await?;
        let backend = connection.get_database_backend();
        match backend {
            DbBackend::Postgres => {
                let text = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
                connection.execute_unprepared(text).await?;
            }
            DbBackend::MySql => {
                connection.execute_unprepared("SET SESSION wait_timeout = 28800").await?;
            }
            _ => {}
        }
        let options = match backend {
            // The SQLite file is opened for reading only, and the transaction keeps the state of its first read.
            DbBackend::Sqlite => TransactionOptions::default(),
            _ => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        let transaction = connection.begin_with_options(options).await?;
        let mut columns = BTreeMap::new();
        for table in CARRIED_TABLES {
            columns.insert(table.name, columns_of(&transaction, table.name).await?);
        }
        Ok(Self { connection, transaction, columns })
    }

    pub(super) async fn close(self) -> Result<(), DbErr> {
        self.transaction.rollback().await?;
        self.connection.close().await
    }

    pub(super) fn has(&self, table: &OldTable) -> bool {
        self.columns.get(table.name).is_some_and(|columns| !columns.is_empty())
    }

    /// Returns whether a table has a column. MariaDB and SQLite ignore the case of the names of columns. PostgreSQL
    /// stores names in lower case, except names that were made in quotes, which are other columns.
    fn has_column(&self, table: &str, column: &str) -> bool {
        let is_postgres = self.backend() == DbBackend::Postgres;
        let is_same =
            |name: &String| if is_postgres { name == column } else { name.eq_ignore_ascii_case(column) };
        self.columns.get(table).is_some_and(|columns| columns.iter().any(is_same))
    }

    /// Reads rows of a table. `rest` is the SQL after `FROM table t`, with `?` for each parameter. Returns no rows if
    /// the table does not exist.
    pub(super) async fn rows(
        &self,
        table: &'static OldTable,
        rest: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<OldRow>, DbErr> {
        if !self.has(table) {
            return Ok(Vec::new());
        }
        let selected: Vec<String> = table.columns.iter().map(|column| self.as_text(table, column)).collect();
        let text = format!("SELECT {} FROM {} t {rest}", selected.join(", "), table.name);
        let found = self.query(&text, values).await?;
        let value =
            |row: &QueryResult, position| row.try_get_by_index::<Option<String>>(position).ok().flatten();
        let row = |row: &QueryResult| OldRow {
            columns: table.columns,
            values: (0..table.columns.len()).map(|position| value(row, position)).collect(),
        };
        Ok(found.iter().map(row).collect())
    }

    /// Reads up to `limit` rows with an id above `after`, in the order of their ids.
    pub(super) async fn rows_after(
        &self,
        table: &'static OldTable,
        after: i64,
        limit: u64,
    ) -> Result<Vec<OldRow>, DbErr> {
        self.rows(table, &format!("WHERE t.id > ? ORDER BY t.id LIMIT {limit}"), [after.into()]).await
    }

    fn as_text(&self, table: &OldTable, column: &str) -> String {
        if !self.has_column(table.name, column) {
            return "NULL".to_owned();
        }
        match self.backend() {
            DbBackend::MySql => format!("CAST(t.`{column}` AS CHAR)"),
            _ => format!("CAST(t.\"{column}\" AS TEXT)"),
        }
    }

    /// Reads the number of rows and the greatest id of a table. Both are 0 if the table does not exist.
    pub(super) async fn size(&self, table: &OldTable) -> Result<TableSize, DbErr> {
        if !self.has(table) {
            return Ok(TableSize::default());
        }
        let rows = self.number(&format!("SELECT COUNT(*) FROM {}", table.name)).await?;
        let id = self.integer("MAX(id)");
        let max_id = self.number(&format!("SELECT {id} FROM {}", table.name)).await?;
        Ok(TableSize { rows, max_id })
    }

    /// Returns the sum of the costs of all purchases, which the old database computes. 0 if there are no costs.
    pub(super) async fn total_cost(&self) -> Result<Decimal, DbErr> {
        if !self.has_column(PURCHASES.name, "cost") {
            return Ok(Decimal::ZERO);
        }
        let cast = if self.backend() == DbBackend::MySql { "CHAR" } else { "TEXT" };
        let text = format!("SELECT CAST(SUM(cost) AS {cast}) FROM {}", PURCHASES.name);
        let sum: Option<String> = match self.query(&text, []).await?.first() {
            Some(row) => row.try_get_by_index(0)?,
            None => None,
        };
        Ok(sum.and_then(|sum| sum.trim().parse().ok()).unwrap_or_default())
    }

    /// Returns the greatest number of questions that a card states, by the id of the subject.
    pub(super) async fn questions_per_test(&self) -> Result<BTreeMap<i64, i64>, DbErr> {
        if !self.has_column(CARDS.name, "total_questions") {
            return Ok(BTreeMap::new());
        }
        let (subject, most) = (self.integer("subject_id"), self.integer("MAX(total_questions)"));
        let text = format!(
            "SELECT {subject}, {most} FROM {} WHERE subject_id IS NOT NULL AND total_questions IS NOT NULL GROUP BY \
             subject_id",
            CARDS.name
        );
        let rows = self.query(&text, []).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }

    /// Counts the rows of each table that is not carried, by the name of the table.
    pub(super) async fn tables_left_behind(&self) -> Result<BTreeMap<String, i64>, DbErr> {
        let text = match self.backend() {
            DbBackend::MySql => {
                "SELECT CAST(TABLE_NAME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND \
                 TABLE_TYPE = 'BASE TABLE'"
            }
            DbBackend::Postgres => {
                "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = \
                 current_schema() AND table_type = 'BASE TABLE'"
            }
            _ => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            }
        };
        let mut found = BTreeMap::new();
        for row in self.query(text, []).await? {
            let name: String = row.try_get_by_index(0)?;
            if CARRIED_TABLES.iter().any(|table| table.name.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let quoted = self.quoted(&name);
            found.insert(name, self.number(&format!("SELECT COUNT(*) FROM {quoted}")).await?);
        }
        Ok(found)
    }

    /// Counts the values that are not null in each column of [`VALUES_LEFT_BEHIND`], by `table.column`.
    pub(super) async fn values_left_behind(&self) -> Result<BTreeMap<String, i64>, DbErr> {
        let mut found = BTreeMap::new();
        for (table, column) in VALUES_LEFT_BEHIND {
            if self.has_column(table, column) {
                let count = self.number(&format!("SELECT COUNT({column}) FROM {table}")).await?;
                found.insert(format!("{table}.{column}"), count);
            }
        }
        Ok(found)
    }

    /// Runs a query that selects this number of columns with whole numbers. A null counts as 0.
    pub(super) async fn numbers(
        &self,
        text: &str,
        values: impl IntoIterator<Item = Value>,
        columns: usize,
    ) -> Result<Vec<Vec<i64>>, DbErr> {
        let number =
            |row: &QueryResult, position| Ok(row.try_get_by_index::<Option<i64>>(position)?.unwrap_or(0));
        let rows = self.query(text, values).await?;
        rows.iter().map(|row| (0..columns).map(|position| number(row, position)).collect()).collect()
    }

    /// Returns the SQL that casts an expression to a whole number.
    pub(super) fn integer(&self, expression: &str) -> String {
        let target = if self.backend() == DbBackend::MySql { "SIGNED" } else { "BIGINT" };
        format!("CAST({expression} AS {target})")
    }

    async fn number(&self, text: &str) -> Result<i64, DbErr> {
        let rows = self.numbers(text, [], 1).await?;
        Ok(rows.first().and_then(|row| row.first()).copied().unwrap_or_default())
    }

    async fn query(
        &self,
        text: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let values: Vec<Value> = values.into_iter().collect();
        let statement = match values.is_empty() {
            true => Statement::from_string(self.backend(), text),
            false => sql(self.backend(), text, values),
        };
        self.transaction.query_all_raw(statement).await
    }

    fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    fn quoted(&self, name: &str) -> String {
        match self.backend() {
            DbBackend::MySql => format!("`{}`", name.replace('`', "``")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

fn connect_options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.replacen("mariadb:", "mysql:", 1));
    options
        .max_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .acquire_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(10))
        .set_application_name("jishu adopt")
        .sqlx_logging_level(log::LevelFilter::Debug)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Debug, Duration::from_secs(1))
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(|options| {
            options.read_only(true).create_if_missing(false).busy_timeout(Duration::from_secs(30))
        });
    options
}

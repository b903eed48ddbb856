//! Constraints on the values of columns: the words of a status, marks that reward correct answers, and valid times.
//!
//! PostgreSQL, MariaDB and MySQL get CHECK constraints. SQLite cannot add a CHECK to an existing table, so it gets
//! triggers. A trigger runs before each insert, and before each update of a column in the condition. It refuses the
//! same rows as the CHECK, and its error has the name of the constraint. Creating a trigger reads and changes no row. A
//! later migration that rebuilds one of these tables must create its triggers again.
//!
//! The documented way on SQLite would be to rebuild each table with foreign keys off. But foreign keys cannot be
//! switched off inside a transaction, and foreign keys with RESTRICT refer to most of these tables. The migration would
//! have to copy eight tables outside a transaction, among them cards and sittings.
//!
//! PostgreSQL reads each table once, under a lock that blocks reads and writes. MariaDB 10.11 copies each table
//! once, because ADD CHECK supports neither INPLACE nor INSTANT, even with `check_constraint_checks` off. During
//! the copy the table can be read, and writes wait. One statement adds all constraints of a table, so that the table is
//! copied only once. On MariaDB, dropping the constraints is INSTANT.
//!
//! The migration first searches for rows that break a constraint. If there are any, the migration fails with a list of
//! the first of these rows, and changes nothing.

use std::fmt::Write;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Maximum number of rows that the error lists for each constraint that they break.
const MAX_LISTED_ROWS: usize = 20;

/// A rule for the values of a column.
enum ColumnRule {
    /// The column must have one of these words.
    Words(&'static str, &'static [&'static str]),
    /// The columns must fulfil this condition. `{}` before each column in the condition is the place of a prefix such
    /// as `NEW.`.
    Condition(&'static [&'static str], &'static str),
    /// The columns must have times from year 1 to year 9999, or be null. Only PostgreSQL gets this constraint, because
    /// its time columns accept `infinity` and years that jishu cannot read.
    Times(&'static [&'static str]),
}

/// A constraint with its name. The name never changes, because `down` finds the constraint by its name.
struct ColumnCheck {
    name: &'static str,
    rule: ColumnRule,
}

/// A table with its constraints, and the columns of its primary key.
struct CheckedTable {
    table: &'static str,
    key: &'static str,
    checks: &'static [ColumnCheck],
}

const fn words(name: &'static str, column: &'static str, words: &'static [&'static str]) -> ColumnCheck {
    ColumnCheck { name, rule: ColumnRule::Words(column, words) }
}

const fn times(name: &'static str, columns: &'static [&'static str]) -> ColumnCheck {
    ColumnCheck { name, rule: ColumnRule::Times(columns) }
}

const DIFFICULTIES: &[&str] = &["easy", "medium", "hard"];
const MARKS: &[&str] = &["marks_correct", "marks_wrong", "marks_unanswered"];
const REWARDING: &str =
    "{}marks_correct > 0 AND {}marks_correct > {}marks_wrong AND {}marks_correct > {}marks_unanswered";

const CHECKED_TABLES: &[CheckedTable] = &[
    CheckedTable {
        table: "users",
        key: "id",
        checks: &[
            words("check_users_role", "role", &["learner", "author", "support", "admin"]),
            words("check_users_status", "status", &["active", "deactivated"]),
            times("check_users_times", &["created_at"]),
        ],
    },
    CheckedTable {
        table: "subjects",
        key: "id",
        checks: &[
            words(
                "check_subjects_grading_method",
                "grading_method",
                &["latest", "highest", "first", "average"],
            ),
            words(
                "check_subjects_review_policy",
                "review_policy",
                &["after_sitting", "after_last_attempt", "never"],
            ),
            ColumnCheck { name: "check_subjects_marks", rule: ColumnRule::Condition(MARKS, REWARDING) },
            times("check_subjects_times", &["offer_ends_at", "archived_at", "created_at"]),
        ],
    },
    CheckedTable {
        table: "blueprint_parts",
        key: "subject_id, position",
        checks: &[words("check_blueprint_parts_difficulty", "difficulty", DIFFICULTIES)],
    },
    CheckedTable {
        table: "question_versions",
        key: "id",
        checks: &[
            words("check_question_versions_difficulty", "difficulty", DIFFICULTIES),
            words("check_question_versions_kind", "kind", &["single_choice", "multiple_choice", "numeric"]),
            words("check_question_versions_text_format", "text_format", &["plain", "markdown", "html"]),
            times("check_question_versions_times", &["created_at"]),
        ],
    },
    CheckedTable {
        table: "purchases",
        key: "id",
        checks: &[
            words(
                "check_purchases_purchase_type",
                "purchase_type",
                &["single_subject", "multiple_subjects", "full_bundle"],
            ),
            words("check_purchases_status", "status", &["active", "refunded"]),
            times("check_purchases_times", &["created_at", "expires_at"]),
        ],
    },
    CheckedTable {
        table: "purchase_requests",
        key: "id",
        checks: &[
            words("check_purchase_requests_outcome", "outcome", &["created", "existing"]),
            times("check_purchase_requests_times", &["created_at"]),
        ],
    },
    CheckedTable {
        table: "mock_test_attempts",
        key: "id",
        checks: &[
            words(
                "check_mock_test_attempts_status",
                "status",
                &["available", "in_progress", "completed", "exhausted"],
            ),
            times("check_mock_test_attempts_times", &["latest_attempt_at"]),
        ],
    },
    CheckedTable {
        table: "test_sessions",
        key: "id",
        checks: &[
            words(
                "check_test_sessions_status",
                "status",
                &["in_progress", "submitted", "auto_submitted", "abandoned"],
            ),
            times("check_test_sessions_times", &["started_at", "expires_at", "submitted_at"]),
        ],
    },
    CheckedTable {
        table: "courses",
        key: "id",
        checks: &[times("check_courses_times", &["archived_at", "created_at"])],
    },
    CheckedTable {
        table: "entitlements",
        key: "purchase_id, subject_id",
        checks: &[times("check_entitlements_times", &["granted_at", "expires_at", "ended_at"])],
    },
    CheckedTable {
        table: "questions",
        key: "id",
        checks: &[times("check_questions_times", &["archived_at", "created_at"])],
    },
    CheckedTable { table: "papers", key: "id", checks: &[times("check_papers_times", &["created_at"])] },
    CheckedTable {
        table: "test_answers",
        key: "session_id, slot",
        checks: &[times("check_test_answers_times", &["saved_at"])],
    },
    CheckedTable {
        table: "extra_times",
        key: "mock_test_attempt_id",
        checks: &[times("check_extra_times_times", &["granted_at"])],
    },
    CheckedTable { table: "audit_events", key: "id", checks: &[times("check_audit_events_times", &["at"])] },
    CheckedTable {
        table: "refresh_tokens",
        key: "id",
        checks: &[times(
            "check_refresh_tokens_times",
            &["created_at", "expires_at", "used_at", "revoked_at", "successor_until"],
        )],
    },
    CheckedTable {
        table: "cart_items",
        key: "user_id, subject_id",
        checks: &[times("check_cart_items_times", &["added_at"])],
    },
    CheckedTable {
        table: "question_corrections",
        key: "id",
        checks: &[times("check_question_corrections_times", &["corrected_at"])],
    },
    CheckedTable {
        table: "sign_in_networks",
        key: "id",
        checks: &[times("check_sign_in_networks_times", &["seen_at"])],
    },
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        refuse_wrong_rows(manager).await?;
        let backend = manager.get_database_backend();
        for checked in CHECKED_TABLES {
            if checked.of(backend).next().is_none() {
                continue;
            }
            if backend == DbBackend::Sqlite {
                let checks = checked.of(backend);
                let triggers = checks.flat_map(|check| check.triggers(checked.table));
                let text = triggers.collect::<Vec<_>>().join("; ");
                step(manager).execute(&text).await?;
            } else {
                step(manager).add_checks(checked.table, &checked.conditions(backend)).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for checked in CHECKED_TABLES {
            if checked.of(backend).next().is_none() {
                continue;
            }
            if backend == DbBackend::Sqlite {
                let drop = |ColumnCheck { name, .. }: &ColumnCheck| {
                    format!("DROP TRIGGER {name}_insert; DROP TRIGGER {name}_update")
                };
                let text = checked.of(backend).map(drop).collect::<Vec<_>>().join("; ");
                step(manager).execute(&text).await?;
            } else {
                step(manager).drop_checks(checked.table, &checked.conditions(backend)).await?;
            }
        }
        Ok(())
    }
}

impl CheckedTable {
    fn conditions(&self, backend: DbBackend) -> Vec<(&'static str, String)> {
        self.of(backend).map(|check| (check.name, check.condition(backend, ""))).collect()
    }

    /// Returns the constraints of the table that this kind of database needs: all on PostgreSQL, and elsewhere all
    /// except those on times.
    fn of(&self, backend: DbBackend) -> impl Iterator<Item = &'static ColumnCheck> {
        let is_needed = move |check: &&ColumnCheck| {
            backend == DbBackend::Postgres || !matches!(check.rule, ColumnRule::Times(_))
        };
        self.checks.iter().filter(is_needed)
    }
}

impl ColumnCheck {
    /// Returns the condition as SQL. `row` is a prefix for each column: empty, or `NEW.` in a trigger.
    fn condition(&self, backend: DbBackend, row: &str) -> String {
        match self.rule {
            ColumnRule::Condition(_, text) => text.replace("{}", row),
            ColumnRule::Words(column, words) => {
                let listed: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
                // Without the cast, the collation of MariaDB and MySQL would ignore case and spaces at the end.
                let value = match backend {
                    DbBackend::MySql => format!("CAST({row}{column} AS BINARY)"),
                    _ => format!("{row}{column}"),
                };
                format!("{value} IN ({})", listed.join(", "))
            }
            ColumnRule::Times(columns) => {
                let exists = |column: &&str| {
                    format!(
                        "{row}{column} >= '0001-01-01 00:00:00+00' AND {row}{column} < '10000-01-01 00:00:00+00'"
                    )
                };
                columns.iter().map(exists).collect::<Vec<_>>().join(" AND ")
            }
        }
    }

    fn columns(&self) -> &[&'static str] {
        match &self.rule {
            ColumnRule::Words(column, _) => std::slice::from_ref(column),
            ColumnRule::Condition(columns, _) | ColumnRule::Times(columns) => columns,
        }
    }

    /// Returns two triggers that replace the constraint on SQLite, for inserts and for updates. Like a CHECK, they
    /// accept a condition that is null.
    fn triggers(&self, table: &str) -> [String; 2] {
        let (name, columns) = (self.name, self.columns().join(", "));
        let condition = self.condition(DbBackend::Sqlite, "NEW.");
        [("insert", "INSERT".to_owned()), ("update", format!("UPDATE OF {columns}"))].map(
            |(suffix, event)| {
                format!(
                    "CREATE TRIGGER {name}_{suffix} BEFORE {event} ON {table} WHEN NOT ({condition}) \
                 BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: {name}'); END"
                )
            },
        )
    }
}

/// Fails if any row breaks a constraint. The error lists the first of these rows, so that a person can correct them.
async fn refuse_wrong_rows(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    let (text_type, mut found) = (if backend == DbBackend::MySql { "CHAR" } else { "TEXT" }, String::new());
    for checked in CHECKED_TABLES {
        let CheckedTable { table, key, .. } = checked;
        for check in checked.of(backend) {
            let shown: Vec<_> = key.split(", ").chain(check.columns().iter().copied()).collect();
            let selected: Vec<_> =
                shown.iter().map(|column| format!("CAST({column} AS {text_type})")).collect();
            let text = format!(
                "SELECT {} FROM {table} WHERE NOT ({}) ORDER BY {key} LIMIT {}",
                selected.join(", "),
                check.condition(backend, ""),
                MAX_LISTED_ROWS + 1
            );
            let rows = manager.get_connection().query_all_raw(Statement::from_string(backend, text)).await?;
            for row in rows.iter().take(MAX_LISTED_ROWS) {
                let mut named = Vec::with_capacity(shown.len());
                for (position, column) in shown.iter().enumerate() {
                    let value: Option<String> = row.try_get_by_index(position)?;
                    named.push(format!("{column} {}", value.unwrap_or_else(|| "null".to_owned())));
                }
                let _ = write!(found, "\n  {table}: {}", named.join(", "));
            }
            if rows.len() > MAX_LISTED_ROWS {
                let _ = write!(found, "\n  {table}: and more rows");
            }
            if !rows.is_empty() {
                let _ = write!(found, "\n  each row must fulfil: {}", check.condition(DbBackend::Sqlite, ""));
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(DbErr::Migration(format!(
        "some rows have values that this version does not allow, so nothing was changed. Correct these rows with SQL, \
         then migrate again:{found}"
    )))
}

//! Short answers, and the order of options.
//!
//! The accepted texts of a question are not stored in the table of options, but in a table of their own. So code that
//! shows learners the options of a question can never show them the accepted texts, which are the key.
//!
//! The defaults of the new columns describe every earlier question: all options are shuffled, and the case of letters
//! does not matter. So a node of the previous version can still write questions.
//!
//! To add constraints, MariaDB copies `question_versions` twice and `test_answers` once. Writes to a table wait while
//! it is copied.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::portable::{foreign_key, prose};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// A constraint, with the columns that its condition reads. In `condition`, `{}` precedes each column, as the place of
/// a prefix such as `NEW.`.
struct Check {
    name: &'static str,
    table: &'static str,
    columns: &'static str,
    condition: &'static str,
}

/// The constraint on the kinds of questions, as the migration `m20261128_000008_checks` made it.
const OLD_KIND: Check = Check {
    name: "check_question_versions_kind",
    table: "question_versions",
    columns: "kind",
    condition: "{}kind IN ('single_choice', 'multiple_choice', 'numeric')",
};

/// The constraint on the kinds of questions that also allows the new kind `short_answer`. It keeps the old name.
const NEW_KIND: Check = Check {
    condition: "{}kind IN ('single_choice', 'multiple_choice', 'numeric', 'short_answer')",
    ..OLD_KIND
};

/// The new constraints of `question_versions`.
const VERSION_CHECKS: [Check; 2] = [
    Check {
        name: "check_question_versions_fixed_options",
        table: "question_versions",
        columns: "fixed_options, keeps_options",
        condition: "{}fixed_options >= 0 AND ({}fixed_options = 0 OR NOT {}keeps_options)",
    },
    Check {
        name: "check_question_versions_case",
        table: "question_versions",
        columns: "is_case_sensitive, kind",
        condition: "{}kind = 'short_answer' OR NOT {}is_case_sensitive",
    },
];

/// The new constraint of `test_answers`.
const ANSWER_CHECKS: [Check; 1] = [Check {
    name: "check_test_answers_text",
    table: "test_answers",
    columns: "text, chosen, numeric_value",
    condition: "{}text IS NULL OR ({}chosen = 0 AND {}numeric_value IS NULL)",
}];

/// The new columns in the order in which `down` drops them.
const DROPPED_COLUMNS: [(&str, &str); 4] = [
    ("test_answers", "text"),
    ("question_versions", "is_case_sensitive"),
    ("question_versions", "fixed_options"),
    ("question_versions", "keeps_options"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let flag = |name: &'static str| ColumnDef::new(name).boolean().not_null().default(false).take();
        let bits = ColumnDef::new("fixed_options").big_integer().not_null().default(0).take();
        let versions = "question_versions";
        step(manager).add_column(versions, flag("keeps_options")).await?;
        step(manager).add_column(versions, bits).await?;
        step(manager).add_column(versions, flag("is_case_sensitive")).await?;
        step(manager).add_column("test_answers", prose(manager, "text")).await?;
        create_accepted_texts(manager).await?;
        // The constraint on kinds keeps its name, so the name does not show whether the constraint allows the new kind.
        // A step of its own drops the constraint, so that a repeated run replaces it in any case.
        drop_checks(manager, &[OLD_KIND]).await?;
        add_checks(manager, &[NEW_KIND]).await?;
        add_checks(manager, &VERSION_CHECKS).await?;
        add_checks(manager, &ANSWER_CHECKS).await
    }

    /// Drops the accepted texts, the texts that learners answered, and the settings for the order of options. Fails
    /// and changes nothing if the bank has a question of the kind `short_answer`, because a paper may contain it.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        refuse_short_answers(manager).await?;
        drop_checks(manager, &ANSWER_CHECKS).await?;
        drop_checks(manager, &VERSION_CHECKS).await?;
        drop_checks(manager, &[NEW_KIND]).await?;
        add_checks(manager, &[OLD_KIND]).await?;
        step(manager).drop_table(Table::drop().table("accepted_texts").take()).await?;
        for (table, column) in DROPPED_COLUMNS {
            step(manager).drop_column(table, column).await?;
        }
        Ok(())
    }
}

async fn create_accepted_texts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let texts = "accepted_texts";
    step(manager)
        .create_table(
            Table::create()
                .table(texts)
                .col(ColumnDef::new("version_id").big_integer().not_null())
                .col(ColumnDef::new("position").integer().not_null())
                .col(prose(manager, "text").not_null())
                .primary_key(Index::create().col("version_id").col("position"))
                .check(Expr::cust("position BETWEEN 0 AND 99"))
                .foreign_key(&mut foreign_key(
                    "fk_accepted_texts_version",
                    texts,
                    "version_id",
                    "question_versions",
                    "id",
                ))
                .take(),
        )
        .await
}

/// Adds constraints to one table: triggers on SQLite, and CHECK constraints elsewhere.
async fn add_checks(manager: &SchemaManager<'_>, checks: &[Check]) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    let Some(Check { table, .. }) = checks.first() else { return Ok(()) };
    if backend != DbBackend::Sqlite {
        return step(manager).add_checks(table, &conditions(backend, checks)).await;
    }
    let trigger = |check: &Check| {
        let Check { name, table, columns, condition } = check;
        let condition = condition.replace("{}", "NEW.");
        [("insert", "INSERT".to_owned()), ("update", format!("UPDATE OF {columns}"))].map(
            |(suffix, event)| {
                format!(
                    "CREATE TRIGGER {name}_{suffix} BEFORE {event} ON {table} WHEN NOT ({condition}) \
                 BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: {name}'); END"
                )
            },
        )
    };
    let text = checks.iter().flat_map(trigger).collect::<Vec<_>>().join("; ");
    step(manager).execute(&text).await
}

/// Drops constraints of one table: their triggers on SQLite, and the CHECK constraints elsewhere.
async fn drop_checks(manager: &SchemaManager<'_>, checks: &[Check]) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    let Some(Check { table, .. }) = checks.first() else { return Ok(()) };
    if backend != DbBackend::Sqlite {
        return step(manager).drop_checks(table, &conditions(backend, checks)).await;
    }
    let drop_triggers =
        |Check { name, .. }: &Check| format!("DROP TRIGGER {name}_insert; DROP TRIGGER {name}_update");
    let text = checks.iter().map(drop_triggers).collect::<Vec<_>>().join("; ");
    step(manager).execute(&text).await
}

/// Returns each constraint's name, with its condition as SQL.
fn conditions(backend: DbBackend, checks: &[Check]) -> Vec<(&'static str, String)> {
    let condition = |check: &Check| {
        let text = check.condition.replace("{}", "");
        // Without the cast, the collation of MariaDB and MySQL would ignore case and spaces at the end.
        let text = match backend {
            DbBackend::MySql => text.replace("kind ", "CAST(kind AS BINARY) "),
            _ => text,
        };
        (check.name, text)
    };
    checks.iter().map(condition).collect()
}

async fn refuse_short_answers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let text = "SELECT COUNT(*) FROM question_versions WHERE kind = 'short_answer'";
    let statement = Statement::from_string(manager.get_database_backend(), text);
    let row = manager.get_connection().query_one_raw(statement).await?;
    let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    if count == 0 {
        return Ok(());
    }
    Err(DbErr::Migration(format!(
        "the bank has {count} versions of short-answer questions, which the previous version of jishu cannot read. \
         Nothing was changed. Restore the backup from before the migration, or keep this version"
    )))
}

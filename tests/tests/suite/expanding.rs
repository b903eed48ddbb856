//! Migrations that only add to the schema. Nodes of the previous version keep working after such a migration. Also
//! checks that `jishu migrate plan` can show each statement of a migration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jishu_migration::{Migrator, MigratorTrait, is_expanding};
use jishu_service::database::{Database, DatabaseOptions, MigrateError};
use jishu_tests::{Backend, TestApp, on_each_database, rows};
use sea_orm::{DatabaseConnection, DbBackend};

on_each_database!(
    migrations_that_expand_break_no_older_version,
    harm_to_older_versions_is_found,
    an_older_version_works_on_an_expanded_schema,
);

/// The last migration whose name needs neither `_expand_` (it only adds) nor `_contract_` (it removes something). The
/// names of all later migrations contain one of the two words.
const LAST_WITHOUT_RULE: &str = "m20261129_000015_orders";

/// The parts of a schema that a version of jishu relies on: the columns of the tables, and what the database demands of
/// new rows.
#[derive(Debug, PartialEq)]
struct Shape {
    /// The type of each column, and whether an insert must give the column a value. The key is the table and the
    /// column.
    columns: BTreeMap<(String, String), (String, bool)>,
    /// The table and the definition of each unique key and each condition that the database checks.
    demands: BTreeSet<(String, String)>,
}

async fn shape(connection: &DatabaseConnection) -> Shape {
    let (columns, demands) = match connection.get_database_backend() {
        DbBackend::Postgres => (
            "SELECT table_name::text, column_name::text, data_type::text, CASE WHEN is_nullable = 'NO' AND column_default \
             IS NULL AND is_identity = 'NO' THEN 1 ELSE 0 END FROM information_schema.columns WHERE table_schema = \
             current_schema()",
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = \
             current_schema()::regnamespace AND conrelid <> 0 UNION SELECT tablename::text, indexdef FROM pg_indexes WHERE \
             schemaname = current_schema() AND indexdef LIKE 'CREATE UNIQUE%'",
        ),
        DbBackend::MySql => (
            "SELECT CAST(TABLE_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR), CAST(COLUMN_TYPE AS CHAR), CAST(IF(IS_NULLABLE = \
             'NO' AND COLUMN_DEFAULT IS NULL AND EXTRA = '', 1, 0) AS SIGNED) FROM information_schema.COLUMNS WHERE \
             TABLE_SCHEMA = DATABASE()",
            "SELECT CAST(TABLE_NAME AS CHAR), CAST(CONCAT(INDEX_NAME, ' ', GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX)) AS CHAR) FROM \
             information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 GROUP BY TABLE_NAME, \
             INDEX_NAME UNION SELECT CAST(TABLE_NAME AS CHAR), CAST(CHECK_CLAUSE AS CHAR) FROM \
             information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()",
        ),
        _ => (
            "SELECT t.name, c.name, c.type, c.\"notnull\" = 1 AND c.dflt_value IS NULL AND c.pk = 0 FROM sqlite_schema t, \
             pragma_table_xinfo(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~'",
            "SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' OR sql LIKE 'CREATE UNIQUE INDEX%'",
        ),
    };
    let columns = rows(connection, columns).await.into_iter().map(|row| {
        let [table, column, kind, required] = <[String; 4]>::try_from(row).expect("four columns");
        ((table, column), (kind, required == "1"))
    });
    let demands = rows(connection, demands).await.into_iter().map(|mut row| (row.remove(0), row.remove(0)));
    Shape { columns: columns.collect(), demands: demands.collect() }
}

/// Describes each difference that breaks a version of jishu that was built for the shape `before`. Empty if no
/// difference does.
fn harm(before: &Shape, after: &Shape) -> Vec<String> {
    let mut harm = Vec::new();
    let old_tables: BTreeSet<&String> = before.columns.keys().map(|(table, _)| table).collect();
    for ((table, column), (kind, _)) in &before.columns {
        match after.columns.get(&(table.clone(), column.clone())) {
            None => harm.push(format!("{table}.{column} is gone")),
            Some((now, _)) if now != kind => harm.push(format!("{table}.{column} was {kind} and is {now}")),
            Some(_) => {}
        }
    }
    let is_new =
        |table: &String, column: &String| !before.columns.contains_key(&(table.clone(), column.clone()));
    for ((table, column), (_, required)) in &after.columns {
        let was_required = before.columns.get(&(table.clone(), column.clone())).is_some_and(|(_, was)| *was);
        if old_tables.contains(table) && *required && !was_required {
            harm.push(format!("{table}.{column} must be given"));
        }
    }
    for (table, demand) in
        after.demands.difference(&before.demands).filter(|(table, _)| old_tables.contains(table))
    {
        // A new condition that names a new column is allowed. Older versions do not write the column, so the column
        // gets its default, which meets the condition.
        let names_new = after
            .columns
            .keys()
            .any(|(of, column)| of == table && is_new(of, column) && demand.contains(column));
        if !names_new {
            harm.push(format!("{table} has a new demand: {demand}"));
        }
    }
    harm
}

async fn migrations_that_expand_break_no_older_version(app: Arc<TestApp>) {
    let all: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let first = all.iter().position(|name| name == LAST_WITHOUT_RULE).expect("it is there") + 1;
    for name in &all[first..] {
        assert!(
            is_expanding(name) || name.contains("_contract_"),
            "{name} must say in its name whether it only adds (`_expand_`) or takes something away (`_contract_`): see \
             CONTRIBUTING, \"Add a migration\""
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let url = app.backend.create(folder.path()).await;
    let connection = sea_orm::Database::connect(&url).await.unwrap();
    Migrator::up(&connection, Some(u32::try_from(first).unwrap())).await.unwrap();
    let mut before = shape(&connection).await;
    assert!(
        before.columns.len() > 200 && before.demands.len() > 20,
        "the columns and the demands of the schema were not read"
    );
    for name in &all[first..] {
        Migrator::up(&connection, Some(1)).await.unwrap();
        let after = shape(&connection).await;
        if is_expanding(name) {
            assert_eq!(harm(&before, &after), Vec::<String>::new(), "{name}");
        }
        before = after;
    }
    connection.close().await.unwrap();
    app.backend.remove(&url).await;
}

/// `jishu migrate plan` shows only the statements that go through `step(manager)`, so a migration must not send any
/// statement with `execute_unprepared`.
#[test]
fn migrations_send_every_statement_through_steps() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migration/src");
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("a file").path();
        if path.file_name().is_some_and(|name| name == "steps.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file of Rust");
        assert!(
            !text.contains("execute_unprepared"),
            "{}: use `step(manager).execute(…)`, because `migrate plan` does not show other statements",
            path.display()
        );
    }
}

async fn harm_to_older_versions_is_found(app: Arc<TestApp>) {
    let connection = app.connection();
    let whole = shape(connection).await;
    assert_eq!(harm(&whole, &whole), Vec::<String>::new());
    let is_sqlite = app.backend == Backend::Sqlite;
    let mut cases = vec![
        ("ALTER TABLE courses ADD COLUMN motto TEXT", None),
        ("ALTER TABLE courses ADD COLUMN stars BIGINT NOT NULL DEFAULT 3", None),
        ("CREATE TABLE mottos (id BIGINT NOT NULL PRIMARY KEY, motto VARCHAR(9) NOT NULL)", None),
        ("CREATE INDEX idx_stars ON courses (stars)", None),
        ("CREATE UNIQUE INDEX unique_names ON courses (name)", Some("courses has a new demand")),
        ("ALTER TABLE purchases RENAME COLUMN cost TO price", Some("purchases.cost is gone")),
        ("DROP TABLE test_answers", Some("test_answers.slot is gone")),
    ];
    if !is_sqlite {
        // SQLite itself refuses a new column that is NOT NULL without a default, and cannot add a condition to a table.
        cases.push((
            "ALTER TABLE courses ADD COLUMN rank_now BIGINT NOT NULL",
            Some("courses.rank_now must be given"),
        ));
        cases.push((
            "ALTER TABLE subjects ADD CONSTRAINT few CHECK (max_attempts < 10)",
            Some("subjects has a new demand"),
        ));
    }
    for (statement, expected) in cases {
        let before = shape(connection).await;
        app.execute(statement).await;
        let found = harm(&before, &shape(connection).await);
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{statement}"),
            Some(expected) => {
                assert!(found.iter().any(|harm| harm.starts_with(expected)), "{statement}: {found:?}");
            }
        }
    }
}

/// Migrates the database as the next version would, while a node of this version runs.
async fn an_older_version_works_on_an_expanded_schema(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
    app.bank(course.subject_rows[0], 4).await;
    let learner = app.learner("Asha").await;
    let card = learner.buy(course.subject(0)).await.cards().nodes().next().expect("a card").id.clone();
    for statement in [
        "ALTER TABLE users ADD COLUMN next_text VARCHAR(20)",
        "ALTER TABLE purchases ADD COLUMN next_number BIGINT NOT NULL DEFAULT 7",
        "ALTER TABLE mock_test_attempts ADD COLUMN next_number BIGINT NOT NULL DEFAULT 7",
        "ALTER TABLE test_sessions ADD COLUMN next_number BIGINT NOT NULL DEFAULT 7",
        "CREATE INDEX next_index ON purchases (next_number)",
        "CREATE TABLE next_table (id BIGINT NOT NULL PRIMARY KEY)",
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20991231_000099_expand_next', 0)",
    ] {
        app.execute(statement).await;
    }
    assert_eq!(learner.start_session(&card).await.user_errors, []);
    learner.buy(course.subject(1)).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases WHERE next_number = 7").await, 2);

    // A node of this version can also start on the newer schema, where it finds nothing to migrate. This version
    // refuses to revert, because it does not know the newer migration.
    let database = Database::connect(&DatabaseOptions::new(&app.database_url)).await.unwrap();
    database.refuse_newer().await.expect("the migration only adds");
    database.migrate_up().await.expect("nothing to do");
    assert!(matches!(database.migrate_down(1).await, Err(MigrateError::Newer(_))));
    app.execute(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20991231_000100_contract_next', 0)",
    )
    .await;
    let refused = database.refuse_newer().await.expect_err("the migration takes something away");
    assert!(refused.to_string().contains("m20991231_000100_contract_next"), "{refused}");
    assert!(!refused.to_string().contains("expand"), "{refused}");
    database.close().await.unwrap();
}

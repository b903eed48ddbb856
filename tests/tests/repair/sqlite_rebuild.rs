//! Repairs on SQLite, where a key that is part of CREATE TABLE can only be dropped by rebuilding the table.

use jishu_repair::RepairProgress;
use jishu_tests::Backend;

use crate::old_database::{InitialKeys, OldDatabase};

#[tokio::test]
async fn a_rebuilt_table_loses_only_the_wrong_key() {
    OldDatabase::on(Backend::Sqlite, async |old| {
        for text in [
            "CREATE TABLE purchases (id INTEGER PRIMARY KEY)",
            "CREATE TABLE audit (what TEXT)",
            "CREATE TABLE mock_test_attempts (id INTEGER PRIMARY KEY AUTOINCREMENT, -- its number, of \
             course\n purchase_id INTEGER REFERENCES purchases (id), user_id INTEGER, subject_id INTEGER, \
             test_number INTEGER, \"odd \"\"name\"\"\" TEXT DEFAULT 'UNIQUE (purchase_id, test_number)', \
             twice INTEGER GENERATED ALWAYS AS (test_number * 2) STORED, parent INTEGER REFERENCES \
             mock_test_attempts (id), UNIQUE (purchase_id, test_number), CHECK (test_number > 0))",
            "CREATE TABLE test_attempt_sessions (id INTEGER PRIMARY KEY, mock_test_id INTEGER NOT NULL \
             REFERENCES mock_test_attempts ON DELETE CASCADE)",
            "CREATE INDEX by_user ON mock_test_attempts (user_id) WHERE user_id > 0",
            "CREATE VIEW cards AS SELECT id, test_number FROM mock_test_attempts",
            "CREATE TRIGGER noted AFTER UPDATE ON mock_test_attempts BEGIN INSERT INTO audit VALUES \
             (new.id); END",
            "CREATE TRIGGER other AFTER INSERT ON audit WHEN (SELECT COUNT(*) FROM mock_test_attempts) < 0 \
             BEGIN DELETE FROM audit; END",
            "INSERT INTO purchases VALUES (1)",
            "INSERT INTO mock_test_attempts (purchase_id, user_id, subject_id, test_number, \"odd \
             \"\"name\"\"\", \
             parent) VALUES (1, 1, 1, 1, 'kept', NULL), (1, 1, 1, 2, 'too', 1), (1, 1, 1, 3, 'gone', NULL)",
            "INSERT INTO test_attempt_sessions VALUES (1, 2)",
            // After this deletion, the counter of ids must not go back.
            "DELETE FROM mock_test_attempts WHERE id = 3",
        ] {
            old.run(text).await;
        }
        let before = old.structure().await;
        let contents = "SELECT id, purchase_id, test_number, \"odd \"\"name\"\"\", twice, parent FROM \
         mock_test_attempts";
        let rows = old.rows(contents).await;
        old.repair().await;

        assert_eq!(old.rows(contents).await, rows);
        let after = old.structure().await;
        let kept = |structure: &[Vec<String>]| -> Vec<Vec<String>> {
            let changed = ["mock_test_attempts", "unique_test_per_purchase_subject", "jishu_repair_runs"];
            let is_kept = |row: &&Vec<String>| {
                !changed.contains(&row[1].as_str()) && !row[1].starts_with("sqlite_auto")
            };
            structure.iter().filter(is_kept).cloned().collect()
        };
        assert_eq!(kept(&after), kept(&before));
        let table = after.iter().find(|row| row[1] == "mock_test_attempts").unwrap();
        assert!(
            table[2].contains("-- its number, of course")
                && table[2].contains(
                    "CHECK (test_number > \
         0)"
                )
        );
        assert!(
            table[2].ends_with(
                "REFERENCES mock_test_attempts (id), CHECK (test_number > \
         0))"
            ),
            "{}",
            table[2]
        );

        assert!(old.report().await.ok);
        assert_eq!(old.count("cards").await, 2);
        assert_eq!(old.count("audit").await, 0);
        old.run("UPDATE mock_test_attempts SET user_id = 2 WHERE id = 1").await;
        assert_eq!(old.count("audit").await, 1);
        old.run(
            "INSERT INTO mock_test_attempts (purchase_id, subject_id, test_number) VALUES (1, 2, \
         1)",
        )
        .await;
        assert_eq!(old.rows("SELECT MAX(id) FROM mock_test_attempts").await, [["4"]]);
        assert!(old.try_run("INSERT INTO test_attempt_sessions VALUES (2, 99)").await.is_err());
        assert!(old.rows("SELECT * FROM pragma_foreign_key_check").await.is_empty());
        assert_eq!(old.rows("SELECT * FROM pragma_integrity_check").await, [["ok"]]);
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_repair_changes_nothing() {
    OldDatabase::starting(Backend::Sqlite, InitialKeys::OldOnly, async |old| {
        let structure = old.structure().await;
        let result = old.repair_until(|progress| matches!(progress, RepairProgress::Committing)).await;
        assert!(result.is_err());
        assert_eq!(old.structure().await, structure);
        assert!(old.add_card(1, 1, 2, 1, 0, "available").await.is_err());
    })
    .await;
}

#[tokio::test]
async fn rows_that_already_break_a_foreign_key_do_not_stop_the_repair() {
    OldDatabase::starting(Backend::Sqlite, InitialKeys::OldOnly, async |old| {
        old.run("PRAGMA foreign_keys = OFF").await;
        old.run("INSERT INTO test_attempt_sessions (mock_test_id, attempt_number) VALUES (999, 1)").await;
        assert!(old.repair().await.report.ok);
        assert_eq!(old.count("test_attempt_sessions").await, 4);
    })
    .await;
}

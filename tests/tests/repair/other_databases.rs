//! Checks and repairs databases with other schemas, with locks, with an invalid index, or with problems that no repair
//! corrects. Also tests databases without the table, and a file that does not exist.

use jishu_migration::{Migrator, MigratorTrait};
use jishu_repair::{RepairError, RepairProgress, RepairSession};
use jishu_tests::Backend;
use sea_orm::ConnectionTrait;

use crate::old_database::{InitialKeys, OldDatabase, connect, on_each};

on_each!(
    a_database_without_the_table_is_an_error,
    the_new_schema_has_no_problems_and_missing_cards_are_found,
    problems_without_a_repair_are_reported,
    other_schemas_keep_their_keys_and_their_references_move,
    the_repair_waits_briefly_for_an_open_transaction,
);

async fn a_database_without_the_table_is_an_error(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        let session = old.open().await;
        let result = session.inspect().await;
        assert!(matches!(result, Err(RepairError::NoTable { .. })), "{result:?}");
        old.run("CREATE TABLE mock_test_attempts (id INTEGER PRIMARY KEY, test_number INTEGER)").await;
        let result = session.inspect().await;
        let Err(RepairError::MissingColumns(missing)) = result else { panic!("{result:?}") };
        assert_eq!(missing, ["purchase_id", "subject_id"]);
        session.close().await.unwrap();
    })
    .await;
}

async fn the_new_schema_has_no_problems_and_missing_cards_are_found(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        Migrator::up(&old.connection, None).await.unwrap();
        let structure = old.structure().await;
        assert!(old.report().await.ok);
        assert!(old.repair().await.statements.is_empty());
        assert_eq!(old.structure().await, structure);

        for text in [
            "INSERT INTO users (id, name, email, password_hash, role, status, created_at) \
             VALUES (1, 'A', 'a@example.com', 'x', 'learner', 'active', '2026-01-01 00:00:00')",
            "INSERT INTO entitlements (purchase_id, subject_id, user_id, price_paid, test_cards, granted_at) \
             VALUES (1, 1, 1, 0, 3, '2026-01-01 00:00:00')",
            "INSERT INTO mock_test_attempts (purchase_id, user_id, subject_id, test_number, status, \
             max_attempts) VALUES (1, 1, 1, 1, 'available', 3)",
        ] {
            // The foreign keys are off, so that the test needs no courses and purchases.
            let other = connect(&old.url).await;
            for off in match backend {
                Backend::Sqlite => ["PRAGMA foreign_keys = OFF"],
                Backend::Postgres => ["SET session_replication_role = replica"],
                Backend::MariaDb => ["SET foreign_key_checks = 0"],
            } {
                other.execute_unprepared(off).await.unwrap();
            }
            other.execute_unprepared(text).await.unwrap();
            other.close().await.unwrap();
        }
        let report = old.report().await;
        assert_eq!(report.problems.len(), 1, "{report}");
        assert_eq!(report.problems[0].code, "missing_cards");
        assert_eq!(report.problems[0].samples[0]["expected"], 3);
        assert_eq!(report.problems[0].samples[0]["cards"], 1);
    })
    .await;
}

async fn problems_without_a_repair_are_reported(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::NewOnly, async |old| {
        // These rows are two cards without a purchase, a gap in the numbers, and a subject that was bought twice.
        for _ in 0..2 {
            old.run(
                "INSERT INTO mock_test_attempts (user_id, course_id, subject_id, test_number) VALUES (1, \
                 1, 1, 1)",
            )
            .await;
        }
        old.add_card(1, 1, 2, 7, 0, "available").await.unwrap();
        old.add_card(2, 1, 1, 1, 0, "available").await.unwrap();
        let report = old.report().await;
        let found: Vec<_> = report.problems.iter().map(|problem| (problem.code, problem.count)).collect();
        assert_eq!(found, [("null_in_key", 2), ("number_gaps", 1), ("overlapping_purchases", 1)]);
        assert!(report.problems.iter().all(|problem| !problem.repairable && !problem.samples.is_empty()));
        assert_eq!(report.problems[0].samples[0]["purchase_id"], serde_json::Value::Null);
        assert_eq!(report.problems[2].samples[0]["purchases"], 2);
        assert!(old.repair().await.statements.is_empty());
    })
    .await;
}

async fn other_schemas_keep_their_keys_and_their_references_move(backend: Backend) {
    let wrong = "CREATE TABLE {}.mock_test_attempts (id INTEGER PRIMARY KEY, purchase_id INTEGER, \
                 subject_id INTEGER, test_number INTEGER, UNIQUE (purchase_id, test_number))";
    OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
        let other = match backend {
            Backend::Sqlite => return,
            Backend::Postgres => "archive".to_owned(),
            Backend::MariaDb => format!("{}_x", old.url.rsplit_once('/').unwrap().1),
        };
        old.run(&format!("CREATE SCHEMA {other}")).await;
        old.run(&wrong.replace("{}", &other)).await;
        let parent = match backend {
            Backend::Postgres => "public.mock_test_attempts".to_owned(),
            _ => format!("{}.mock_test_attempts", old.url.rsplit_once('/').unwrap().1),
        };
        old.run(&format!(
            "CREATE TABLE {other}.remarks (card INTEGER, FOREIGN KEY (card) REFERENCES {parent} (id) ON \
             DELETE CASCADE)"
        ))
        .await;
        old.run(&format!("INSERT INTO {other}.remarks VALUES (2)")).await;
        assert!(!old.codes().await.contains(&"old_key_present"));
        old.repair().await;
        assert_eq!(old.rows(&format!("SELECT card FROM {other}.remarks")).await, [["9"]]);
        if backend == Backend::MariaDb {
            old.run(&format!("DROP DATABASE {other}")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn postgres_an_invalid_index_is_replaced() {
    OldDatabase::starting(Backend::Postgres, InitialKeys::Duplicates, async |old| {
        // Creating the index fails because of duplicates, and leaves an invalid index.
        let text = "CREATE UNIQUE INDEX CONCURRENTLY unique_test_per_purchase_subject \
                    ON mock_test_attempts (purchase_id, subject_id, test_number)";
        assert!(old.try_run(text).await.is_err());
        let helper = "CREATE INDEX jishu_repair_exam_category_questions_mock_test_id \
                      ON exam_category_questions (mock_test_id)";
        old.run(helper).await;
        let codes = old.codes().await;
        assert_eq!(codes, ["new_key_missing", "invalid_index", "repair_unfinished", "duplicate_cards"]);
        old.repair().await;
        old.assert_right(InitialKeys::Duplicates).await;
    })
    .await;
}

async fn the_repair_waits_briefly_for_an_open_transaction(backend: Backend) {
    if backend == Backend::Sqlite {
        // On SQLite the repair waits for a lock like any other writer, so there is nothing to test.
        return;
    }
    OldDatabase::starting(backend, InitialKeys::OldOnly, async |old| {
        let holder = connect(&old.url).await;
        holder.execute_unprepared("BEGIN").await.unwrap();
        holder.execute_unprepared("SELECT 1 FROM mock_test_attempts").await.unwrap();
        let mut waits = 0;
        let result = old
            .repair_until(|progress| {
                waits += u32::from(matches!(
                    progress,
                    RepairProgress::Locked { .. } | RepairProgress::Working { .. }
                ));
                waits > 2
            })
            .await;
        assert!(matches!(result, Err(RepairError::Interrupted)), "{result:?}");
        holder.execute_unprepared("COMMIT").await.unwrap();
        holder.close().await.unwrap();
        old.repair().await;
        old.assert_right(InitialKeys::OldOnly).await;
    })
    .await;
}

#[tokio::test]
async fn a_missing_file_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("absent.db");
    assert!(RepairSession::open(&format!("sqlite://{}?mode=rwc", file.display())).await.is_err());
    assert!(!file.exists());
    assert!(matches!(RepairSession::open("oracle://x").await, Err(RepairError::UnknownScheme)));
}

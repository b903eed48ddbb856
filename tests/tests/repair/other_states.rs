//! What else a database may be like.

use jishu_migration::{Migrator, MigratorTrait};
use jishu_repair::{RepairError, RepairProgress, RepairSession};
use jishu_tests::Backend;
use sea_orm::ConnectionTrait;

use crate::old::{Old, Start, connect, on_each};

on_each!(
    a_database_without_the_table_is_an_error,
    our_own_schema_is_right_and_missing_cards_are_found,
    what_cannot_be_repaired_is_reported,
    other_schemas_are_left_alone_and_their_references_follow,
    a_transaction_that_is_left_open_is_waited_for_in_short_waits,
);

async fn a_database_without_the_table_is_an_error(backend: Backend) {
    Old::on(backend, async |old| {
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

async fn our_own_schema_is_right_and_missing_cards_are_found(backend: Backend) {
    Old::on(backend, async |old| {
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
            // Courses and purchases play no part here.
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

async fn what_cannot_be_repaired_is_reported(backend: Backend) {
    Old::starting(backend, Start::NewOnly, async |old| {
        // A card without a purchase, twice; a gap; the same subject through another purchase.
        for _ in 0..2 {
            old.run(
                "INSERT INTO mock_test_attempts (user_id, course_id, subject_id, test_number) VALUES (1, \
                 1, 1, 1)",
            )
            .await;
        }
        old.card(1, 1, 2, 7, 0, "available").await.unwrap();
        old.card(2, 1, 1, 1, 0, "available").await.unwrap();
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

async fn other_schemas_are_left_alone_and_their_references_follow(backend: Backend) {
    let wrong = "CREATE TABLE {}.mock_test_attempts (id INTEGER PRIMARY KEY, purchase_id INTEGER, \
                 subject_id INTEGER, test_number INTEGER, UNIQUE (purchase_id, test_number))";
    Old::starting(backend, Start::Duplicates, async |old| {
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
async fn postgres_what_an_interrupted_build_left_is_built_anew() {
    Old::starting(Backend::Postgres, Start::Duplicates, async |old| {
        // Duplicates make the build fail, and its index stays behind, not working.
        let text = "CREATE UNIQUE INDEX CONCURRENTLY unique_test_per_purchase_subject \
                    ON mock_test_attempts (purchase_id, subject_id, test_number)";
        assert!(old.try_run(text).await.is_err());
        let helper = "CREATE INDEX jishu_repair_exam_category_questions_mock_test_id \
                      ON exam_category_questions (mock_test_id)";
        old.run(helper).await;
        let codes = old.codes().await;
        assert_eq!(codes, ["new_key_missing", "invalid_index", "repair_unfinished", "duplicate_cards"]);
        old.repair().await;
        old.assert_right(Start::Duplicates).await;
    })
    .await;
}

async fn a_transaction_that_is_left_open_is_waited_for_in_short_waits(backend: Backend) {
    if backend == Backend::Sqlite {
        // There the repair waits for its turn to write, as any writer does.
        return;
    }
    Old::starting(backend, Start::OldOnly, async |old| {
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
        old.assert_right(Start::OldOnly).await;
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("absent.db");
    assert!(RepairSession::open(&format!("sqlite://{}?mode=rwc", file.display())).await.is_err());
    assert!(!file.exists());
    assert!(matches!(RepairSession::open("oracle://x").await, Err(RepairError::UnknownScheme)));
}

//! Repairs databases with duplicate cards.

use jishu_repair::{RepairError, RepairProgress, StepKind};
use jishu_tests::Backend;
use sea_orm::ConnectionTrait;

use crate::old_database::{InitialKeys, OldDatabase, connect, on_each};

on_each!(
    merged_cards_are_logged_and_their_rows_move_to_the_survivor,
    twenty_duplicates_become_one_card,
    sittings_are_renumbered_in_order_of_time,
    a_row_that_cannot_move_stops_the_repair,
    a_second_repair_adds_to_the_log_of_the_first,
    duplicates_inserted_during_the_repair_are_merged,
    of_two_concurrent_repairs_only_one_makes_changes,
);

async fn merged_cards_are_logged_and_their_rows_move_to_the_survivor(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
        let columns = "id, purchase_id, user_id, course_id, subject_id, test_number, max_attempts, \
                       attempts_used, status, CAST(created_at AS CHAR(19))";
        let before = old
            .rows(&format!("SELECT {columns} FROM mock_test_attempts WHERE id IN (2, 6, 10, 12) ORDER BY id"))
            .await;
        let outcome = old.repair().await;
        let log = format!("SELECT {columns} FROM mock_test_attempts_merged ORDER BY id");
        assert_eq!(old.rows(&log).await, before);
        assert_eq!(
            old.rows("SELECT id, survivor_id FROM mock_test_attempts_merged ORDER BY id").await,
            [["2", "9"], ["6", "11"], ["10", "9"], ["12", "7"]]
        );
        let merged: Vec<_> =
            outcome.merged.iter().map(|merged| (merged.survivor_id, merged.merged_ids.clone())).collect();
        assert_eq!(merged, [(9, vec![10, 2]), (11, vec![6]), (7, vec![12])]);
        // A surviving card adds up the used attempts of its duplicates. Card 9 has used 0 + 2 + 1 of 3 attempts. Card
        // 11 has used 1 + 3, so its limit rises to 4. Card 7 has used 1 + 0.
        assert_eq!(
            old.rows(
                "SELECT id, attempts_used, max_attempts, status FROM mock_test_attempts WHERE id IN (7, 9, \
                 11) ORDER BY id"
            )
            .await,
            [["7", "1", "3", "completed"], ["9", "3", "3", "in_progress"], ["11", "4", "4", "exhausted"]]
        );
        // The sittings are numbered in order of time. The score of a sitting is the minute of its start.
        assert_eq!(
            old.rows(
                "SELECT mock_test_id, attempt_number, score FROM test_attempt_sessions ORDER BY \
                 mock_test_id, attempt_number"
            )
            .await,
            [
                ["7", "1", "2"],
                ["8", "1", "3"],
                ["9", "1", "30"],
                ["9", "2", "40"],
                ["9", "3", "50"],
                ["11", "1", "0"],
                ["11", "2", "1"],
                ["11", "3", "60"],
                ["11", "4", "61"]
            ]
        );
        let moved = "SELECT mock_test_id FROM exam_category_questions WHERE question IN ('Q1', 'Q5', 'R') \
                     ORDER BY question";
        // The surviving card 7 has a question of its own, so the question R of the merged card 12 gets no card.
        assert_eq!(old.rows(moved).await, [["9"], ["11"], ["null"]]);
    })
    .await;
}

async fn twenty_duplicates_become_one_card(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::Neither, async |old| {
        for copy in 0..20 {
            old.add_card(1, 1, 1, 3, copy % 2, "available").await.unwrap();
        }
        old.run("UPDATE mock_test_attempts SET max_attempts = 50 WHERE id = 20").await;
        for card in 9..29 {
            old.add_sitting(card, 1, 100 - card).await;
        }
        let outcome = old.repair().await;
        assert_eq!(outcome.merged_cards, 20);
        // Card 10 survives, because it is the first duplicate with a used attempt. The 20 sittings of the duplicates
        // count as used attempts. The greatest `max_attempts` of the duplicates stays.
        assert_eq!(
            old.rows(
                "SELECT id, attempts_used, max_attempts FROM mock_test_attempts WHERE purchase_id = 1 AND \
                 test_number = 3"
            )
            .await,
            [["10", "20", "50"]]
        );
        let numbered =
            "SELECT attempt_number, score FROM test_attempt_sessions WHERE mock_test_id = 10 ORDER BY 1";
        let wanted: Vec<_> = (1..=20).map(|number| [number.to_string(), (71 + number).to_string()]).collect();
        assert_eq!(old.rows(numbered).await, wanted);
        assert!(outcome.report.ok, "{}", outcome.report);
    })
    .await;
}

async fn sittings_are_renumbered_in_order_of_time(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::Neither, async |old| {
        old.add_card(1, 1, 1, 1, 3, "available").await.unwrap();
        for (card, number, minute) in [(9, 2, 1), (9, 3, 5), (9, 1, 9), (1, 1, 3), (1, 2, 7)] {
            old.add_sitting(card, number, minute).await;
        }
        old.repair().await;
        let numbered =
            "SELECT attempt_number, score FROM test_attempt_sessions WHERE mock_test_id = 9 ORDER BY 1";
        assert_eq!(old.rows(numbered).await, [["1", "1"], ["2", "3"], ["3", "5"], ["4", "7"], ["5", "9"]]);
    })
    .await;
}

async fn a_row_that_cannot_move_stops_the_repair(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
        old.run(
            "CREATE TABLE certificates (mock_test_id INTEGER NOT NULL UNIQUE, text VARCHAR(20), \
             FOREIGN KEY (mock_test_id) REFERENCES mock_test_attempts (id))",
        )
        .await;
        old.run("INSERT INTO certificates (mock_test_id, text) VALUES (2, 'one')").await;
        old.run("INSERT INTO certificates (mock_test_id, text) VALUES (10, 'two')").await;
        assert!(old.codes().await.contains(&"child_collision"));
        let result = old.repair_until(|_| false).await;
        assert!(matches!(result, Err(RepairError::Blocked(_))), "{result:?}");
        assert_eq!(old.count("mock_test_attempts").await, 12);
        old.run("DELETE FROM certificates WHERE mock_test_id = 2").await;
        old.repair().await;
        assert_eq!(old.rows("SELECT mock_test_id, text FROM certificates").await, [["9", "two"]]);
    })
    .await;
}

async fn a_second_repair_adds_to_the_log_of_the_first(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
        old.repair().await;
        // The table gets the state that a restore from a backup without the key leaves. It also gets a new column.
        let table = "mock_test_attempts";
        match backend {
            Backend::MariaDb => {
                old.run(&format!(
                    "ALTER TABLE {table} ADD INDEX i (purchase_id), DROP INDEX \
                     unique_test_per_purchase_subject"
                ))
                .await;
            }
            _ => old.run("DROP INDEX unique_test_per_purchase_subject").await,
        }
        old.run(&format!("ALTER TABLE {table} ADD COLUMN remark VARCHAR(20)")).await;
        old.add_card(1, 1, 1, 2, 0, "available").await.unwrap();
        old.run(&format!("UPDATE {table} SET remark = 'late' WHERE id = 13")).await;
        let outcome = old.repair().await;
        assert_eq!((outcome.merged_cards, outcome.report.merged_cards), (1, 5));
        let late = "SELECT id, survivor_id FROM mock_test_attempts_merged WHERE remark = 'late'";
        assert_eq!(old.rows(late).await, [["13", "9"]]);
    })
    .await;
}

async fn duplicates_inserted_during_the_repair_are_merged(backend: Backend) {
    if backend == Backend::Sqlite {
        // On SQLite no other connection can write during a repair, so the test ends here.
        return;
    }
    for comes_in in [3, u32::MAX] {
        OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
            let (mut made, url) = (0, old.url.clone());
            let result = old
                .repair_until(|progress| {
                    if let RepairProgress::Step { step, .. } = progress
                        && step.kind == StepKind::Keys
                        && made < comes_in
                    {
                        made += 1;
                        insert_duplicate(&url);
                    }
                    false
                })
                .await;
            match result {
                Ok(outcome) => {
                    assert_eq!((outcome.merged_cards, outcome.merged_groups), (4 + 3, 3 + 3));
                    assert_eq!(old.count("mock_test_attempts_merged").await, 7);
                    old.run("DELETE FROM mock_test_attempts_merged WHERE id > 12").await;
                    old.assert_right(InitialKeys::Duplicates).await;
                }
                Err(error) => {
                    assert!(
                        matches!(error, RepairError::TooManyRounds { last_error: Some(_), .. }),
                        "{error}"
                    );
                    assert_eq!(comes_in, u32::MAX);
                    old.repair().await;
                    assert!(old.report().await.ok);
                }
            }
        })
        .await;
    }
}

/// Inserts a duplicate card on a connection of its own, as the application does. Runs on a thread of its own, because
/// the caller cannot await.
fn insert_duplicate(url: &str) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let connection = connect(url).await;
                let text = "INSERT INTO mock_test_attempts (purchase_id, user_id, course_id, subject_id, \
                            test_number) VALUES (1, 1, 1, 1, 4)";
                connection.execute_unprepared(text).await.unwrap();
                connection.close().await.unwrap();
            });
        });
    });
}

async fn of_two_concurrent_repairs_only_one_makes_changes(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
        let (one, other) = tokio::join!(old.repair_until(|_| false), old.repair_until(|_| false));
        let merged = one.unwrap().merged_cards + other.unwrap().merged_cards;
        assert_eq!(merged, 4);
        old.assert_right(InitialKeys::Duplicates).await;
    })
    .await;
}

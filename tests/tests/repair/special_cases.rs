//! Special cases of merges, of scores and statuses, of `check` and of undo, and cases that only a person can decide.

use jishu_repair::{RepairError, plan};
use jishu_tests::Backend;

use crate::old_database::{InitialKeys, OldDatabase, on_each};
use crate::two_cards::SchemaAge;

on_each!(
    cards_of_two_users_are_never_merged,
    the_percentage_uses_the_questions_of_the_sitting,
    the_latest_score_is_that_of_the_sitting_that_ended_last,
    check_finds_values_that_contradict_the_sittings,
    a_merged_card_without_an_open_sitting_is_available,
    statuses_keep_the_spelling_of_the_database,
    two_question_sets_that_need_a_card_are_reported,
    a_repair_of_keys_alone_can_be_undone,
);

const ALL: &str = "max_attempts, attempts_used, status, total_questions, questions_generated, latest_score, \
                   latest_percentage, latest_time_taken, latest_attempt_date, first_attempt_score, \
                   first_attempt_date";

fn at(hour: i32) -> String {
    format!("'2024-05-02 {hour:02}:00:00'")
}

impl OldDatabase {
    async fn statuses(&self, table: &str) -> Vec<String> {
        let text = if self.backend == Backend::MariaDb { "CHAR" } else { "text" };
        let status = format!("SELECT CAST(status AS {text}) FROM {table} ORDER BY id");
        self.rows(&status).await.into_iter().map(|mut row| row.remove(0)).collect()
    }
}

async fn cards_of_two_users_are_never_merged(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        for (id, test) in [(1, 1), (2, 1), (3, 2)] {
            old.two_cards_card(
                id,
                test,
                "attempts_used, status, latest_score, first_attempt_score",
                "1, 'completed', 1, 1",
            )
            .await;
            old.two_cards_sitting(id, id, 1, "1", "completed", [Some(1), Some(2)]).await;
        }
        for (column, several) in [("user_id", "users"), ("course_id", "courses")] {
            old.run(&format!("UPDATE mock_test_attempts SET {column} = {column} + 1 WHERE id = 2")).await;
            old.run("UPDATE test_attempt_sessions SET user_id = 7 WHERE id <> 2").await;
            let dump = old.dump().await;
            let report = old.report().await;
            let found =
                report.problems.iter().find(|problem| problem.code == "cards_of_several_owners").unwrap();
            assert_eq!((found.count, found.repairable), (1, false), "{report}");
            assert_eq!(found.samples[0]["cards"], serde_json::json!([1, 2]));
            let error = old.repair_until(|_| false).await.unwrap_err();
            let expected = format!("the cards of purchase 1, subject 1, test 1 belong to several {several}");
            assert!(
                matches!(error, RepairError::Blocked(_)) && error.to_string().contains(&expected),
                "{error}"
            );
            assert_eq!(old.dump().await, dump);
            old.run(&format!("UPDATE mock_test_attempts SET {column} = {column} - 1 WHERE id = 2")).await;
        }
        // After the repair, a sitting gets another user, as if an earlier merge had moved it to another user's card.
        old.repair().await;
        assert_eq!(old.codes().await, [""; 0]);
        old.run("UPDATE test_attempt_sessions SET user_id = 8 WHERE id = 3").await;
        let report = old.report().await;
        assert_eq!(report.problems.len(), 1, "{report}");
        assert_eq!(
            (report.problems[0].code, report.problems[0].repairable),
            ("sitting_of_other_user", false)
        );
        assert_eq!(report.problems[0].samples[0]["sitting_user"], 8);
    })
    .await;
}

async fn the_percentage_uses_the_questions_of_the_sitting(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        // Card 11 has 4 questions and more sittings. Card 12 has 5 questions and the latest sitting.
        let values = format!("3, 2, 'completed', 4, TRUE, 2, 50, 1, {}, 1, {}", at(4), at(2));
        old.two_cards_card(11, 1, ALL, &values).await;
        old.two_cards_card(12, 1, ALL, "3, 1, 'completed', 5, TRUE, NULL, NULL, NULL, NULL, NULL, NULL")
            .await;
        old.two_cards_sitting(101, 11, 1, "1", "completed", [Some(1), Some(2)]).await;
        old.two_cards_sitting(102, 11, 2, "2", "completed", [Some(3), Some(4)]).await;
        old.two_cards_sitting(103, 12, 1, "4", "completed", [Some(5), Some(6)]).await;
        old.run("UPDATE test_attempt_sessions SET percentage = NULL").await;
        for (first, card) in [(1, 11), (3, 11), (5, 12)] {
            old.two_cards_questions(first, card, None).await;
        }
        old.repair().await;
        let integer = if backend == Backend::MariaDb { "SIGNED" } else { "INTEGER" };
        let ours = format!(
            "SELECT id, total_questions, latest_score, CAST(ROUND(latest_percentage) AS {integer}) FROM \
             mock_test_attempts"
        );
        assert_eq!(old.rows(&ours).await, [["11", "4", "4", "80"]]);
    })
    .await;
}

async fn the_latest_score_is_that_of_the_sitting_that_ended_last(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        // Sitting 1 lasted from one to nine o'clock. Sitting 2 began and ended during sitting 1.
        let values = format!("3, 2, 'completed', 3, TRUE, 3, 100, 1, {}, 2, {}", at(9), at(5));
        old.two_cards_card(1, 1, ALL, &values).await;
        old.two_cards_sitting(1, 1, 1, "3", "completed", [Some(1), Some(9)]).await;
        old.two_cards_sitting(2, 1, 2, "2", "completed", [Some(2), Some(5)]).await;
        old.repair().await;
        assert_eq!(old.codes().await, [""; 0]);
        let dump = old.dump().await;
        old.run("UPDATE mock_test_attempts SET latest_score = 2, first_attempt_score = 3").await;
        assert_eq!(old.codes().await, ["scores"]);
        old.repair().await;
        let ours = "SELECT latest_score, first_attempt_score FROM mock_test_attempts";
        assert_eq!(old.rows(ours).await, [["3", "2"]]);
        assert_eq!(old.dump().await[2], dump[2], "a sitting has not kept its number");

        // On SQLite some applications write a time with a T and others with a space.
        if backend == Backend::Sqlite {
            for (id, start, end) in [(1, "01", "02"), (2, "03", "04")] {
                let mark = if id == 1 { "T" } else { " " };
                old.run(&format!(
                    "UPDATE test_attempt_sessions SET started_at = '2024-05-02{mark}{start}:00:00', completed_at = \
                     '2024-05-02{mark}{end}:00:00' WHERE id = {id}"
                ))
                .await;
            }
            let right = "UPDATE mock_test_attempts SET latest_score = 2, latest_percentage = 66.67, latest_time_taken = \
                         2, first_attempt_score = 3";
            old.run(right).await;
            assert_eq!(old.codes().await, [""; 0]);
        }
    })
    .await;
}

async fn check_finds_values_that_contradict_the_sittings(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        if backend == Backend::MariaDb {
            // MariaDB sets `updated_at` when the test changes a card, so the dumps would differ.
            old.run("ALTER TABLE mock_test_attempts DROP COLUMN updated_at").await;
        }
        let values = format!("3, 1, 'completed', 3, TRUE, 3, 100, 1, {0}, 3, {0}", at(2));
        old.two_cards_card(1, 1, ALL, &values).await;
        old.two_cards_sitting(1, 1, 1, "3", "completed", [Some(1), Some(2)]).await;
        // Card 2 is correct: it is in progress, and has an open sitting.
        let values = "3, 1, 'in_progress', 3, TRUE, NULL, NULL, NULL, NULL, NULL, NULL";
        old.two_cards_card(2, 2, ALL, values).await;
        old.two_cards_sitting(2, 2, 1, "NULL", "in_progress", [Some(1), None]).await;
        // Some applications keep a card available until all attempts are used.
        let values = format!("3, 1, 'available', 3, TRUE, 3, 100, 3, {0}, 3, {0}", at(2));
        old.two_cards_card(3, 3, ALL, &values).await;
        old.two_cards_sitting(3, 3, 1, "3", "completed", [Some(1), Some(2)]).await;
        old.repair().await;
        assert_eq!(old.codes().await, [""; 0], "{}", old.report().await);
        let dump = old.dump().await;
        for (change, code) in [
            ("status = 'in_progress' WHERE id = 1", "status"),
            ("status = 'available' WHERE id = 2", "status"),
            ("latest_score = NULL, first_attempt_score = NULL WHERE id = 1", "scores"),
            ("latest_time_taken = 99 WHERE id = 1", "scores"),
            ("latest_attempt_date = '2024-04-30 02:00:00' WHERE id = 1", "scores"),
            ("first_attempt_date = '2030-01-01 00:00:00' WHERE id = 3", "scores"),
        ] {
            old.run(&format!("UPDATE mock_test_attempts SET {change}")).await;
            assert_eq!(old.codes().await, [code], "{change}");
            let outcome = old.repair().await;
            assert!(outcome.report.ok, "{change}: {}", outcome.report);
            assert_eq!(old.dump().await[1..], dump[1..], "{change}");
        }
        // A server in another time zone may have written this date, so it is no problem.
        old.run("UPDATE mock_test_attempts SET latest_attempt_date = '2024-05-01 20:30:00' WHERE id = 1")
            .await;
        assert_eq!(old.codes().await, [""; 0]);
        // The second sitting of card 1 may have been deleted, so the status is no problem.
        old.run("UPDATE mock_test_attempts SET status = 'in_progress', attempts_used = 2 WHERE id = 1").await;
        assert_eq!(old.codes().await, [""; 0]);
    })
    .await;
}

async fn a_merged_card_without_an_open_sitting_is_available(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        for (id, test, status) in [
            // Neither card of test 1 has a sitting.
            (11, 1, "in_progress"),
            (12, 1, "in_progress"),
            // The first card of test 2 was disabled because it was the duplicate.
            (21, 2, "disabled"),
            (22, 2, "available"),
            // Both cards of test 3 were disabled. In test 4 a card with a sitting was disabled.
            (31, 3, "disabled"),
            (32, 3, "disabled"),
            (41, 4, "available"),
            (42, 4, "disabled"),
        ] {
            let used = i32::from(id == 42);
            old.two_cards_card(id, test, "attempts_used, status", &format!("{used}, '{status}'")).await;
        }
        old.two_cards_sitting(1, 42, 1, "NULL", "abandoned", [Some(1), None]).await;
        let outcome = old.repair().await;
        assert!(outcome.report.ok, "{}", outcome.report);
        assert_eq!(
            old.statuses("mock_test_attempts").await,
            ["available", "available", "disabled", "disabled"]
        );
    })
    .await;
}

async fn statuses_keep_the_spelling_of_the_database(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        let words = [
            (
                "mock_test_attempts",
                "card_status",
                ["available", "in_progress", "completed", "disabled"].as_slice(),
            ),
            ("test_attempt_sessions", "sitting_status", &["in_progress", "completed", "abandoned"]),
        ];
        for (table, name, words) in words {
            let capitals: Vec<_> = words.iter().map(|word| format!("'{}'", word.to_uppercase())).collect();
            match backend {
                Backend::MariaDb => {
                    old.run(&format!("ALTER TABLE {table} MODIFY status ENUM({})", capitals.join(", ")))
                        .await;
                }
                Backend::Postgres => {
                    for (word, capitals) in words.iter().zip(&capitals) {
                        old.run(&format!("ALTER TYPE {name} RENAME VALUE '{word}' TO {capitals}")).await;
                    }
                }
                Backend::Sqlite => {}
            }
        }
        for (id, hour) in [(11, 1), (12, 2)] {
            old.two_cards_card(id, 1, "attempts_used, status", "1, 'IN_PROGRESS'").await;
            old.two_cards_sitting(id, id, 1, "NULL", "IN_PROGRESS", [Some(hour), None]).await;
            old.two_cards_card(id + 10, 2, "attempts_used, status", "0, 'IN_PROGRESS'").await;
        }
        let dump = old.dump().await;
        let outcome = old.repair().await;
        assert!(outcome.report.ok, "{}", outcome.report);
        assert_eq!(old.statuses("test_attempt_sessions").await, ["ABANDONED", "IN_PROGRESS"]);
        assert_eq!(old.statuses("mock_test_attempts").await, ["IN_PROGRESS", "AVAILABLE"]);
        old.undo().await.unwrap();
        assert_eq!(old.dump().await, dump);
    })
    .await;
}

async fn two_question_sets_that_need_a_card_are_reported(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Oldest).await;
        old.run("DROP TABLE exam_category_questions").await;
        old.run(
            "CREATE TABLE exam_category_questions (id INTEGER PRIMARY KEY, subject_id INTEGER, question VARCHAR(80), \
             mock_test_id INTEGER NOT NULL)",
        )
        .await;
        for (id, test) in [(11, 1), (12, 1), (21, 2), (22, 2)] {
            old.two_cards_card(id, test, "attempts_used, status", "0, 'available'").await;
        }
        // Test 1 has two question sets, and test 2 has one.
        for (first, card) in [(1, 11), (3, 12), (5, 22)] {
            old.two_cards_questions(first, card, None).await;
        }
        let dump = old.dump().await;
        let session = old.open().await;
        let summary = plan(&session.inspect().await.unwrap()).summary;
        session.close().await.unwrap();
        let sentence = "1 question set will move to a card that has another set";
        assert!(summary.iter().any(|text| text.starts_with(sentence)), "{summary:?}");
        old.repair().await;
        // A question that the application adds later does not count as a second set.
        old.two_cards_questions(7, 21, None).await;
        let report = old.report().await;
        assert_eq!(report.problems.len(), 1, "{report}");
        assert_eq!((report.problems[0].code, report.problems[0].count), ("question_sets", 1), "{report}");
        assert_eq!(report.problems[0].samples[0]["id"], 11);
        old.run("DELETE FROM exam_category_questions WHERE id > 6").await;
        old.undo().await.unwrap();
        assert_eq!(old.dump().await, dump);
        // After another repair, a person deletes one of the two question sets.
        old.repair().await;
        old.run("DELETE FROM exam_category_questions WHERE id < 3").await;
        assert_eq!(old.codes().await, [""; 0]);
    })
    .await;
}

async fn a_repair_of_keys_alone_can_be_undone(backend: Backend) {
    for start in [InitialKeys::OldOnly, InitialKeys::OldAndNew, InitialKeys::Neither] {
        OldDatabase::starting(backend, start, async |old| {
            let dump = old.dump().await;
            assert!(old.repair().await.report.ok);
            let undone = old.undo().await.unwrap();
            assert_eq!((undone.run, undone.runs_left), (1, 0));
            assert_eq!(old.dump().await, dump, "{start:?}");
        })
        .await;
    }
    // Undo undoes only the latest of two repairs.
    OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
        old.repair().await;
        let repaired = old.dump().await;
        old.run("CREATE UNIQUE INDEX back ON mock_test_attempts (purchase_id, test_number)").await;
        let with_old_key = old.dump().await;
        old.repair().await;
        assert_eq!(old.dump().await, repaired);
        let undone = old.undo().await.unwrap();
        assert_eq!((undone.run, undone.restored.cards, undone.runs_left), (2, 0, 1));
        assert_eq!(old.dump().await, with_old_key);
    })
    .await;
}

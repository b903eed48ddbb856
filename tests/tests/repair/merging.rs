//! The rules of a merge, and what the check reports about cards and their sittings. Most tests use the full columns of
//! the old system, and some use its oldest columns.

use jishu_repair::plan;
use jishu_tests::Backend;

use crate::old_database::{OldDatabase, on_each};
use crate::two_cards::SchemaAge;

on_each!(
    duplicate_cards_are_merged_by_all_rules,
    the_summary_says_how_many_rows_change,
    a_database_without_the_later_columns_is_repaired,
    check_finds_each_problem_and_repair_corrects_it,
    differences_that_deleted_sittings_explain_are_notes,
    check_reports_merges_of_an_earlier_version,
);

async fn duplicate_cards_are_merged_by_all_rules(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        old.fill_two_cards().await;
        let outcome = old.repair().await;
        assert!(outcome.report.ok, "{}", outcome.report);
        assert_eq!(outcome.report.notes, old.report().await.notes);
        assert_eq!((outcome.merged_cards, outcome.merged_groups, outcome.corrected_cards), (5, 4, 1));

        let generated = match backend {
            Backend::Postgres => "CAST(questions_generated AS int)",
            _ => "questions_generated",
        };
        let status = old.as_text("status");
        let cards = format!(
            "SELECT id, max_attempts, attempts_used, {status}, total_questions, {generated}, latest_score, \
             latest_time_taken, first_attempt_score FROM mock_test_attempts ORDER BY id"
        );
        let text = |value: &str| if backend == Backend::Sqlite { format!("'{value}'") } else { value.to_owned() };
        let (completed, open) = (text("completed"), text("in_progress"));
        assert_eq!(
            old.rows(&cards).await,
            [
                ["11", "4", "4", &completed, "3", "1", "3", "104", "1"],
                ["21", "3", "3", &open, "2", "1", "1", "201", "1"],
                ["32", "3", "3", &completed, "3", "1", "3", "303", "1"],
                ["41", "5", "3", &completed, "3", "1", "2", "403", "3"],
                ["51", "3", "1", &completed, "3", "1", "3", "501", "3"],
                ["61", "3", "3", &completed, "3", "1", "3", "603", "1"],
            ]
        );
        let hour = |column: &str| match backend {
            Backend::Postgres => format!("CAST(EXTRACT(HOUR FROM {column}) AS int)"),
            Backend::MariaDb => format!("HOUR({column})"),
            Backend::Sqlite => format!("CAST(substr({column}, 12, 2) AS INTEGER)"),
        };
        let dates = format!(
            "SELECT id, {}, {}, CAST(ROUND(latest_percentage) AS {}) FROM mock_test_attempts WHERE id IN (11, 21, 41, \
             61) ORDER BY id",
            hour("latest_attempt_date"),
            hour("first_attempt_date"),
            if backend == Backend::MariaDb { "SIGNED" } else { "INTEGER" },
        );
        assert_eq!(
            old.rows(&dates).await,
            [["11", "8", "2", "100"], ["21", "2", "2", "33"], ["41", "6", "1", "67"], ["61", "6", "2", "100"]]
        );
        let sittings = format!(
            "SELECT mock_test_id, attempt_number, id, {status} FROM test_attempt_sessions ORDER BY mock_test_id, \
             attempt_number"
        );
        let (completed, abandoned) = (completed.as_str(), text("abandoned"));
        assert_eq!(
            old.rows(&sittings).await,
            [
                ["11", "1", "101", completed],
                ["11", "2", "103", completed],
                ["11", "3", "102", completed],
                ["11", "4", "104", completed],
                ["21", "1", "201", completed],
                ["21", "2", "202", &abandoned],
                ["21", "3", "203", &open],
                ["32", "1", "301", completed],
                ["32", "2", "302", completed],
                ["32", "3", "303", completed],
                ["41", "1", "402", completed],
                ["41", "2", "403", completed],
                ["51", "1", "501", completed],
                ["61", "1", "601", completed],
                ["61", "2", "602", completed],
                ["61", "3", "603", completed],
            ]
        );
        assert_eq!(
            old.rows("SELECT id, mock_test_id FROM exam_category_questions ORDER BY id").await,
            [
                ["1", "11"],
                ["2", "11"],
                ["3", "null"],
                ["4", "null"],
                ["5", "null"],
                ["6", "null"],
                ["7", "21"],
                ["8", "21"],
                ["9", "32"],
                ["10", "32"],
                ["11", "51"],
                ["12", "51"],
            ]
        );
        let changes = "SELECT row_key, old_value, new_value FROM jishu_repair_changes WHERE repair_run = 1 AND \
                       table_name = 'test_attempt_sessions' AND column_name = 'attempt_number' AND row_key IN \
                       ('102', '103', '602') ORDER BY row_key";
        assert_eq!(old.rows(changes).await, [["102", "2", "3"], ["103", "1", "2"], ["602", "1", "2"]]);
        let aside = "SELECT row_key, old_value, new_value FROM jishu_repair_changes WHERE table_name = \
                     'exam_category_questions' AND new_value IS NULL ORDER BY row_key";
        assert_eq!(
            old.rows(aside).await,
            [["3", "12", "null"], ["4", "12", "null"], ["5", "21", "null"], ["6", "21", "null"]]
        );
        // A second run finds nothing to do.
        let again = old.repair().await;
        assert_eq!((again.statements.len(), again.merged_groups, again.corrected_cards), (0, 0, 0));
    })
    .await;
}

async fn the_summary_says_how_many_rows_change(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        old.fill_two_cards().await;
        let dump = old.dump().await;
        let session = old.open().await;
        let plan = plan(&session.inspect().await.unwrap());
        session.close().await.unwrap();
        assert_eq!(
            plan.summary,
            [
                "9 duplicate cards of 4 tests will become 4 cards.",
                "1 other card will be computed again from the sittings.",
                "4 sittings will move to the card that stays.",
                "8 sittings will get a new number, in order of time.",
                "1 open sitting will be closed as abandoned, because a later sitting of the card is open.",
                "2 question sets will be kept aside: 4 questions will stay in the table without a card.",
                "2 cards will get a higher limit, because more attempts were used than allowed.",
                "5 cards will take the first or latest score from the right sitting.",
                "Each change is logged. `jishu repair --undo` undoes the repair.",
            ]
        );
        assert!(plan.to_string().contains("-- 9 duplicate cards of 4 tests will become 4 cards."), "{plan}");
        assert_eq!(old.dump().await, dump);
    })
    .await;
}

/// Inserts rows with the columns that even the oldest schema has.
async fn fill_oldest_schema(old: &OldDatabase) {
    old.two_cards_card(11, 1, "attempts_used, status", "1, 'completed'").await;
    old.two_cards_card(12, 1, "attempts_used, status", "NULL, NULL").await;
    old.two_cards_sitting(101, 11, 1, "1", "completed", [Some(3), Some(4)]).await;
    old.two_cards_sitting(102, 12, 1, "2", "completed", [Some(1), Some(2)]).await;
    old.two_cards_questions(1, 12, None).await;
}

async fn a_database_without_the_later_columns_is_repaired(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Oldest).await;
        fill_oldest_schema(old).await;
        let dump = old.dump().await;
        let outcome = old.repair().await;
        assert!(outcome.report.ok, "{}", outcome.report);
        assert_eq!(old.rows("SELECT id, attempts_used FROM mock_test_attempts").await, [["11", "2"]]);
        assert_eq!(
            old.rows("SELECT mock_test_id, attempt_number, id FROM test_attempt_sessions ORDER BY id").await,
            [["11", "2", "101"], ["11", "1", "102"]]
        );
        assert_eq!(
            old.rows("SELECT DISTINCT mock_test_id FROM exam_category_questions").await,
            [["11"]],
            "the set of questions did not follow the card"
        );
        old.undo().await.unwrap();
        assert_eq!(old.dump().await, dump);

        // A database may have only cards, without tables of sittings and questions.
        old.run("DROP TABLE test_attempt_sessions").await;
        old.run("DROP TABLE exam_category_questions").await;
        assert!(old.repair().await.report.ok);
        assert_eq!(old.rows("SELECT id, attempts_used FROM mock_test_attempts").await, [["11", "1"]]);
    })
    .await;
}

async fn check_finds_each_problem_and_repair_corrects_it(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        old.fill_two_cards().await;
        old.run("DELETE FROM mock_test_attempts WHERE id IN (13, 31)").await;
        old.run("DELETE FROM test_answers").await;
        old.run("DELETE FROM test_attempt_sessions WHERE id NOT BETWEEN 500 AND 700").await;
        old.run("DELETE FROM exam_category_questions WHERE id < 11").await;
        old.run("DELETE FROM mock_test_attempts WHERE id < 50").await;
        old.run("UPDATE mock_test_attempts SET test_number = test_number - 4").await;
        old.repair().await;
        old.assert_only(&[]).await;

        old.run("UPDATE mock_test_attempts SET attempts_used = 9 WHERE id = 51").await;
        old.assert_only(&["attempts_over_limit"]).await;
        old.run("UPDATE mock_test_attempts SET attempts_used = 2, max_attempts = 3 WHERE id = 61").await;
        old.assert_only(&["attempts_used"]).await;
        old.run("UPDATE mock_test_attempts SET latest_score = 1 WHERE id = 61").await;
        old.assert_only(&["scores"]).await;
        // Nine attempts were used and only one sitting exists, so the score may come from a deleted sitting.
        old.run("UPDATE mock_test_attempts SET latest_score = 2 WHERE id = 51").await;
        old.assert_only(&[]).await;
        old.run("UPDATE mock_test_attempts SET attempts_used = 1 WHERE id = 51").await;
        old.assert_only(&["scores"]).await;
        old.two_cards_sitting(502, 51, 2, "NULL", "in_progress", [Some(3), None]).await;
        old.two_cards_sitting(503, 51, 2, "NULL", "in_progress", [Some(4), None]).await;
        old.assert_only(&["attempt_numbers", "two_open_sittings"]).await;
        assert_eq!(
            old.rows(
                "SELECT attempt_number, id FROM test_attempt_sessions WHERE mock_test_id = 51 ORDER BY 1"
            )
            .await,
            [["1", "501"], ["2", "502"], ["3", "503"]]
        );
        // The card has several question sets, and no rule decides which set stays.
        for id in [21, 31] {
            old.two_cards_questions(id, 51, None).await;
        }
        assert_eq!(old.codes().await, ["question_sets"]);
    })
    .await;
}

impl OldDatabase {
    /// Checks that the problems with these codes are found, or that no problem is found if there are no codes. Then
    /// repairs the database, and checks that no problem is left.
    async fn assert_only(&self, codes: &[&str]) {
        let report = self.report().await;
        let found: Vec<_> = report.problems.iter().map(|problem| problem.code).collect();
        assert!(codes.iter().all(|code| found.contains(code)), "{report}");
        assert!(report.problems.iter().all(|problem| problem.repairable), "{report}");
        assert!(codes.is_empty() == found.is_empty(), "{report}");
        let outcome = self.repair().await;
        assert!(outcome.report.ok, "{codes:?}: {}", outcome.report);
    }
}

async fn differences_that_deleted_sittings_explain_are_notes(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        let columns = "attempts_used, status, latest_score, first_attempt_score";
        old.two_cards_card(1, 1, columns, "3, 'completed', 3, 1").await;
        old.two_cards_sitting(2, 1, 2, "2", "completed", [Some(1), Some(2)]).await;
        old.two_cards_sitting(4, 1, 4, "NULL", "abandoned", [Some(3), None]).await;
        // No score of card 2 was ever computed.
        old.two_cards_card(2, 2, columns, "NULL, NULL, NULL, NULL").await;
        old.two_cards_sitting(5, 2, 1, "2", "completed", [None, None]).await;
        old.two_cards_questions(1, 2, None).await;
        // If the application counts attempts when they end, an abandoned sitting does not count.
        old.two_cards_card(3, 3, columns, "0, 'available', NULL, NULL").await;
        old.two_cards_sitting(6, 3, 1, "NULL", "abandoned", [Some(1), None]).await;
        let before = old.dump().await;
        let problems = old.codes().await;
        assert_eq!(problems, ["new_key_missing"]);
        let notes = old.report().await.notes;
        assert!(notes.iter().any(|note| note.contains("gaps in their attempt numbers")), "{notes:?}");
        assert!(notes.iter().any(|note| note.contains("more attempts than they have sittings")), "{notes:?}");
        assert_eq!(old.repair().await.corrected_cards, 0);
        assert_eq!(old.dump().await[1..], before[1..]);
    })
    .await;
}

async fn check_reports_merges_of_an_earlier_version(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Oldest).await;
        old.run("ALTER TABLE mock_test_attempts ADD COLUMN total_questions INTEGER").await;
        old.two_cards_card(11, 1, "attempts_used, max_attempts, total_questions", "3, 3, 3").await;
        for (id, number, hour) in [(1, 1, 1), (2, 2, 5), (3, 1, 3), (4, 2, 7)] {
            old.two_cards_sitting(id, 11, number, "1", "completed", [Some(hour), Some(hour + 1)]).await;
        }
        old.two_cards_questions(1, 11, None).await;
        old.two_cards_questions(3, 11, None).await;
        // The log of an earlier version of the repair has no run numbers. Two questions, which have no foreign key,
        // still refer to the merged card 12.
        old.run(
            "CREATE TABLE mock_test_attempts_merged (merge_id INTEGER PRIMARY KEY, id INTEGER, survivor_id BIGINT NOT \
             NULL)",
        )
        .await;
        old.run("INSERT INTO mock_test_attempts_merged VALUES (1, 12, 11)").await;
        old.two_cards_questions(5, 12, None).await;

        let report = old.report().await;
        let codes: Vec<_> = report.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(
            codes,
            ["new_key_missing", "attempt_numbers", "attempts_used", "question_sets", "refers_to_merged_card"]
        );
        assert!(report.notes.iter().any(|note| note.contains("earlier version")), "{report}");
        let error = old.undo().await.unwrap_err().to_string();
        assert!(error.contains("nothing to undo") && error.contains("earlier version"), "{error}");

        old.repair().await;
        assert_eq!(old.codes().await, ["question_sets", "refers_to_merged_card"]);
        assert_eq!(
            old.rows("SELECT id, attempt_number FROM test_attempt_sessions ORDER BY attempt_number").await,
            [["1", "1"], ["3", "2"], ["2", "3"], ["4", "4"]]
        );
        assert_eq!(
            old.rows("SELECT attempts_used, max_attempts FROM mock_test_attempts").await,
            [["4", "4"]]
        );
    })
    .await;
}

//! Makes databases of the old system in which a test can have several cards, and fills them with rows that are
//! difficult to merge. The tables have either the full columns of the old system or only its oldest columns.

use jishu_tests::Backend;

use crate::old_database::OldDatabase;

/// A version of the old system's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaAge {
    /// With all columns, the table of answers, and the foreign keys.
    Newer,
    /// Without the later columns, the table of answers, and the foreign keys.
    Oldest,
}

impl OldDatabase {
    /// Creates the tables of the old system, without a unique key over the cards.
    pub(crate) async fn create_two_cards(&self, age: SchemaAge) {
        let key = match self.backend {
            Backend::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Backend::Postgres => "serial PRIMARY KEY",
            Backend::MariaDb => "INTEGER AUTO_INCREMENT PRIMARY KEY",
        };
        let time = if self.backend == Backend::Postgres { "timestamp" } else { "datetime" };
        let words = |name: &str, values: &[&str]| match self.backend {
            Backend::MariaDb => format!("ENUM('{}')", values.join("', '")),
            Backend::Postgres => name.to_owned(),
            Backend::Sqlite => "VARCHAR(20)".to_owned(),
        };
        let card_status = ["available", "in_progress", "completed", "disabled"];
        let sitting_status = ["in_progress", "completed", "abandoned"];
        if self.backend == Backend::Postgres {
            for (name, values) in [("card_status", &card_status[..]), ("sitting_status", &sitting_status[..])]
            {
                self.run(&format!("CREATE TYPE {name} AS ENUM ('{}')", values.join("', '"))).await;
            }
        }
        let (card_status, sitting_status) =
            (words("card_status", &card_status), words("sitting_status", &sitting_status));
        self.run(&format!("CREATE TABLE exam_category_purchase (id {key}, user_id INTEGER NOT NULL)")).await;
        let newer = |columns: &str| if age == SchemaAge::Newer { columns.to_owned() } else { String::new() };
        let tied = |name: &str, column: &str, table: &str| {
            newer(&format!(", CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {table} (id)"))
        };
        self.run(&format!(
            "CREATE TABLE mock_test_attempts (id {key}, purchase_id INTEGER NOT NULL, user_id INTEGER NOT NULL, \
             course_id INTEGER NOT NULL, subject_id INTEGER NOT NULL, test_number INTEGER NOT NULL, \
             max_attempts INTEGER DEFAULT 3, attempts_used INTEGER DEFAULT 0, status {card_status}{}{})",
            newer(&format!(
                ", total_questions INTEGER DEFAULT 50, questions_generated BOOLEAN, latest_score INTEGER, \
                 latest_percentage FLOAT, latest_time_taken INTEGER, latest_attempt_date {time}, \
                 first_attempt_score INTEGER, first_attempt_date {time}{}",
                if self.backend == Backend::MariaDb {
                    ", updated_at TIMESTAMP NULL DEFAULT '2024-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP"
                } else {
                    ""
                }
            )),
            tied("card_purchase", "purchase_id", "exam_category_purchase"),
        ))
        .await;
        self.run(&format!(
            "CREATE TABLE test_attempt_sessions (id {key}, mock_test_id INTEGER NOT NULL, user_id INTEGER NOT \
             NULL, attempt_number INTEGER NOT NULL, score INTEGER, percentage FLOAT, time_taken INTEGER, status \
             {sitting_status}, started_at {time}, completed_at {time}{})",
            tied("sitting_card", "mock_test_id", "mock_test_attempts"),
        ))
        .await;
        self.run(&format!(
            "CREATE TABLE exam_category_questions (id {key}, subject_id INTEGER NOT NULL, question VARCHAR(80) NOT \
             NULL, mock_test_id INTEGER{})",
            tied("question_card", "mock_test_id", "mock_test_attempts"),
        ))
        .await;
        if age == SchemaAge::Newer {
            self.run(&format!(
                "CREATE TABLE test_answers (id {key}, session_id INTEGER NOT NULL, question_id INTEGER NOT NULL, \
                 selected_answer VARCHAR(255), FOREIGN KEY (session_id) REFERENCES test_attempt_sessions (id), \
                 FOREIGN KEY (question_id) REFERENCES exam_category_questions (id))"
            ))
            .await;
        }
        self.run("INSERT INTO exam_category_purchase (id, user_id) VALUES (1, 7)").await;
    }

    /// Inserts a card of purchase 1 and subject 1. `columns` and `values` are the columns after `test_number`.
    pub(crate) async fn two_cards_card(&self, id: i32, test: i32, columns: &str, values: &str) {
        self.run(&format!(
            "INSERT INTO mock_test_attempts (id, purchase_id, user_id, course_id, subject_id, test_number, {columns}) \
             VALUES ({id}, 1, 7, 1, 1, {test}, {values})"
        ))
        .await;
    }

    /// Inserts a sitting. `hours` are the hours of its start and its end. Its time taken is its id in seconds.
    pub(crate) async fn two_cards_sitting(
        &self,
        id: i32,
        card: i32,
        number: i32,
        score: &str,
        status: &str,
        hours: [Option<i32>; 2],
    ) {
        let [started, completed] =
            hours.map(|hour| hour.map_or("NULL".to_owned(), |hour| format!("'2024-05-02 {hour:02}:00:00'")));
        let percentage = if score == "NULL" { "NULL".to_owned() } else { format!("{score} * 100.0 / 3") };
        self.run(&format!(
            "INSERT INTO test_attempt_sessions (id, mock_test_id, user_id, attempt_number, score, percentage, \
             time_taken, status, started_at, completed_at) VALUES ({id}, {card}, 7, {number}, {score}, {percentage}, \
             {id}, '{status}', {started}, {completed})"
        ))
        .await;
    }

    /// Inserts two questions for a card, with the ids `first` and `first + 1`. If `sitting` is given, the first
    /// question gets an answer in this sitting.
    pub(crate) async fn two_cards_questions(&self, first: i32, card: i32, sitting: Option<i32>) {
        for id in [first, first + 1] {
            self.run(&format!(
                "INSERT INTO exam_category_questions (id, subject_id, question, mock_test_id) VALUES ({id}, 1, 'Q{id}', \
                 {card})"
            ))
            .await;
        }
        if let Some(sitting) = sitting {
            self.run(&format!(
                "INSERT INTO test_answers (session_id, question_id, selected_answer) VALUES ({sitting}, {first}, 'A')"
            ))
            .await;
        }
    }

    /// Inserts the cards of tests 1 to 6 of one purchase, with their sittings and questions. Test 1 has the cards 11,
    /// 12 and 13, test 2 has 21 and 22, and so on.
    pub(crate) async fn fill_two_cards(&self) {
        let all = "max_attempts, attempts_used, status, total_questions, questions_generated, latest_score, \
                   latest_percentage, latest_time_taken, latest_attempt_date, first_attempt_score, first_attempt_date";
        let time = |hour: i32| format!("'2024-05-02 {hour:02}:00:00'");
        // Test 1 has three cards. Two of the cards have a set of questions each, and two sittings each. Four sittings
        // are more than the limit of 3.
        self.two_cards_card(
            11,
            1,
            all,
            &format!("3, 2, 'completed', 3, TRUE, 2, 66.6667, 102, {}, 1, {}", time(6), time(2)),
        )
        .await;
        self.two_cards_card(
            12,
            1,
            all,
            &format!("3, 2, 'completed', 3, TRUE, 3, 100, 104, {}, 0, {}", time(8), time(4)),
        )
        .await;
        self.two_cards_card(13, 1, all, "3, 0, 'available', 3, FALSE, NULL, NULL, NULL, NULL, NULL, NULL")
            .await;
        self.two_cards_sitting(101, 11, 1, "1", "completed", [Some(1), Some(2)]).await;
        self.two_cards_sitting(102, 11, 2, "2", "completed", [Some(5), Some(6)]).await;
        self.two_cards_sitting(103, 12, 1, "0", "completed", [Some(3), Some(4)]).await;
        self.two_cards_sitting(104, 12, 2, "3", "completed", [Some(7), Some(8)]).await;
        self.two_cards_questions(1, 11, Some(101)).await;
        self.two_cards_questions(3, 12, Some(104)).await;

        // Test 2 has two open sittings. The open sitting of the surviving card 21 is the earlier sitting. So the
        // sitting and the questions of card 22 stay.
        self.two_cards_card(21, 2, all, "3, 2, 'in_progress', 3, TRUE, 1, 33.3333, 201, NULL, 1, NULL").await;
        self.two_cards_card(22, 2, all, "3, 1, 'in_progress', 2, TRUE, NULL, NULL, NULL, NULL, NULL, NULL")
            .await;
        self.two_cards_sitting(201, 21, 1, "1", "completed", [Some(1), Some(2)]).await;
        self.two_cards_sitting(202, 21, 2, "NULL", "in_progress", [Some(3), None]).await;
        self.two_cards_sitting(203, 22, 1, "NULL", "in_progress", [Some(4), None]).await;
        self.two_cards_questions(5, 21, Some(201)).await;
        self.two_cards_questions(7, 22, Some(203)).await;

        // All sittings of test 3 are on its second card, and have no computed scores. Their times are missing or equal.
        self.two_cards_card(31, 3, all, "3, NULL, 'available', 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL")
            .await;
        self.two_cards_card(32, 3, all, "3, 3, 'completed', 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL")
            .await;
        self.two_cards_sitting(302, 32, 2, "2", "completed", [Some(5), Some(6)]).await;
        self.two_cards_sitting(301, 32, 1, "1", "completed", [None, None]).await;
        self.two_cards_sitting(303, 32, 3, "3", "completed", [Some(5), Some(6)]).await;
        self.two_cards_questions(9, 32, None).await;

        // The first sitting of card 41 of test 4 was deleted. Only the card still has the score of this sitting.
        self.two_cards_card(
            41,
            4,
            all,
            &format!("5, 2, 'completed', 3, TRUE, 1, 33.3333, 402, {}, 3, {}", time(4), time(1)),
        )
        .await;
        self.two_cards_card(
            42,
            4,
            all,
            &format!("3, 1, 'disabled', 3, TRUE, 2, 66.6667, 403, {}, 2, {}", time(6), time(6)),
        )
        .await;
        self.two_cards_sitting(402, 41, 2, "1", "completed", [Some(3), Some(4)]).await;
        self.two_cards_sitting(403, 42, 1, "2", "completed", [Some(5), Some(6)]).await;

        // Test 5 has a correct single card. Test 6 has a single card that an earlier repair left wrong.
        self.two_cards_card(
            51,
            5,
            all,
            &format!("3, 1, 'completed', 3, TRUE, 3, 100, 501, {}, 3, {}", time(2), time(2)),
        )
        .await;
        self.two_cards_sitting(501, 51, 1, "3", "completed", [Some(1), Some(2)]).await;
        self.two_cards_questions(11, 51, Some(501)).await;
        self.two_cards_card(
            61,
            6,
            all,
            &format!("2, 2, 'completed', 3, TRUE, 1, 33.3333, 601, {}, 1, {}", time(2), time(2)),
        )
        .await;
        self.two_cards_sitting(601, 61, 1, "1", "completed", [Some(1), Some(2)]).await;
        self.two_cards_sitting(602, 61, 1, "2", "completed", [Some(3), Some(4)]).await;
        self.two_cards_sitting(603, 61, 2, "3", "completed", [Some(5), Some(6)]).await;
    }

    /// Returns the structure of the database, and the rows of cards, sittings, questions and `exam_category_purchase`,
    /// in the order of their ids. Leaves out a table that does not exist.
    pub(crate) async fn dump(&self) -> Vec<Vec<Vec<String>>> {
        let mut dump = vec![self.structure().await];
        for table in [
            "mock_test_attempts",
            "test_attempt_sessions",
            "exam_category_questions",
            "exam_category_purchase",
        ] {
            let columns = self.columns(table).await;
            if columns.is_empty() {
                continue;
            }
            let columns = columns.iter().map(|name| self.as_text(name)).collect::<Vec<_>>().join(", ");
            dump.push(self.rows(&format!("SELECT {columns} FROM {table} ORDER BY id")).await);
        }
        dump
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        let text = match self.backend {
            Backend::Sqlite => format!("SELECT name FROM pragma_table_info('{table}')"),
            Backend::Postgres => {
                format!(
                    "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'"
                )
            }
            Backend::MariaDb => format!(
                "SELECT CAST(COLUMN_NAME AS CHAR) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() \
                 AND TABLE_NAME = '{table}'"
            ),
        };
        self.rows(&text).await.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// Returns an SQL expression that selects a column as text, with all digits of a number.
    pub(crate) fn as_text(&self, column: &str) -> String {
        match self.backend {
            Backend::Sqlite => format!("quote({column})"),
            Backend::Postgres => format!("CAST({column} AS text)"),
            Backend::MariaDb if column.contains("percentage") => {
                format!("CAST(CAST({column} AS DOUBLE) AS CHAR)")
            }
            Backend::MariaDb => format!("CAST({column} AS CHAR)"),
        }
    }
}

//! The tables of the old system, with rows that are awkward for an adoption.

use jishu_tests::Backend;

use crate::old_database::OldDatabase;

/// The password of the accounts 1, 2, 4 and 9.
pub(super) const PASSWORD: &str = "correct horse battery";
/// Hashes of [`PASSWORD`], as Werkzeug makes them.
const SCRYPT: &str = "scrypt:32768:8:1$pqemSvxh47zPwLPK$00ab3e344a6e5aeeb4a5c1f456e57d58a3dc21ed791d35cc4c049d20d02869e2299508f237dbb8118d990bf373df893c3074e51db2f2e171019f8f97649106f0";
const PBKDF2: &str =
    "pbkdf2:sha256:260000$6909WLCfDNfNlC6i$4814d9d19c76ed2dbc963a99ded530b92382ad6bd2809853633ab8bf743dbdb5";

/// Creates the tables. They have no keys besides their primary keys, so rows may be orphans or duplicates.
pub(super) async fn create(old: &OldDatabase) {
    let (time, json) = match old.backend {
        Backend::Postgres => ("timestamp", "json"),
        Backend::MariaDb => ("datetime", "json"),
        Backend::Sqlite => ("datetime", "text"),
    };
    let key = "id INTEGER NOT NULL PRIMARY KEY";
    for table in [
        format!(
            "users ({key}, email_id VARCHAR(100) NOT NULL, name VARCHAR(100), password VARCHAR(255), mobile_no \
             VARCHAR(20), is_admin BOOLEAN, status VARCHAR(20), auth_provider VARCHAR(20), google_id VARCHAR(64), \
             created_at {time})"
        ),
        format!(
            "exam_category ({key}, course_name VARCHAR(200), description TEXT, amount NUMERIC(10,2), offer_amount NUMERIC(10,2))"
        ),
        format!(
            "exam_category_subjects ({key}, exam_category_id INTEGER, subject_name VARCHAR(200), amount NUMERIC(10,2), \
             offer_amount NUMERIC(10,2), total_mock INTEGER, is_deleted BOOLEAN, is_bundle BOOLEAN)"
        ),
        format!(
            "exam_category_purchase ({key}, user_id INTEGER, exam_category_id INTEGER, subject_id INTEGER, \
             subjects_included {json}, purchase_type VARCHAR(20), cost NUMERIC(10,2), purchase_date {time}, status \
             VARCHAR(20), total_mock_tests INTEGER, mock_tests_used INTEGER)"
        ),
        format!(
            "mock_test_attempts ({key}, purchase_id INTEGER, user_id INTEGER, course_id INTEGER, subject_id INTEGER, \
             test_number INTEGER, max_attempts INTEGER, attempts_used INTEGER, total_questions INTEGER, latest_score \
             INTEGER, latest_attempt_date {time}, first_attempt_score INTEGER, first_attempt_date {time}, status \
             VARCHAR(20))"
        ),
        format!(
            "test_attempt_sessions ({key}, mock_test_id INTEGER, user_id INTEGER, attempt_number INTEGER, score \
             INTEGER, time_taken INTEGER, correct_answers INTEGER, wrong_answers INTEGER, unanswered INTEGER, status \
             VARCHAR(20), started_at {time}, completed_at {time})"
        ),
        format!(
            "test_answers ({key}, session_id INTEGER, question_id INTEGER, selected_answer VARCHAR(255), is_correct \
             BOOLEAN, time_taken INTEGER)"
        ),
        format!(
            "exam_category_questions ({key}, exam_category_id INTEGER, subject_id INTEGER, question TEXT, option_1 \
             TEXT, option_2 TEXT, option_3 TEXT, option_4 TEXT, correct_answer TEXT, explanation TEXT, \
             difficulty_level VARCHAR(10), mock_test_id INTEGER)"
        ),
        format!("test_attempts ({key}, user_id INTEGER)"),
        format!("user_purchase_history ({key}, user_id INTEGER)"),
    ] {
        old.run(&format!("CREATE TABLE {table}")).await;
    }
}

/// Inserts the rows of [`ROWS`], and sets the password hashes.
pub(super) async fn fill(old: &OldDatabase) {
    for (table, rows) in ROWS {
        old.run(&format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await;
    }
    old.run(&format!("UPDATE users SET password = '{SCRYPT}' WHERE id = 1")).await;
    old.run(&format!("UPDATE users SET password = '{PBKDF2}' WHERE id IN (2, 4, 9)")).await;
}

/// The rows of each table. Comments say what is awkward about a row.
const ROWS: [(&str, &[&str]); 10] = [
    (
        "users",
        &[
            "(1, ' Asha@Example.com', 'Asha', NULL, '98', FALSE, 'active', 'manual', NULL, '2023-01-05 08:00:00')",
            "(2, 'ravi@example.com', 'Ravi', NULL, NULL, NULL, 'ACTIVE', NULL, NULL, '2023-01-06 08:00:00')",
            // This account has no password.
            "(3, 'gita@example.com', 'Gita', NULL, NULL, FALSE, 'active', 'google', 'g-3', '2023-01-07 08:00:00')",
            "(4, 'bad@example.com', 'Bad', NULL, NULL, FALSE, 'blocked', 'manual', NULL, '2023-01-08 08:00:00')",
            // This account is an admin with a damaged hash.
            "(5, 'boss@example.com', 'Boss', 'md5$x', NULL, TRUE, 'active', 'manual', NULL, '2023-01-09 08:00:00')",
            // Account 6 has the same e-mail address as account 1, which is active and older.
            "(6, 'ASHA@example.com', 'Other', NULL, NULL, FALSE, 'active', 'manual', NULL, NULL)",
            "(7, 'nobody', 'Nobody', NULL, NULL, FALSE, 'active', 'manual', NULL, NULL)",
            // The accounts 8 and 9 have the same e-mail address, and only 9 is active.
            "(8, 'mira@example.com', 'Mira', NULL, NULL, FALSE, 'inactive', 'manual', NULL, NULL)",
            "(9, 'Mira@example.com', 'Mira', NULL, NULL, FALSE, 'active', 'manual', NULL, '2023-01-10 08:00:00')",
            // Account 10 has an unknown status, an empty name, and no time.
            "(10, 'odd@example.com', ' ', NULL, NULL, FALSE, 'pending', 'manual', NULL, NULL)",
        ],
    ),
    ("exam_category", &["(1, 'NEET', ' All of it ', 1999.00, 0)", "(2, 'Law', NULL, NULL, NULL)"]),
    (
        "exam_category_subjects",
        &[
            "(1, 1, 'Physics', 499.50, 399.00, 3, FALSE, FALSE)",
            "(2, 1, 'Chemistry', 300.00, 350.00, 3, FALSE, NULL)",
            "(3, 1, 'Whole course', 900.00, 750.00, 50, FALSE, TRUE)",
            // The offer of subject 4 is negative.
            "(4, 1, 'Old', 100, -5.00, 3, TRUE, FALSE)",
            // Subject 5 has no price, and too many tests.
            "(5, 2, 'Civics', NULL, NULL, 2000, FALSE, FALSE)",
            "(6, 99, 'Orphan', 1, NULL, 3, FALSE, FALSE)",
        ],
    ),
    (
        "exam_category_purchase",
        &[
            "(1, 1, 1, NULL, '[1, 2]', 'multiple_subjects', 799.50, '2023-02-01 10:00:00', 'active', 6, 3)",
            // Purchase 2 buys Physics again.
            "(2, 1, 1, 1, NULL, 'single_subject', 399.00, '2024-02-01 10:00:00', 'active', 3, 0)",
            "(3, 2, 1, 3, NULL, 'full_bundle', 750.00, '2023-05-01 10:00:00', 'active', 6, 0)",
            "(4, 2, 1, 4, NULL, 'single_subject', 100.00, '2023-06-01 10:00:00', 'expired', 3, 0)",
            // Purchase 5 has no cards.
            "(5, 3, 1, 2, NULL, 'single_subject', 300.00, '2023-07-01 10:00:00', NULL, 3, 0)",
            // Purchase 6 belongs to an account that the adoption does not carry.
            "(6, 6, 1, 1, NULL, 'single_subject', 10.00, '2023-07-01 10:00:00', 'active', 3, 0)",
            "(7, 2, 1, 1, NULL, 'single_subject', 20.00, '2023-07-01 10:00:00', 'pending', 3, 0)",
            // Purchase 8 names two subjects, and has cards of one.
            "(8, 4, 1, NULL, '[1, 2]', 'multiple_subjects', 600.00, NULL, 'active', 6, 0)",
            "(9, 2, 1, 1, NULL, 'single_subject', -5.00, '2023-07-01 10:00:00', 'active', 3, 0)",
            // Neither cards nor a list tell the subjects of purchase 10.
            "(10, 5, 1, NULL, NULL, 'full_bundle', 0.10, '2023-07-01 10:00:00', 'active', 3, 0)",
        ],
    ),
    (
        "mock_test_attempts",
        &[
            "(1, 1, 1, 1, 1, 1, 3, 3, 3, 1, '2023-03-03 10:00:00', 2, '2023-03-01 10:00:00', 'in_progress')",
            "(2, 1, 1, 1, 1, 2, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
            "(3, 1, 1, 1, 1, 3, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
            "(4, 1, 1, 1, 2, 1, 3, 1, 3, NULL, NULL, NULL, NULL, 'completed')",
            "(5, 1, 1, 1, 2, 2, NULL, NULL, 3, NULL, NULL, NULL, NULL, NULL)",
            "(6, 1, 1, 1, 2, 3, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
            "(7, 2, 1, 1, 1, 1, 3, 1, 3, 2, '2024-03-01 10:00:00', 2, '2024-03-01 10:00:00', 'completed')",
            // The sittings of card 8 were deleted.
            "(8, 2, 1, 1, 1, 2, 3, 2, 3, 3, '2024-03-05 10:00:00', 1, '2024-03-04 10:00:00', 'completed')",
            "(9, 2, 1, 1, 1, 3, 3, 1, 3, NULL, NULL, NULL, NULL, 'disabled')",
            "(10, 3, 2, 1, 1, 1, 3, 2, 3, 1, '2023-05-03 10:00:00', 1, '2023-05-02 10:00:00', 'completed')",
            "(11, 3, 2, 1, 1, 2, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
            "(12, 3, 2, 1, 2, 1, 3, 1, 3, NULL, NULL, NULL, NULL, 'available')",
            "(13, 4, 2, 1, 4, 1, 3, 1, 3, 2, '2023-06-10 10:00:00', 2, '2023-06-10 10:00:00', 'completed')",
            "(14, 6, 6, 1, 1, 1, 3, 1, 3, NULL, NULL, NULL, NULL, 'completed')",
            "(15, 8, 4, 1, 2, 1, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
            // Card 16 is a duplicate of card 10.
            "(16, 3, 2, 1, 1, 1, 3, 1, 3, 3, '2023-05-01 11:00:00', 3, '2023-05-01 11:00:00', 'completed')",
            // Card 17 has no purchase, card 18 another owner than its purchase, and card 19 no valid number.
            "(17, 99, 1, 1, 1, 1, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
            "(18, 1, 2, 1, 1, 2, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
            "(19, 1, 1, 1, 1, 0, 3, 0, 3, NULL, NULL, NULL, NULL, 'available')",
        ],
    ),
    (
        "test_attempt_sessions",
        &[
            "(1, 1, 1, 1, 2, 600, 2, 1, 0, 'completed', '2023-03-01 10:00:00', '2023-03-01 10:10:00')",
            "(2, 1, 1, 2, 3, NULL, NULL, NULL, NULL, 'COMPLETED', '2023-03-02 10:00:00', '2023-03-02 10:05:00')",
            "(3, 1, 1, 3, NULL, NULL, NULL, NULL, NULL, 'in_progress', '2023-03-03 10:00:00', NULL)",
            // The questions that sitting 4 answers do not belong to its card.
            "(4, 7, 1, 1, 2, 60, 2, 0, 1, 'completed', '2024-03-01 10:00:00', '2024-03-01 10:01:00')",
            "(5, 10, 2, 1, 1, 60, 1, 2, 0, 'completed', '2023-05-02 10:00:00', '2023-05-02 10:01:00')",
            // Sitting 6 belongs to the duplicate card 16, and is earlier than the sittings of card 10.
            "(6, 16, 2, 1, 3, 60, 3, 0, 0, 'completed', '2023-05-01 11:00:00', '2023-05-01 11:01:00')",
            "(7, 10, 2, 2, NULL, NULL, NULL, NULL, NULL, 'abandoned', '2023-05-03 10:00:00', NULL)",
            "(8, 14, 6, 1, 1, 60, 1, 2, 0, 'completed', '2023-05-03 10:00:00', NULL)",
            // The card of sitting 9 does not exist.
            "(9, 999, 1, 1, 1, 60, 1, 2, 0, 'completed', '2023-05-03 10:00:00', NULL)",
            // Sitting 10 is completed, and has no score.
            "(10, 4, 1, 1, NULL, 60, NULL, NULL, NULL, 'completed', '2023-05-03 10:00:00', NULL)",
            "(11, 13, 2, 1, 2, 60, 2, 1, 0, 'completed', '2023-06-10 10:00:00', '2023-06-10 10:01:00')",
            "(12, 12, 2, 1, 1, 60, 1, 2, 0, 'paused', '2023-06-10 10:00:00', NULL)",
        ],
    ),
    (
        "test_answers",
        &[
            "(1, 1, 7, 'Newton', TRUE, 20)",
            "(2, 1, 8, 'Joule', TRUE, 30)",
            "(3, 1, 9, 'Ohm', FALSE, NULL)",
            "(4, 3, 7, 'Newton', TRUE, 5)",
            "(5, 4, 1, 'Metre', TRUE, 5)",
            "(6, 12, 1, 'Metre', TRUE, 5)",
            "(7, 8, 1, 'Metre', TRUE, 5)",
            "(8, 9, 1, 'Metre', TRUE, 5)",
            "(9, 777, 1, 'Metre', TRUE, 5)",
        ],
    ),
    (
        "exam_category_questions",
        &[
            "(1, 1, 1, 'What measures length?', 'Metre', 'Second', 'Kelvin', 'Mole', 'Metre', 'By definition.', 'easy', NULL)",
            "(2, 1, 1, 'What measures heat?', 'Metre', 'Second', 'Kelvin', 'Mole', 'c', NULL, 'HARD', NULL)",
            "(3, 1, 1, 'What measures time?', 'Metre', 'Second', 'Kelvin', NULL, '2', NULL, NULL, NULL)",
            // The right answer of question 4 is the text of one option, and the number of another option.
            "(4, 1, 1, 'How many poles has a magnet?', '0', '1', '2', '3', '2', NULL, 'easy', NULL)",
            "(5, 1, 1, ' What measures length?', 'Metre', 'Second', 'Kelvin', 'Mole', '1', NULL, 'hard', NULL)",
            // Question 6 is the same as question 1, with another key.
            "(6, 1, 1, 'What measures length?', 'Metre', 'Second', 'Kelvin', 'Mole', 'Mole', NULL, 'easy', NULL)",
            "(7, 1, 1, 'Unit of force?', 'Newton', 'Ohm', 'Joule', 'Volt', 'A', NULL, 'easy', 1)",
            "(8, 1, 1, 'Unit of energy?', 'Newton', 'Ohm', 'Joule', 'Volt', 'Joule', NULL, 'easy', 1)",
            "(9, 1, 1, 'Unit of tension?', 'Newton', 'Ohm', 'Joule', 'Volt', '4', NULL, 'easy', 1)",
            "(10, 1, 99, 'Whose?', 'a', 'b', 'c', 'd', 'a', NULL, 'easy', NULL)",
            "(11, 1, 1, 'One?', 'Yes', NULL, '', NULL, '1', NULL, 'easy', NULL)",
            "(12, 1, 2, 'Sign of iron?', 'Fe', 'Ir', 'In', 'I', 'Fe', NULL, 'easy', NULL)",
            "(13, 1, 2, 'Sign of gold?', 'Go', 'Au', 'Ag', 'G', 'B', NULL, 'easy', NULL)",
            "(14, 1, 2, 'Sign of tin?', 'Ti', 'T', 'Sn', 'N', 'option 3', NULL, 'easy', NULL)",
            "(-1, 1, 1, 'Unit of mass?', 'Gram', 'Ohm', 'Joule', 'Volt', 'Gram', NULL, 'easy', NULL)",
        ],
    ),
    ("test_attempts", &["(1, 1)", "(2, 1)"]),
    ("user_purchase_history", &["(1, 1)"]),
];

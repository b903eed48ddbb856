//! Adopts a large database with the binary `jishu`, and prints the time and the peak memory.
//!
//! `ADOPT_CARDS` sets the number of cards. The default is 2,000. For 200,000 cards with a release build:
//! `ADOPT_CARDS=200000 tests/run adopt_at_scale -- --nocapture --test-threads 1`

use std::process::Stdio;
use std::time::{Duration, Instant};

use jishu_tests::Backend;

use super::{NewDatabase, assert_checked, command, old_system};
use crate::old_database::{OldDatabase, on_each};

on_each!(adopt_at_scale);

const CARDS_PER_PURCHASE: i64 = 50;
/// One card in this many has a sitting.
const CARDS_PER_SITTING: i64 = 4;
/// Number of questions of each card that has a sitting. The old system made questions for each such card.
const QUESTIONS: i64 = 10;

async fn adopt_at_scale(backend: Backend) {
    let cards = std::env::var("ADOPT_CARDS").map_or(2_000, |value| value.parse().expect("a number"));
    OldDatabase::on(backend, async |old| {
        old_system::create(old).await;
        fill(old, cards).await;
        let new = NewDatabase::create(backend).await;
        let report = new.folder.path().join("report.json");
        let file = std::fs::File::create(&report).unwrap();
        let began = Instant::now();
        let mut adopt = command(old, &new, &["--format", "json"]);
        let mut process = adopt.stdin(Stdio::null()).stdout(file).stderr(Stdio::inherit()).spawn().unwrap();
        let mut peak = 0;
        let status = loop {
            peak = peak.max(peak_memory_kib(process.id()));
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let took = began.elapsed();
        assert!(status.success());
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        let of = |table: &str| report["tables"][table]["carried"].as_i64().unwrap();
        let sittings = cards / CARDS_PER_SITTING;
        assert_eq!(of("mock_test_attempts"), cards);
        assert_eq!((of("test_attempt_sessions"), of("test_answers")), (sittings, sittings * QUESTIONS));
        eprintln!(
            "{backend:?}: {cards} cards, {sittings} sittings, {} answers, {} questions in {took:.1?}, peak memory {} MiB",
            of("test_answers"),
            of("exam_category_questions"),
            peak / 1_024
        );
        assert_checked(&new);
        new.remove().await;
    })
    .await;
}

/// Returns the greatest memory that a process has used, in KiB, or 0 if the system does not report it.
fn peak_memory_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// Inserts purchases with cards, and sittings of some of these cards. SQL statements generate the rows.
async fn fill(old: &OldDatabase, cards: i64) {
    let purchases = cards / CARDS_PER_PURCHASE;
    old.run("CREATE TABLE numbers (n INTEGER PRIMARY KEY)").await;
    old.run("INSERT INTO numbers (n) VALUES (0)").await;
    let mut count = 1;
    while count < cards.max(CARDS_PER_PURCHASE) {
        old.run(&format!("INSERT INTO numbers (n) SELECT n + {count} FROM numbers")).await;
        count *= 2;
    }
    let text = |parts: &[&str]| match old.backend {
        Backend::MariaDb => format!("CONCAT({})", parts.join(", ")),
        _ => parts.join(" || "),
    };
    let day = "'2024-05-01 10:00:00'";
    old.run(&format!(
        "INSERT INTO users (id, email_id, name, password, status, created_at) SELECT n + 1, {}, 'Learner', \
         'pbkdf2:sha256:260000$6909WLCfDNfNlC6i$4814d9d19c76ed2dbc963a99ded530b92382ad6bd2809853633ab8bf743dbdb5', \
         'active', {day} FROM numbers WHERE n < {purchases}",
        text(&["'learner'", "n", "'@example.com'"])
    ))
    .await;
    old.run("INSERT INTO exam_category (id, course_name, amount) VALUES (1, 'Law', 900)").await;
    old.run(
        "INSERT INTO exam_category_subjects (id, exam_category_id, subject_name, amount, total_mock) SELECT n + 1, 1, \
         'Subject', 300, 50 FROM numbers WHERE n < 3",
    )
    .await;
    old.run(&format!(
        "INSERT INTO exam_category_purchase (id, user_id, exam_category_id, subject_id, purchase_type, cost, purchase_date, \
         status) SELECT n + 1, n + 1, 1, n % 3 + 1, 'single_subject', 300, {day}, 'active' FROM numbers WHERE n < {purchases}"
    ))
    .await;
    old.run(&format!(
        "INSERT INTO mock_test_attempts (id, purchase_id, user_id, course_id, subject_id, test_number, max_attempts, \
         attempts_used, total_questions, status) SELECT (p.id - 1) * {CARDS_PER_PURCHASE} + t.n + 1, p.id, p.user_id, 1, \
         p.subject_id, t.n + 1, 3, CASE WHEN ((p.id - 1) * {CARDS_PER_PURCHASE} + t.n + 1) % {CARDS_PER_SITTING} = 0 THEN 1 \
         ELSE 0 END, {QUESTIONS}, 'available' FROM exam_category_purchase p JOIN numbers t ON t.n < {CARDS_PER_PURCHASE}"
    ))
    .await;
    old.run(&format!(
        "INSERT INTO test_attempt_sessions (id, mock_test_id, user_id, attempt_number, score, time_taken, status, started_at) \
         SELECT id / {CARDS_PER_SITTING}, id, user_id, 1, 6, 600, 'completed', {day} FROM mock_test_attempts \
         WHERE id % {CARDS_PER_SITTING} = 0"
    ))
    .await;
    old.run(&format!(
        "INSERT INTO exam_category_questions (id, exam_category_id, subject_id, question, option_1, option_2, option_3, \
         option_4, correct_answer, mock_test_id) SELECT (c.id / {CARDS_PER_SITTING} - 1) * {QUESTIONS} + t.n + 1, 1, \
         c.subject_id, {}, 'Right', 'Wrong', 'Neither', 'Both', 'Right', c.id FROM mock_test_attempts c JOIN numbers t \
         ON t.n < {QUESTIONS} WHERE c.id % {CARDS_PER_SITTING} = 0",
        text(&["'Which statement about case '", "c.id", "' and paragraph '", "t.n", "' is right?'"])
    ))
    .await;
    old.run(&format!(
        "INSERT INTO test_answers (id, session_id, question_id, selected_answer) SELECT q.id, q.mock_test_id / \
         {CARDS_PER_SITTING}, q.id, CASE WHEN q.id % {QUESTIONS} < 6 THEN 'Right' ELSE 'Wrong' END \
         FROM exam_category_questions q"
    ))
    .await;
    // Adds the indexes that MySQL has for foreign keys.
    for (table, column) in [
        ("mock_test_attempts", "purchase_id"),
        ("test_attempt_sessions", "mock_test_id"),
        ("exam_category_questions", "mock_test_id"),
        ("test_answers", "session_id"),
    ] {
        old.run(&format!("CREATE INDEX idx_{table} ON {table} ({column})")).await;
    }
    if old.backend == Backend::Postgres {
        old.run("ANALYZE").await;
    }
}

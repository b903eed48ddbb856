//! Repairs large tables with the binary `jishu`. The repair is killed up to three times while the application keeps
//! running.
//!
//! `REPAIR_CARDS` sets the number of cards of each database, by default 5,000. `REPAIR_SEED` repeats the moments of
//! the kills. For a million cards:
//! `REPAIR_CARDS=1000000 tests/run repair_at_scale -- --nocapture --test-threads 1`

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jishu_tests::Backend;
use jishu_tests::process::binary;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::application::Application;
use crate::old_database::{InitialKeys, OldDatabase, on_each};

on_each!(repair_at_scale);

const CARDS_PER_PURCHASE: i64 = 50;
/// One card in this many has a duplicate, with [`InitialKeys::Duplicates`].
const CARDS_PER_DUPLICATE: i64 = 33;
/// One card in this many has a sitting, and each duplicate has one.
const CARDS_PER_SITTING: i64 = 10;
/// One card in this many has a question, and each card with a sitting has one.
const CARDS_PER_QUESTION: i64 = 20;
/// Maximum number of times that the repair is killed before it may end.
const MAX_KILLS: usize = 3;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

async fn repair_at_scale(backend: Backend) {
    let cards = i64::try_from(number("REPAIR_CARDS").unwrap_or(5_000)).expect("fewer");
    let seed = number("REPAIR_SEED").unwrap_or_else(rand::random);
    for (number, start) in (0..).zip(InitialKeys::ALL) {
        OldDatabase::on(backend, async |old| {
            old.create(start).await;
            let made = old.fill_at_scale(start, cards).await;
            let mut moments = StdRng::seed_from_u64(seed.wrapping_add(number));
            let figures = kill_and_repair(old, start, &made, &mut moments).await;
            eprintln!("{backend:?}, {start:?}, REPAIR_SEED={seed}: {} cards, {figures}", made.cards);
        })
        .await;
    }
}

/// The numbers of rows before the repair. Afterwards each row must exist, or be in the log of merged cards.
struct RowCounts {
    cards: i64,
    duplicates: i64,
    sittings: i64,
    questions: i64,
}

impl OldDatabase {
    async fn fill_at_scale(&self, start: InitialKeys, cards: i64) -> RowCounts {
        let purchases = cards / CARDS_PER_PURCHASE;
        self.run("CREATE TABLE numbers (n INTEGER PRIMARY KEY)").await;
        self.run("INSERT INTO numbers (n) VALUES (0)").await;
        let mut count = 1;
        while count < purchases.max(CARDS_PER_PURCHASE) {
            self.run(&format!("INSERT INTO numbers (n) SELECT n + {count} FROM numbers")).await;
            count *= 2;
        }
        // Each user buys the three subjects in separate purchases, because the old key allows one subject per
        // purchase.
        let users = purchases / 3 + 1;
        self.run(&format!("INSERT INTO users (name) SELECT 'Learner' FROM numbers WHERE n < {users}")).await;
        self.run("INSERT INTO courses (name) VALUES ('Law')").await;
        self.run("INSERT INTO subjects (name) SELECT 'Subject' FROM numbers WHERE n < 3").await;
        self.run(&format!(
            "INSERT INTO purchases (id, user_id) SELECT n + 1, n % {users} + 1 FROM numbers WHERE n < {purchases}"
        ))
        .await;
        let card = "INSERT INTO mock_test_attempts (purchase_id, user_id, course_id, subject_id, test_number, \
                    max_attempts, attempts_used, status, created_at) ";
        self.run(&format!(
            "{card} SELECT p.id, p.user_id, 1, CASE WHEN p.id <= {users} THEN 1 WHEN p.id <= 2 * {users} THEN 2 ELSE 3 END, t.n + 1, 3, 0, 'available', \
             '2024-05-01 10:00:00' FROM purchases p JOIN numbers t ON t.n < {CARDS_PER_PURCHASE} \
             ORDER BY p.id, t.n"
        ))
        .await;
        if self.backend == Backend::Postgres {
            // The inserts above set the ids, so the sequence must continue after them.
            self.run("SELECT setval('purchases_id_seq', (SELECT MAX(id) FROM purchases))").await;
        }
        let duplicates = if start == InitialKeys::Duplicates {
            self.try_run(&format!(
                "{card} SELECT purchase_id, user_id, course_id, subject_id, test_number, 3, 1, 'in_progress', \
                 '2024-05-02 10:00:00' FROM mock_test_attempts WHERE id % {CARDS_PER_DUPLICATE} = 0"
            ))
            .await
            .unwrap()
        } else {
            0
        };
        self.run(&format!(
            "UPDATE mock_test_attempts SET attempts_used = 1 WHERE id % {CARDS_PER_SITTING} = 0"
        ))
        .await;
        let sittings = self
            .try_run(&format!(
                "INSERT INTO test_attempt_sessions (mock_test_id, attempt_number, score, started_at) SELECT id, 1, \
                 7, '2024-05-02 10:00:00' FROM mock_test_attempts WHERE id % {CARDS_PER_SITTING} = 0 OR attempts_used = 1"
            ))
            .await
            .unwrap();
        let questions = self
            .try_run(&format!(
                "INSERT INTO exam_category_questions (question, mock_test_id) SELECT 'Q', id FROM \
                 mock_test_attempts WHERE id % {CARDS_PER_QUESTION} = 0 OR attempts_used = 1"
            ))
            .await
            .unwrap();
        let count = |rows: u64| i64::try_from(rows).expect("fewer");
        RowCounts {
            cards: self.count("mock_test_attempts").await,
            duplicates: count(duplicates),
            sittings: count(sittings),
            questions: count(questions),
        }
    }

    /// Inserts a card of a second subject for the first purchase. Returns whether the database accepts it.
    async fn accepts_second_subject(&self) -> bool {
        self.add_card(1, 1, 2, 1, 0, "available").await.is_ok()
    }
}

/// Kills the repair up to [`MAX_KILLS`] times, lets it finish, and checks the result. Returns a line with the figures.
async fn kill_and_repair(
    old: &OldDatabase,
    start: InitialKeys,
    made: &RowCounts,
    moments: &mut StdRng,
) -> String {
    let bug = matches!(start, InitialKeys::OldOnly | InitialKeys::OldAndNew);
    assert_eq!(
        old.accepts_second_subject().await,
        !bug,
        "the initial keys must refuse a second subject of a purchase only if the old key exists"
    );
    if !bug {
        old.run("DELETE FROM mock_test_attempts WHERE purchase_id = 1 AND subject_id = 2").await;
    }
    let application = Application::start(old).await;

    let cards = u32::try_from(made.cards).unwrap();
    let mut killed_after = Vec::new();
    while killed_after.len() < MAX_KILLS {
        // The repair is killed at a random moment within the time of the longest repair. Early moments are more likely,
        // because a repair that only inspects ends soon.
        let of_a_card = Duration::from_micros(if start == InitialKeys::Duplicates { 25 } else { 4 });
        let longest = Duration::from_millis(60) + of_a_card * cards;
        let moment = Duration::from_millis(5) + longest.mul_f64(moments.random::<f64>().powi(3));
        let mut repair = RepairProcess::start(old);
        if repair.ends_within(moment).await {
            break;
        }
        repair.kill();
        killed_after.push(moment);
    }
    let began = Instant::now();
    let mut repair = RepairProcess::start(old);
    assert!(repair.ends_within(Duration::from_secs(600)).await, "the repair did not end in time");
    let took = began.elapsed();
    let stalls = application.stop().await;

    old.assert_repaired(made, stalls.purchases, stalls.cards).await;
    format!(
        "{} merged; killed after {killed_after:.0?}, last run {took:.1?}; longest read {:.1?} of {}, longest \
         purchase {:.1?} of {}",
        made.duplicates, stalls.read, stalls.reads, stalls.purchase, stalls.purchases
    )
}

/// A running `jishu repair --apply`.
struct RepairProcess(Child);

impl RepairProcess {
    fn start(old: &OldDatabase) -> Self {
        let mut command = Command::new(binary("jishu"));
        command.args(["repair", "--apply", "--format", "json", "--database-url", &old.url]);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    async fn ends_within(&mut self, time: Duration) -> bool {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.success(), "the repair ended with {status}");
                return true;
            }
            if began.elapsed() >= time {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills the process with SIGKILL.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for RepairProcess {
    fn drop(&mut self) {
        // A failed test must not leave the process running.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl OldDatabase {
    /// Checks the repaired database: `jishu check` finds no problem, no row is lost, and the new unique key has
    /// replaced the old one.
    async fn assert_repaired(&self, made: &RowCounts, purchases: i64, cards_of_a_purchase: i64) {
        let mut check = Command::new(binary("jishu"));
        let output = check.args(["check", "--database-url", &self.url]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let merged = if made.duplicates > 0 { self.count("mock_test_attempts_merged").await } else { 0 };
        assert_eq!(merged, made.duplicates);
        let cards = self.count("mock_test_attempts").await;
        assert_eq!(cards + merged, made.cards + purchases * cards_of_a_purchase, "cards");
        assert_eq!(self.count("test_attempt_sessions").await, made.sittings, "sittings");
        assert_eq!(self.count("exam_category_questions").await, made.questions, "questions");
        for (child, column, parent) in [
            ("test_attempt_sessions", "mock_test_id", "mock_test_attempts"),
            ("exam_category_questions", "mock_test_id", "mock_test_attempts"),
            ("mock_test_attempts", "purchase_id", "purchases"),
            ("mock_test_attempts", "subject_id", "subjects"),
            ("mock_test_attempts", "user_id", "users"),
        ] {
            let orphans = format!(
                "SELECT COUNT(*) FROM {child} c LEFT JOIN {parent} p ON p.id = c.{column} WHERE c.{column} IS NOT NULL \
                 AND p.id IS NULL"
            );
            assert_eq!(self.rows(&orphans).await[0][0], "0", "{child}.{column}");
        }
        assert!(self.accepts_second_subject().await, "a second subject of a purchase was refused");
        assert!(!self.accepts_second_subject().await, "a duplicate card was accepted");
        assert!(
            self.add_card(1, 1, 99, 1, 0, "available").await.is_err(),
            "a card of an unknown subject was accepted"
        );
        let orphan = "INSERT INTO exam_category_questions (question, mock_test_id) VALUES ('Q', -1)";
        assert!(self.try_run(orphan).await.is_err(), "a question of an unknown card was accepted");
    }
}

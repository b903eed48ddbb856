//! Repairs of big tables by the real binary, killed on their way, beside the application that goes on.
//!
//! `REPAIR_CARDS` sets how many cards each database has (5,000), and `REPAIR_SEED` repeats the moments of the
//! kills. A million: `REPAIR_CARDS=1000000 tests/run repair_at_scale -- --nocapture --test-threads 1`.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jishu_tests::Backend;
use jishu_tests::process::binary;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::application::Application;
use crate::old::{Old, Start, on_each};

on_each!(repair_at_scale);

const CARDS_OF_A_PURCHASE: i64 = 50;
/// Every so many cards there is one that was made twice, in [`Start::Duplicates`].
const DUPLICATED: i64 = 33;
/// Every so many cards there is one that was sat, and one that a question refers to.
const SAT: i64 = 10;
const ASKED: i64 = 20;
/// How often the repair is killed before it may end.
const KILLS: usize = 3;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

async fn repair_at_scale(backend: Backend) {
    let cards = i64::try_from(number("REPAIR_CARDS").unwrap_or(5_000)).expect("fewer");
    let seed = number("REPAIR_SEED").unwrap_or_else(rand::random);
    for (number, start) in (0..).zip(Start::ALL) {
        Old::on(backend, async |old| {
            old.create(start).await;
            let made = old.fill_at_scale(start, cards).await;
            let mut moments = StdRng::seed_from_u64(seed.wrapping_add(number));
            let told = repaired(old, start, &made, &mut moments).await;
            eprintln!("{backend:?}, {start:?}, REPAIR_SEED={seed}: {} cards, {told}", made.cards);
        })
        .await;
    }
}

/// What was made: each row must be there afterwards, or in the log of what was merged.
struct Made {
    cards: i64,
    duplicates: i64,
    sittings: i64,
    questions: i64,
}

impl Old {
    async fn fill_at_scale(&self, start: Start, cards: i64) -> Made {
        let purchases = cards / CARDS_OF_A_PURCHASE;
        self.run("CREATE TABLE numbers (n INTEGER PRIMARY KEY)").await;
        self.run("INSERT INTO numbers (n) VALUES (0)").await;
        let mut count = 1;
        while count < purchases.max(CARDS_OF_A_PURCHASE) {
            self.run(&format!("INSERT INTO numbers (n) SELECT n + {count} FROM numbers")).await;
            count *= 2;
        }
        // Each buys the three subjects, one by one: more the old key does not allow.
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
             '2024-05-01 10:00:00' FROM purchases p JOIN numbers t ON t.n < {CARDS_OF_A_PURCHASE} \
             ORDER BY p.id, t.n"
        ))
        .await;
        if self.backend == Backend::Postgres {
            // The next purchase of the application comes after those that named their ids.
            self.run("SELECT setval('purchases_id_seq', (SELECT MAX(id) FROM purchases))").await;
        }
        let duplicates = if start == Start::Duplicates {
            self.try_run(&format!(
                "{card} SELECT purchase_id, user_id, course_id, subject_id, test_number, 3, 1, 'in_progress', \
                 '2024-05-02 10:00:00' FROM mock_test_attempts WHERE id % {DUPLICATED} = 0"
            ))
            .await
            .unwrap()
        } else {
            0
        };
        self.run(&format!("UPDATE mock_test_attempts SET attempts_used = 1 WHERE id % {SAT} = 0")).await;
        let sittings = self
            .try_run(&format!(
                "INSERT INTO test_attempt_sessions (mock_test_id, attempt_number, score, started_at) SELECT id, 1, \
                 7, '2024-05-02 10:00:00' FROM mock_test_attempts WHERE id % {SAT} = 0 OR attempts_used = 1"
            ))
            .await
            .unwrap();
        let questions = self
            .try_run(&format!(
                "INSERT INTO exam_category_questions (question, mock_test_id) SELECT 'Q', id FROM \
                 mock_test_attempts WHERE id % {ASKED} = 0 OR attempts_used = 1"
            ))
            .await
            .unwrap();
        let count = |rows: u64| i64::try_from(rows).expect("fewer");
        Made {
            cards: self.count("mock_test_attempts").await,
            duplicates: count(duplicates),
            sittings: count(sittings),
            questions: count(questions),
        }
    }

    /// The second subject's first card of the first purchase.
    async fn second_subject(&self) -> bool {
        self.card(1, 1, 2, 1, 0, "available").await.is_ok()
    }
}

/// Kills the repair on its way, lets it end, and looks at what came of it. Tells figures.
async fn repaired(old: &Old, start: Start, made: &Made, moments: &mut StdRng) -> String {
    let bug = matches!(start, Start::OldOnly | Start::OldAndNew);
    assert_eq!(old.second_subject().await, !bug, "the old key refuses (1, 2, 1) beside (1, 1, 1)");
    if !bug {
        old.run("DELETE FROM mock_test_attempts WHERE purchase_id = 1 AND subject_id = 2").await;
    }
    let application = Application::start(old).await;

    let cards = u32::try_from(made.cards).unwrap();
    let mut killed_after = Vec::new();
    while killed_after.len() < KILLS {
        // Within about what the longest repair takes, and mostly early: some take no longer than looking does.
        let of_a_card = Duration::from_micros(if start == Start::Duplicates { 25 } else { 4 });
        let longest = Duration::from_millis(60) + of_a_card * cards;
        let moment = Duration::from_millis(5) + longest.mul_f64(moments.random::<f64>().powi(3));
        let mut repair = Repair::start(old);
        if repair.ends_within(moment).await {
            break;
        }
        repair.kill();
        killed_after.push(moment);
    }
    let began = Instant::now();
    let mut repair = Repair::start(old);
    assert!(repair.ends_within(Duration::from_secs(600)).await, "the repair ends");
    let took = began.elapsed();
    let stalls = application.stop().await;

    old.assert_repaired(made, stalls.purchases, stalls.cards).await;
    format!(
        "{} merged; killed after {killed_after:.0?}, last run {took:.1?}; longest read {:.1?} of {}, longest \
         purchase {:.1?} of {}",
        made.duplicates, stalls.read, stalls.reads, stalls.purchase, stalls.purchases
    )
}

/// `jishu repair --apply`.
struct Repair(Child);

impl Repair {
    fn start(old: &Old) -> Self {
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

    /// `kill -9`.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Repair {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Old {
    /// Nothing is wrong, nothing is lost, and the right key is the one that holds.
    async fn assert_repaired(&self, made: &Made, purchases: i64, cards_of_a_purchase: i64) {
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
        assert!(self.second_subject().await, "(1, 2, 1) stands beside (1, 1, 1)");
        assert!(!self.second_subject().await, "it does so once");
        assert!(self.card(1, 1, 99, 1, 0, "available").await.is_err(), "there is no such subject");
        let orphan = "INSERT INTO exam_category_questions (question, mock_test_id) VALUES ('Q', -1)";
        assert!(self.try_run(orphan).await.is_err(), "there is no such card");
    }
}

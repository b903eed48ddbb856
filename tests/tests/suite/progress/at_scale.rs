//! Progress and percentiles among many sittings.
//!
//! Each run begins with 10,000 sittings of many papers, and a fifth as many of one popular paper. If
//! `PROGRESS_SITTINGS` is a greater number, the run continues with that number instead of 10,000, and prints the times
//! for both. For a million sittings:
//! `PROGRESS_SITTINGS=1000000 tests/run progress_at_scale -- --nocapture --test-threads 1`

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jishu_entity::user::Role;
use jishu_entity::{PaperId, TestSessionId, UserId, test_session};
use jishu_service::auth::Viewer;
use jishu_service::clock::Clock;
use jishu_service::ranking;
use jishu_tests::{Backend, Client, TestApp, TestCourse, on_each_database};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::PROGRESS;
use super::world::{paper, topic};
use crate::plan::plan;

on_each_database!(progress_at_scale);

/// Number of sittings with which each run begins, without those of the popular paper.
const INITIAL_SITTINGS: i64 = 10_000;
/// Number of sittings of a learner, who sat each of 40 cards once and every fourth card a second time.
const SITTINGS_PER_LEARNER: i64 = 50;
const CARDS_PER_SUBJECT: i64 = 10;
const PAPERS_PER_SUBJECT: i32 = 50;
const TOPICS_PER_SUBJECT: i32 = 10;
/// Number of learners that one statement creates. It is small enough for each database.
const LEARNERS_PER_STATEMENT: i64 = 2_000;
/// The first user id of the learners who sat many papers. The learners who sat the popular paper have higher ids.
const FIRST_ID_OF_MANY_PAPER_LEARNERS: i64 = 1_000_000;
const FIRST_ID_OF_ONE_PAPER_LEARNERS: i64 = 2_000_000;
/// Number of measurements of each time. The test reports their median.
const MEASUREMENTS: usize = 200;

async fn progress_at_scale(app: Arc<TestApp>) {
    let world = World::create(&app).await;
    let asked: Option<i64> =
        std::env::var("PROGRESS_SITTINGS").ok().map(|sittings| sittings.parse().expect("a number"));
    let few = world.grow(0..INITIAL_SITTINGS).await;
    world.assert_plans().await;
    world.assert_a_percentile().await;
    let Some(many) = asked.filter(|asked| *asked > INITIAL_SITTINGS) else { return };
    let few = (few, world.times(INITIAL_SITTINGS).await);
    let many = (world.grow(INITIAL_SITTINGS..many).await, world.times(many).await);
    world.assert_plans().await;
    world.assert_a_percentile().await;
    let backend = app.backend;
    for (name, time) in [
        ("progress", (|it| it.progress) as fn(&Times) -> Duration),
        ("percentile", |it| it.percentile),
        ("50 percentiles", |it| it.page),
    ] {
        let (of_few, of_many) = (time(&few.1), time(&many.1));
        let ratio = of_many.as_secs_f64() / of_few.as_secs_f64();
        eprintln!(
            "{backend:?}, {name}: {of_few:.2?} among {} sittings, {of_many:.2?} among {}, {ratio:.2} times as long",
            few.0, many.0
        );
    }
}

struct World<'a> {
    app: &'a TestApp,
    course: TestCourse,
    /// A course with one subject and one paper. One sitting in six is a sitting of this paper.
    popular: TestCourse,
    paper: PaperId,
}

/// The median of each measured time.
struct Times {
    /// The time of a request for all of `viewer.progress`.
    progress: Duration,
    /// The time to read the percentile of one sitting of the popular paper.
    percentile: Duration,
    /// The time to read the percentiles of all 50 sittings of one learner.
    page: Duration,
}

impl<'a> World<'a> {
    async fn create(app: &'a TestApp) -> Self {
        let course = app.course(&["Physics", "Chemistry", "Botany", "Zoology"]).create(app).await;
        let popular = app.course(&["Aptitude"]).cards(1).create(app).await;
        for subject in &course.subject_rows {
            for number in 1..=PAPERS_PER_SUBJECT {
                paper(app, *subject, number).await;
            }
            for number in 1..=TOPICS_PER_SUBJECT {
                topic(app, *subject, &format!("Topic {number}")).await;
            }
        }
        let paper = paper(app, popular.subject_rows[0], 1).await;
        app.execute("CREATE TABLE numbers (n BIGINT PRIMARY KEY)").await;
        app.execute("INSERT INTO numbers (n) VALUES (0)").await;
        Self { app, course, popular, paper }
    }

    /// Adds the sittings with the numbers in this range for learners who sit many papers. Adds a fifth as many sittings
    /// of the popular paper. Returns the number of all sittings in the database.
    async fn grow(&self, sittings: Range<i64>) -> i64 {
        let (from, to) = (sittings.start / SITTINGS_PER_LEARNER, sittings.end / SITTINGS_PER_LEARNER);
        self.count_to(sittings.end / 5).await;
        for begin in portions(from..to) {
            self.learners(FIRST_ID_OF_MANY_PAPER_LEARNERS, &begin, &self.course).await;
            self.cards(FIRST_ID_OF_MANY_PAPER_LEARNERS, &begin, &self.course, CARDS_PER_SUBJECT).await;
            self.sit(FIRST_ID_OF_MANY_PAPER_LEARNERS, &begin, 1).await;
            self.sit(FIRST_ID_OF_MANY_PAPER_LEARNERS, &begin, 2).await;
            self.app
                .execute(&format!(
                    "INSERT INTO topic_totals (user_id, topic_id, correct, wrong, unanswered, score) \
                     SELECT {FIRST_ID_OF_MANY_PAPER_LEARNERS} + n, id, 5, 3, 2, 1700 FROM numbers CROSS JOIN topics \
                     WHERE n >= {} AND n < {} ORDER BY n, id",
                    begin.start, begin.end
                ))
                .await;
        }
        for begin in portions(sittings.start / 5..sittings.end / 5) {
            self.learners(FIRST_ID_OF_ONE_PAPER_LEARNERS, &begin, &self.popular).await;
            self.cards(FIRST_ID_OF_ONE_PAPER_LEARNERS, &begin, &self.popular, 1).await;
            self.sit(FIRST_ID_OF_ONE_PAPER_LEARNERS, &begin, 1).await;
        }
        self.app.execute("DELETE FROM paper_scores").await;
        for subject in self.course.subject_rows.iter().chain(&self.popular.subject_rows) {
            self.app
                .execute(&format!(
                    "INSERT INTO paper_scores (paper_id, score, learners) \
                     SELECT paper_id, score, COUNT(*) FROM test_sessions \
                     WHERE subject_id = {subject} AND ranked = 1 GROUP BY paper_id, score"
                ))
                .await;
        }
        let analyze = "ANALYZE TABLE test_sessions, mock_test_attempts, paper_scores, topic_totals, topics";
        match self.app.backend {
            Backend::MariaDb => self.app.execute(analyze).await,
            Backend::Postgres => self.app.execute("ANALYZE").await,
            // Operators do not run ANALYZE on SQLite, so the plans must be right without ANALYZE.
            Backend::Sqlite => {}
        }
        self.app.number("SELECT COUNT(*) FROM test_sessions").await
    }

    async fn count_to(&self, most: i64) {
        let mut count = self.app.number("SELECT COUNT(*) FROM numbers").await;
        while count < most.max(TOPICS_PER_SUBJECT.into()) {
            self.app.execute(&format!("INSERT INTO numbers (n) SELECT n + {count} FROM numbers")).await;
            count *= 2;
        }
    }

    /// Creates learners who have purchased a course.
    async fn learners(&self, first: i64, range: &Range<i64>, course: &TestCourse) {
        let (now, numbers) =
            (self.at("0"), format!("FROM numbers WHERE n >= {} AND n < {}", range.start, range.end));
        self.app
            .execute(&format!(
                "INSERT INTO users (id, name, email, password_hash, role, status, created_at) \
                 SELECT {first} + n, 'Learner', {}, '-', 'learner', 'active', {now} {numbers}",
                self.text(&format!("{first} + n"))
            ))
            .await;
        self.app
            .execute(&format!(
                "INSERT INTO purchases (id, user_id, course_id, purchase_type, cost, currency, status, created_at) \
                 SELECT {first} + n, {first} + n, {}, 'multiple_subjects', 0, 'INR', 'active', {now} {numbers}",
                course.row
            ))
            .await;
        for subject in &course.subject_rows {
            self.app
                .execute(&format!(
                    "INSERT INTO entitlements (purchase_id, subject_id, user_id, price_paid, test_cards, granted_at) \
                     SELECT {first} + n, {subject}, {first} + n, 0, {CARDS_PER_SUBJECT}, {now} {numbers}"
                ))
                .await;
        }
    }

    async fn cards(&self, first: i64, range: &Range<i64>, course: &TestCourse, cards: i64) {
        // Learners with consecutive ids sit different papers.
        let number = if cards == 1 {
            "1".to_owned()
        } else {
            format!("(l.n * {cards} + c.n) % {PAPERS_PER_SUBJECT} + 1")
        };
        self.app
            .execute(&format!(
                "INSERT INTO mock_test_attempts \
                 (purchase_id, user_id, subject_id, test_number, status, max_attempts, attempts_used) \
                 SELECT {first} + l.n, {first} + l.n, s.id, {number}, 'completed', 3, 2 \
                 FROM numbers l JOIN numbers c ON c.n < {cards} JOIN subjects s ON s.course_id = {} \
                 WHERE l.n >= {} AND l.n < {} ORDER BY l.n, s.id, c.n",
                course.row, range.start, range.end
            ))
            .await;
    }

    /// Creates sittings of these learners' cards. The rows are inserted in a mixed order, so that the sittings of one
    /// learner are not adjacent.
    async fn sit(&self, first: i64, range: &Range<i64>, attempt: i64) {
        let (mixed, ranked) = ("(c.id * 7919) % 1000003", if attempt == 1 { "1" } else { "NULL" });
        let seconds = |offset: i64| self.at(&format!("{mixed} + {}", attempt * 1_000_003 + offset));
        let correct = format!("(c.id * 31 + {attempt}) % 46");
        self.app
            .execute(&format!(
                "INSERT INTO test_sessions (mock_test_attempt_id, user_id, subject_id, paper_id, attempt_number, seed, \
                 status, ranked, started_at, expires_at, submitted_at, score, max_score, percentage, correct, wrong, \
                 unanswered, time_taken_seconds) \
                 SELECT c.id, c.user_id, c.subject_id, p.id, {attempt}, 1, 'submitted', {ranked}, {}, {}, {}, \
                 ({correct}) * 500 - 4500, 18000, ({correct}) * 250 - 2500, {correct}, 45 - {correct}, 0, 3000 \
                 FROM mock_test_attempts c \
                 JOIN papers p ON p.subject_id = c.subject_id AND p.test_number = c.test_number \
                 WHERE c.user_id >= {} AND c.user_id < {} AND c.id % 4 < {} ORDER BY {mixed}",
                seconds(0),
                seconds(3600),
                seconds(3000),
                first + range.start,
                first + range.end,
                if attempt == 1 { 4 } else { 1 },
            ))
            .await;
    }

    /// Returns the SQL expression of a time that is `seconds` after a fixed moment.
    fn at(&self, seconds: &str) -> String {
        match self.app.backend {
            Backend::Sqlite => {
                format!(
                    "strftime('%Y-%m-%dT%H:%M:%S', 1767225600 + {seconds}, 'unixepoch') || '.000000+00:00'"
                )
            }
            Backend::Postgres => {
                format!("TIMESTAMPTZ '2026-01-01 00:00:00+00' + ({seconds}) * INTERVAL '1 second'")
            }
            Backend::MariaDb => format!("TIMESTAMPADD(SECOND, {seconds}, '2026-01-01 00:00:00')"),
        }
    }

    fn text(&self, number: &str) -> String {
        let text = if self.app.backend == Backend::MariaDb { "CHAR" } else { "VARCHAR(20)" };
        format!("CAST({number} AS {text})")
    }

    /// Returns a client that is signed in as a learner who sat many papers.
    fn client(&self, learner: i64) -> Client {
        let viewer = Viewer {
            user_id: UserId(FIRST_ID_OF_MANY_PAPER_LEARNERS + learner),
            role: Role::Learner,
            session_id: uuid::Uuid::nil(),
        };
        let token = self.app.services.tokens.issue(viewer, self.app.clock.now()).unwrap();
        self.app.with_token(&token.token)
    }

    async fn sittings_of(&self, learner: i64) -> Vec<test_session::Model> {
        test_session::Entity::of(UserId(learner)).all(self.app.connection()).await.unwrap()
    }

    /// Reads the percentiles of sittings, which all belong to one learner.
    async fn percentiles(&self, sittings: &[test_session::Model]) -> HashMap<TestSessionId, String> {
        let ids = sittings.iter().map(|sitting| sitting.id).collect();
        let found = ranking::percentiles(&self.app.services, sittings[0].user_id, ids).await.unwrap();
        found.into_iter().map(|(id, percentile)| (id, percentile.to_string())).collect()
    }

    async fn times(&self, sittings: i64) -> Times {
        let mut random = StdRng::seed_from_u64(1);
        let (mut progress, mut percentile, mut page) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..MEASUREMENTS {
            let learner = random.random_range(0..sittings / SITTINGS_PER_LEARNER);
            let client = self.client(learner);
            let began = Instant::now();
            let answer = client.run(PROGRESS).await;
            progress.push(began.elapsed());
            assert_eq!(answer.number("/viewer/progress/testsTaken"), SITTINGS_PER_LEARNER);

            let of_learner = self.sittings_of(FIRST_ID_OF_MANY_PAPER_LEARNERS + learner).await;
            let began = Instant::now();
            let percentiles = self.percentiles(&of_learner).await;
            page.push(began.elapsed());
            assert_eq!(percentiles.len(), of_learner.len());

            let popular =
                self.sittings_of(FIRST_ID_OF_ONE_PAPER_LEARNERS + random.random_range(0..sittings / 5)).await;
            let began = Instant::now();
            let found = self.percentiles(&popular).await;
            percentile.push(began.elapsed());
            assert_eq!(found.len(), 1);
        }
        Times { progress: median(progress), percentile: median(percentile), page: median(page) }
    }

    /// Reads the progress and a percentile. Asserts that this takes seven statements on the large tables, and that no
    /// statement scans a whole large table.
    async fn assert_plans(&self) {
        let learner = FIRST_ID_OF_MANY_PAPER_LEARNERS + 77;
        let app = self.app;
        let _ = app.take_statements();
        self.client(learner - FIRST_ID_OF_MANY_PAPER_LEARNERS).run(PROGRESS).await;
        let of_learner = self.sittings_of(learner).await;
        self.percentiles(&of_learner[..1]).await;
        let big = ["test_sessions", "mock_test_attempts", "topic_totals", "paper_scores"];
        // The names and the aliases of the large tables in the plans.
        let names =
            ["test_sessions", "mock_test_attempts", "early", "late", "sums", "s", "counted", "scores"];
        let statements: Vec<String> = app
            .take_statements()
            .into_iter()
            .filter(|sql| big.iter().any(|table| sql.contains(table)))
            .collect();
        assert_eq!(statements.len(), 7, "{statements:#?}");
        for statement in statements {
            let of_a_sitting = statement.contains("paper_scores");
            let values = if of_a_sitting { [of_learner[0].id.0, learner] } else { [learner, 20] };
            let plan = plan(app, &statement, &values).await;
            for line in plan.lines() {
                let whole = match app.backend {
                    Backend::Sqlite => names.iter().any(|name| line == format!("SCAN {name}")),
                    Backend::Postgres => {
                        big.iter().any(|table| line.contains(&format!("Seq Scan on {table}")))
                    }
                    // In a line of MariaDB's plan, the type of the access follows the name of the table.
                    Backend::MariaDb => names.iter().any(|name| {
                        line.contains(&format!(" {name} ALL")) || line.contains(&format!(" {name} index "))
                    }),
                };
                assert!(!whole, "{statement}\n{plan}");
            }
        }
    }

    /// Compares percentiles of the popular paper with percentiles that are computed from a plain count of its sittings.
    async fn assert_a_percentile(&self) {
        for learner in [0, 3, 1_234] {
            let session = self.sittings_of(FIRST_ID_OF_ONE_PAPER_LEARNERS + learner).await.swap_remove(0);
            let of_paper = format!("SELECT COUNT(*) FROM test_sessions WHERE paper_id = {}", self.paper);
            let all = self.app.number(&of_paper).await;
            let score = session.score.unwrap();
            let at_or_below = self.app.number(&format!("{of_paper} AND score <= {score}")).await;
            let found = &self.percentiles(std::slice::from_ref(&session)).await[&session.id];
            let expected = super::ranking::seven_places(at_or_below, all);
            assert_eq!(found, &expected, "{at_or_below} of {all}");
        }
    }
}

fn portions(range: Range<i64>) -> impl Iterator<Item = Range<i64>> {
    let end = range.end;
    (range.start..end)
        .step_by(usize::try_from(LEARNERS_PER_STATEMENT).unwrap())
        .map(move |from| from..end.min(from + LEARNERS_PER_STATEMENT))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

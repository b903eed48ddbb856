//! Makes databases of the old system, on which the tests run checks and repairs.

use std::ops::ControlFlow;

use jishu_repair::{InspectionReport, RepairError, RepairOutcome, RepairProgress, RepairSession};
use jishu_tests::{Backend, rows, structure};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
use tempfile::TempDir;

/// The unique keys that the table of cards has before the repair. With `Duplicates`, it has no key, but duplicate
/// cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InitialKeys {
    OldOnly,
    OldAndNew,
    NewOnly,
    Neither,
    Duplicates,
}

impl InitialKeys {
    pub(crate) const ALL: [Self; 5] =
        [Self::OldOnly, Self::OldAndNew, Self::NewOnly, Self::Neither, Self::Duplicates];

    fn has_old(self) -> bool {
        matches!(self, Self::OldOnly | Self::OldAndNew)
    }

    fn has_new(self) -> bool {
        matches!(self, Self::OldAndNew | Self::NewOnly)
    }
}

/// A database of the old system, with a connection as the application has it.
pub(crate) struct OldDatabase {
    pub(crate) backend: Backend,
    pub(crate) url: String,
    pub(crate) connection: DatabaseConnection,
    _folder: TempDir,
}

/// Connects with foreign keys on, as the application does.
pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        options.foreign_keys(true).busy_timeout(std::time::Duration::from_secs(30))
    });
    Database::connect(options).await.unwrap()
}

impl OldDatabase {
    /// Runs a test on an empty database of its own. Skips the test if `TEST_DATABASES` leaves out this kind of
    /// database.
    pub(crate) async fn on(backend: Backend, test: impl AsyncFn(&Self)) {
        if !backend.is_selected() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let url = backend.create(folder.path()).await;
        let old = Self { backend, connection: connect(&url).await, url, _folder: folder };
        test(&old).await;
        old.connection.close_by_ref().await.unwrap();
        backend.remove(&old.url).await;
    }

    /// Runs a test on a database of its own with these keys and with rows.
    pub(crate) async fn starting(backend: Backend, start: InitialKeys, test: impl AsyncFn(&Self)) {
        Self::on(backend, async |old| {
            old.create(start).await;
            old.fill().await;
            if start == InitialKeys::Duplicates {
                old.duplicate().await;
            }
            test(old).await;
        })
        .await;
    }

    pub(crate) async fn run(&self, text: &str) {
        self.try_run(text).await.unwrap_or_else(|error| panic!("{error}: {text}"));
    }

    pub(crate) async fn try_run(&self, text: &str) -> Result<u64, DbErr> {
        Ok(self.connection.execute_unprepared(text).await?.rows_affected())
    }

    /// Creates the tables as SQLAlchemy does.
    pub(crate) async fn create(&self, start: InitialKeys) {
        let key = match self.backend {
            Backend::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Backend::Postgres => "serial PRIMARY KEY",
            Backend::MariaDb => "INTEGER AUTO_INCREMENT PRIMARY KEY",
        };
        let time = if self.backend == Backend::Postgres { "timestamp" } else { "datetime" };
        let mut keys = String::new();
        if start.has_old() {
            keys.push_str(", CONSTRAINT unique_test_per_purchase UNIQUE (purchase_id, test_number)");
        }
        if start.has_new() {
            keys.push_str(
                ", CONSTRAINT unique_test_per_purchase_subject UNIQUE (purchase_id, subject_id, test_number)",
            );
        }
        for table in ["users", "courses", "subjects"] {
            self.run(&format!("CREATE TABLE {table} (id {key}, name VARCHAR(80))")).await;
        }
        self.run(&format!(
            "CREATE TABLE purchases (id {key}, user_id INTEGER NOT NULL, FOREIGN KEY (user_id) REFERENCES \
             users (id))"
        ))
        .await;
        self.run(&format!(
            "CREATE TABLE mock_test_attempts (id {key}, purchase_id INTEGER, user_id INTEGER NOT NULL, \
             course_id INTEGER NOT NULL, subject_id INTEGER, test_number INTEGER NOT NULL, \
             max_attempts INTEGER DEFAULT 3, attempts_used INTEGER DEFAULT 0, \
             status VARCHAR(20) DEFAULT 'available', latest_score REAL, created_at {time}, \
             CONSTRAINT used_within CHECK (attempts_used <= max_attempts){keys}, \
             CONSTRAINT fk_purchase FOREIGN KEY (purchase_id) REFERENCES purchases (id) ON DELETE CASCADE, \
             CONSTRAINT fk_subject FOREIGN KEY (subject_id) REFERENCES subjects (id), \
             CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id))"
        ))
        .await;
        self.run(&format!(
            "CREATE TABLE test_attempt_sessions (id {key}, mock_test_id INTEGER NOT NULL, \
             attempt_number INTEGER NOT NULL, score INTEGER, started_at {time}, \
             CONSTRAINT unique_attempt UNIQUE (mock_test_id, attempt_number), \
             CONSTRAINT numbered CHECK (attempt_number BETWEEN 1 AND 100), \
             CONSTRAINT fk_card FOREIGN KEY (mock_test_id) REFERENCES mock_test_attempts (id) ON DELETE \
             CASCADE)"
        ))
        .await;
        self.run(&format!(
            "CREATE TABLE exam_category_questions (id {key}, question VARCHAR(80), mock_test_id INTEGER, \
             CONSTRAINT fk_question_card FOREIGN KEY (mock_test_id) REFERENCES mock_test_attempts (id) \
             ON DELETE CASCADE)"
        ))
        .await;
    }

    /// Inserts two users, a course, three subjects, two purchases, eight cards, three sittings and ten questions.
    pub(crate) async fn fill(&self) {
        for name in ["Asha", "Ravi"] {
            self.run(&format!("INSERT INTO users (name) VALUES ('{name}')")).await;
        }
        self.run("INSERT INTO courses (name) VALUES ('Law')").await;
        for name in ["Civics", "History", "Logic"] {
            self.run(&format!("INSERT INTO subjects (name) VALUES ('{name}')")).await;
        }
        self.run("INSERT INTO purchases (user_id) VALUES (1)").await;
        self.run("INSERT INTO purchases (user_id) VALUES (2)").await;
        for number in 1..=5 {
            self.add_card(1, 1, 1, number, 0, "available").await.unwrap();
        }
        for number in 1..=3 {
            self.add_card(2, 2, 2, number, 1, "completed").await.unwrap();
            self.add_sitting(5 + number, 1, number).await;
        }
        for number in 0..10 {
            self.run(&format!(
                "INSERT INTO exam_category_questions (question, mock_test_id) VALUES ('Q{number}', {})",
                1 + number % 8
            ))
            .await;
        }
    }

    /// Inserts cards 9 to 12: two duplicates of card 2, one of card 6 and one of card 7. Adds six sittings and a
    /// question of these cards.
    async fn duplicate(&self) {
        self.add_card(1, 1, 1, 2, 2, "in_progress").await.unwrap();
        self.add_card(1, 1, 1, 2, 1, "completed").await.unwrap();
        self.add_card(2, 2, 2, 1, 3, "exhausted").await.unwrap();
        self.add_card(2, 2, 2, 2, 0, "available").await.unwrap();
        self.add_sitting(9, 1, 30).await;
        self.add_sitting(9, 2, 50).await;
        self.add_sitting(10, 1, 40).await;
        self.add_sitting(11, 1, 0).await;
        self.add_sitting(11, 2, 60).await;
        self.add_sitting(11, 3, 61).await;
        self.run("INSERT INTO exam_category_questions (question, mock_test_id) VALUES ('R', 12)").await;
    }

    pub(crate) async fn add_card(
        &self,
        purchase: i32,
        user: i32,
        subject: i32,
        number: i32,
        used: i32,
        status: &str,
    ) -> Result<u64, DbErr> {
        self.try_run(&format!(
            "INSERT INTO mock_test_attempts (purchase_id, user_id, course_id, subject_id, test_number, \
             attempts_used, status, created_at) VALUES ({purchase}, {user}, 1, {subject}, {number}, {used}, \
             '{status}', '2024-05-01 10:00:00')"
        ))
        .await
    }

    pub(crate) async fn add_sitting(&self, card: i32, number: i32, minute: i32) {
        let time = format!("2024-05-02 {:02}:{:02}:00", 10 + minute / 60, minute % 60);
        self.run(&format!(
            "INSERT INTO test_attempt_sessions (mock_test_id, attempt_number, score, started_at) \
             VALUES ({card}, {number}, {minute}, '{time}')"
        ))
        .await;
    }

    /// Returns the rows of a query, with each value as text.
    pub(crate) async fn rows(&self, text: &str) -> Vec<Vec<String>> {
        rows(&self.connection, text).await
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.rows(&format!("SELECT COUNT(*) FROM {table}")).await[0][0].parse().unwrap()
    }

    /// Returns the tables, columns, indexes and constraints of the database, as the database itself describes them.
    pub(crate) async fn structure(&self) -> Vec<Vec<String>> {
        structure(&self.connection).await
    }

    pub(crate) async fn open(&self) -> RepairSession {
        RepairSession::open(&self.url).await.unwrap()
    }

    pub(crate) async fn report(&self) -> InspectionReport {
        let session = self.open().await;
        let report = session.inspect().await.unwrap().report();
        session.close().await.unwrap();
        report
    }

    pub(crate) async fn codes(&self) -> Vec<&'static str> {
        self.report().await.problems.iter().map(|problem| problem.code).collect()
    }

    pub(crate) async fn repair(&self) -> RepairOutcome {
        self.repair_until(|_| false).await.unwrap()
    }

    /// Repairs the database, and interrupts the repair when `stop` returns true.
    pub(crate) async fn repair_until(
        &self,
        mut stop: impl FnMut(&RepairProgress<'_>) -> bool + Send,
    ) -> Result<RepairOutcome, RepairError> {
        let session = self.open().await;
        let mut watch = |progress: RepairProgress<'_>| {
            if stop(&progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let result = session.apply(&mut watch).await;
        session.close().await.unwrap();
        result
    }

    /// Checks a repaired database that [`OldDatabase::starting`] filled: it has no problem, no lost row, and the new
    /// key.
    pub(crate) async fn assert_right(&self, start: InitialKeys) {
        let codes = self.codes().await;
        assert!(codes.is_empty(), "{start:?}: {codes:?}");
        let merged = if self.rows_of_log().await.is_empty() {
            0
        } else {
            self.count("mock_test_attempts_merged").await
        };
        let made = if start == InitialKeys::Duplicates { 12 } else { 8 };
        assert_eq!(self.count("mock_test_attempts").await + merged, made, "{start:?}");
        let sittings = if start == InitialKeys::Duplicates { 9 } else { 3 };
        assert_eq!(self.count("test_attempt_sessions").await, sittings, "{start:?}");
        let questions = if start == InitialKeys::Duplicates { 11 } else { 10 };
        assert_eq!(self.count("exam_category_questions").await, questions, "{start:?}");
        for (table, column) in
            [("test_attempt_sessions", "mock_test_id"), ("exam_category_questions", "mock_test_id")]
        {
            let orphans = format!(
                "SELECT COUNT(*) FROM {table} c LEFT JOIN mock_test_attempts t ON t.id = c.{column} WHERE \
                 c.{column} IS NOT NULL AND t.id IS NULL"
            );
            assert_eq!(self.rows(&orphans).await[0][0], "0", "{start:?}");
        }
        // A card of a second subject is accepted, but not twice, and not for a purchase that does not exist.
        self.add_card(1, 1, 2, 1, 0, "available").await.unwrap_or_else(|error| panic!("{start:?}: {error}"));
        assert!(self.add_card(1, 1, 2, 1, 0, "available").await.is_err(), "{start:?}");
        assert!(self.add_card(99, 1, 2, 1, 0, "available").await.is_err(), "{start:?}");
        let session = "INSERT INTO test_attempt_sessions (mock_test_id, attempt_number) VALUES (999, 1)";
        assert!(self.try_run(session).await.is_err(), "{start:?}");
    }

    async fn rows_of_log(&self) -> Vec<Vec<String>> {
        let text = match self.backend {
            Backend::Sqlite => "SELECT name FROM sqlite_schema WHERE name = 'mock_test_attempts_merged'",
            Backend::Postgres => {
                "SELECT relname::text FROM pg_class WHERE relname = 'mock_test_attempts_merged'"
            }
            Backend::MariaDb => "SHOW TABLES LIKE 'mock_test_attempts_merged'",
        };
        self.rows(text).await
    }
}

/// Makes three tests of each function, one for each database.
macro_rules! on_each {
    ($($name:ident),+ $(,)?) => {
        crate::old_database::on_each!(@ sqlite, Sqlite, $($name),+);
        crate::old_database::on_each!(@ postgres, Postgres, $($name),+);
        crate::old_database::on_each!(@ mariadb, MariaDb, $($name),+);
    };
    (@ $module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(jishu_tests::Backend::$backend).await;
                }
            )+
        }
    };
}
pub(crate) use on_each;

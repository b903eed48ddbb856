//! The server under test, its database, a catalogue and buyers. Also checks the tables after a storm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{CourseId, course, subject, user};
use jishu_service::auth::{AccessTokens, KeyRing};
use jishu_service::database::Failure;
use jishu_tests::Backend;
use jishu_tests::process::{DatabaseProcess, ServerProcess};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection, EntityTrait, Statement};
use tempfile::TempDir;

use crate::ledger::Ledger;

/// Number of cards of each subject. It is small, so that many purchases fit into a run.
pub(crate) const CARDS_PER_SUBJECT: i64 = 7;

/// Maximum number of attempts to run a statement that is in conflict with transactions of the server.
const MAX_CONFLICTS: u32 = 20;

/// Returns the path of the file with the name of the boundary at which the server aborts.
fn abort_file(folder: &Path) -> PathBuf {
    folder.join("abort-at")
}

fn start_server(url: &str, folder: &Path, variables: &[(&str, &str)]) -> ServerProcess {
    let file = abort_file(folder);
    let file = ("JISHU_ABORT_FILE", file.to_str().expect("UTF-8"));
    let variables: Vec<_> = variables.iter().copied().chain([file]).collect();
    ServerProcess::start(url, folder, &variables)
}

pub(crate) struct World {
    pub(crate) server: ServerProcess,
    pub(crate) database: Mutex<DatabaseProcess>,
    pub(crate) course: i64,
    pub(crate) subjects: Vec<i64>,
    pub(crate) buyers: Vec<i64>,
    /// The member of support, for storms that need one.
    pub(crate) support: Option<i64>,
    pub(crate) backend: Backend,
    url: String,
    folder: TempDir,
}

impl World {
    pub(crate) async fn start(backend: Backend, variables: &[(&str, &str)]) -> Self {
        let buyers = std::env::var("KILL_BUYERS").map_or(4_000, |buyers| buyers.parse().expect("a number"));
        Self::start_for(backend, buyers, variables).await
    }

    pub(crate) async fn start_for(backend: Backend, buyers: usize, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = DatabaseProcess::start(backend, folder.path());
        KeyRing::load_or_create(&folder.path().join("keys.pem")).expect("keys");
        let url = database.url();
        let server = start_server(&url, folder.path(), variables);
        let mut world = Self {
            server,
            database: Mutex::new(database),
            course: 0,
            subjects: Vec::new(),
            buyers: Vec::new(),
            support: None,
            backend,
            url,
            folder,
        };
        world.fill(buyers).await;
        world
    }

    pub(crate) fn start_server(&mut self, variables: &[(&str, &str)]) {
        self.server = start_server(&self.url, self.folder.path(), variables);
    }

    /// Makes the server abort when it reaches this boundary.
    pub(crate) fn abort_at(&self, boundary: &str) {
        std::fs::write(abort_file(self.folder.path()), boundary).expect("a file");
    }

    /// Waits up to ten seconds for the server to abort, and starts it again. Returns whether the server aborted.
    pub(crate) fn revive(&mut self) -> bool {
        let has_aborted = self.server.ends();
        self.abort_nowhere();
        if has_aborted {
            self.server.restart();
        }
        has_aborted
    }

    /// Makes the server pass all boundaries again without aborting.
    pub(crate) fn abort_nowhere(&self) {
        self.abort_at("");
    }

    /// Connects to the database directly. Each call opens a new connection, because the database may have been killed.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        Database::connect(&self.url).await.expect("the database answers")
    }

    async fn fill(&mut self, buyers: usize) {
        let connection = self.connect().await;
        let now = Utc::now();
        let course = course::ActiveModel {
            name: Set("Course".to_owned()),
            currency: Set("INR".to_owned()),
            bundle_price: Set(Some(250_00)),
            created_at: Set(now),
            ..Default::default()
        };
        let CourseId(id) = course.insert(&connection).await.expect("a course").id;
        self.course = id;
        for name in ["A", "B", "C"] {
            let subject = subject::ActiveModel {
                course_id: Set(CourseId(id)),
                name: Set(name.to_owned()),
                list_price: Set(100_00),
                total_mock_tests: Set(i32::try_from(CARDS_PER_SUBJECT).expect("few")),
                max_attempts: Set(3),
                created_at: Set(now),
                ..Default::default()
            };
            self.subjects.push(subject.insert(&connection).await.expect("a subject").id.0);
        }
        for batch in (0..buyers).collect::<Vec<_>>().chunks(2_000) {
            let rows = batch.iter().map(|number| user::ActiveModel {
                name: Set("Buyer".to_owned()),
                email: Set(format!("buyer{number}@example.com")),
                password_hash: Set("none".to_owned()),
                role: Set(Role::Learner),
                status: Set(UserStatus::Active),
                created_at: Set(now),
                ..Default::default()
            });
            user::Entity::insert_many(rows).exec_without_returning(&connection).await.expect("buyers");
        }
        self.buyers = self.numbers(&connection, "SELECT id FROM users ORDER BY id").await;
        connection.close().await.expect("closing");
    }

    /// Drops the unique key of live entitlements. With the key, the database would refuse the rows that the fault
    /// `Unlocked` writes.
    pub(crate) async fn drop_the_live_key(&self) {
        let connection = self.connect().await;
        let statements: &[&str] = match self.backend {
            // On MariaDB a foreign key needs an index on these columns, so another index is added first.
            Backend::MariaDb => &[
                "CREATE INDEX plain ON entitlements (user_id, subject_id)",
                "ALTER TABLE entitlements DROP INDEX unique_live_entitlement",
            ],
            Backend::Sqlite | Backend::Postgres => &["DROP INDEX unique_live_entitlement"],
        };
        for statement in statements {
            connection.execute_unprepared(statement).await.expect("the key can be dropped");
        }
        connection.close().await.expect("closing");
    }

    /// Returns an issuer of access tokens with the server's signing key. The tokens are valid for an hour.
    pub(crate) fn tokens(&self) -> AccessTokens {
        let keys = KeyRing::load_or_create(&self.folder.path().join("keys.pem")).expect("keys");
        AccessTokens::new(keys, "jishu", "jishu", Duration::from_secs(3_600))
    }

    pub(crate) fn global(kind: &str, row: i64) -> String {
        URL_SAFE_NO_PAD.encode(format!("{kind}:{row}"))
    }

    pub(crate) async fn rows(
        &self,
        connection: &DatabaseConnection,
        sql: &str,
        columns: usize,
    ) -> Vec<Vec<i64>> {
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let rows = connection.query_all_raw(statement).await.expect("the query runs");
        let column = |row: &sea_orm::QueryResult, index| {
            row.try_get_by_index::<i64>(index)
                .or_else(|_| row.try_get_by_index::<i32>(index).map(i64::from))
                .expect("a number")
        };
        rows.iter().map(|row| (0..columns).map(|index| column(row, index)).collect()).collect()
    }

    /// Runs a statement while the server runs. Repeats the statement if it was in conflict with a transaction of the
    /// server.
    pub(crate) async fn change(&self, connection: &DatabaseConnection, sql: &str) {
        for _ in 0..MAX_CONFLICTS {
            match connection.execute_unprepared(sql).await {
                Ok(_) => return,
                Err(error) => assert_eq!(Failure::of(&error), Failure::Conflict, "{sql}: {error}"),
            }
        }
        panic!("{MAX_CONFLICTS} conflicts with the server: {sql}");
    }

    pub(crate) async fn numbers(&self, connection: &DatabaseConnection, sql: &str) -> Vec<i64> {
        self.rows(connection, sql, 1).await.into_iter().map(|row| row[0]).collect()
    }

    /// Returns all errors in the ledger, and all violations in the tables.
    pub(crate) async fn violations(&self, ledger: &Ledger) -> Vec<String> {
        let connection = self.connect().await;
        let mut violations = ledger.errors.clone();
        self.check_tables(&connection, &mut violations).await;
        self.check_ledger(&connection, ledger, &mut violations).await;
        connection.close().await.expect("closing");
        violations
    }

    /// Runs a query for each kind of violation. Returns a sentence for each kind that has rows.
    pub(crate) async fn broken(
        &self,
        connection: &DatabaseConnection,
        rules: &[(&str, &str)],
    ) -> Vec<String> {
        let mut broken = Vec::new();
        for (rule, query) in rules {
            let found = self.numbers(connection, query).await;
            if !found.is_empty() {
                broken.push(format!("{rule}: {} times, first {}", found.len(), found[0]));
            }
        }
        broken
    }

    /// Checks the rules that the tables must satisfy after any requests.
    async fn check_tables(&self, connection: &DatabaseConnection, violations: &mut Vec<String>) {
        let rules = [
            (
                "a duplicate card",
                "SELECT purchase_id FROM mock_test_attempts GROUP BY purchase_id, subject_id, test_number HAVING COUNT(*) > 1",
            ),
            (
                "a purchase without entitlements",
                "SELECT p.id FROM purchases p LEFT JOIN entitlements e ON e.purchase_id = p.id WHERE e.purchase_id IS NULL",
            ),
            (
                "a purchase with a cost that is not the sum of its subjects' prices",
                "SELECT p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id GROUP BY p.id, p.cost HAVING SUM(e.price_paid) <> p.cost",
            ),
            (
                "a subject owned twice",
                "SELECT user_id FROM entitlements WHERE ended_at IS NULL GROUP BY user_id, subject_id HAVING COUNT(*) > 1",
            ),
            (
                "an entitlement with another number of cards than it granted",
                "SELECT e.purchase_id FROM entitlements e LEFT JOIN mock_test_attempts c ON c.purchase_id = e.purchase_id \
                 AND c.subject_id = e.subject_id AND c.user_id = e.user_id AND c.test_number BETWEEN 1 AND e.test_cards \
                 GROUP BY e.purchase_id, e.subject_id, e.test_cards HAVING COUNT(c.id) <> e.test_cards",
            ),
            (
                "a purchase without exactly one audit event",
                "SELECT p.id FROM purchases p LEFT JOIN audit_events a ON a.target_type = 'purchases' AND a.target_id = p.id \
                 GROUP BY p.id HAVING COUNT(a.id) <> 1",
            ),
        ];
        violations.extend(self.broken(connection, &rules).await);
    }

    /// Compares the responses that clients got with the stored rows.
    async fn check_ledger(
        &self,
        connection: &DatabaseConnection,
        ledger: &Ledger,
        violations: &mut Vec<String>,
    ) {
        let mut owned: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        let mut given: BTreeMap<i64, i64> = BTreeMap::new();
        for row in self.rows(connection, "SELECT user_id, subject_id, purchase_id FROM entitlements", 3).await
        {
            owned.entry(row[0]).or_default().insert(row[1]);
            *given.entry(row[2]).or_default() += 1;
        }
        let buyers: BTreeMap<i64, i64> = self
            .rows(connection, "SELECT id, user_id FROM purchases", 2)
            .await
            .into_iter()
            .map(|row| (row[0], row[1]))
            .collect();
        let mut created: BTreeMap<i64, &str> = BTreeMap::new();
        for entry in &ledger.entries {
            violations.extend(entry.contradictions.iter().cloned());
            let Some(response) = &entry.response else {
                violations.push(format!("{} never got a response", entry.key));
                continue;
            };
            if buyers.get(&response.purchase) != Some(&entry.buyer) {
                violations.push(format!("{}: {} {} is lost", entry.key, response.outcome, response.purchase));
            }
            let has = owned.get(&entry.buyer).cloned().unwrap_or_default();
            if !entry.subjects.is_subset(&has) {
                violations.push(format!(
                    "{}: {}, but the buyer does not own all subjects",
                    entry.key, response.outcome
                ));
            }
            let expected = i64::try_from(entry.subjects.len()).expect("few") * CARDS_PER_SUBJECT;
            if response.total != expected {
                violations.push(format!(
                    "{}: the response shows {} cards, expected {expected}",
                    entry.key, response.total
                ));
            }
            if response.outcome == "CREATED" {
                let due = given.get(&response.purchase).copied().unwrap_or_default() * CARDS_PER_SUBJECT;
                if response.created != due {
                    violations.push(format!(
                        "{}: the response says that {} cards were created, expected {due}",
                        entry.key, response.created
                    ));
                }
                if let Some(other) = created.insert(response.purchase, &entry.key) {
                    violations.push(format!("{} and {other} both created {}", entry.key, response.purchase));
                }
            }
        }
        // A buyer may have only purchases that the server acknowledged.
        let unknown = buyers.keys().filter(|purchase| !created.contains_key(purchase)).count();
        if unknown > 0 {
            violations.push(format!("{unknown} purchases that no response acknowledged"));
        }
    }
}

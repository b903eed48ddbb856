//! The cluster, a server on each node and a catalogue. Also checks the rows of all nodes after a storm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jishu_entity::{course, subject};
use jishu_service::auth::KeyRing;
use jishu_tests::process::ServerProcess;
use jishu_tests::{Client, fill_bank};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, Conflicts};

pub(crate) const NODES: usize = 3;
/// Number of questions of a test.
pub(crate) const QUESTIONS: i64 = 24;

pub(crate) struct World {
    /// The global id of the course. `subjects` has the global ids of its subjects.
    pub(crate) course: String,
    pub(crate) subjects: Vec<String>,
    servers: Vec<ServerProcess>,
    http: reqwest::Client,
    cluster: Cluster,
    _folder: TempDir,
}

impl World {
    /// Starts the cluster, then all three servers at once, each of which runs the migrations. Writes the catalogue.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cluster = Cluster::start(NODES, folder.path()).await;
        let keys = folder.path().join("keys.pem");
        KeyRing::load_or_create(&keys).expect("keys");
        let servers = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let starting: Vec<_> = (0..NODES)
                    .map(|number| {
                        let (own, url) =
                            (folder.path().join(format!("server{number}")), cluster.nodes[number].url());
                        std::fs::create_dir(&own).expect("a folder for the server");
                        std::fs::copy(&keys, own.join("keys.pem")).expect("its keys");
                        let logged = [("RUST_LOG", "warn,jishu_service::database=debug")];
                        scope.spawn(move || ServerProcess::start(&url, &own, &logged))
                    })
                    .collect();
                starting.into_iter().map(|server| server.join().expect("it starts")).collect()
            })
        });
        let mut world = Self {
            course: String::new(),
            subjects: Vec::new(),
            servers,
            http: reqwest::Client::new(),
            cluster,
            _folder: folder,
        };
        world.fill().await;
        world
    }

    async fn fill(&mut self) {
        let connection = self.connect(0).await;
        let now = Utc::now();
        let course = course::ActiveModel {
            name: Set("Course".to_owned()),
            currency: Set("INR".to_owned()),
            bundle_price: Set(Some(250_00)),
            created_at: Set(now),
            ..Default::default()
        };
        let course = course.insert(&connection).await.expect("a course").id;
        self.course = global("Course", course.0);
        for name in ["A", "B", "C"] {
            let subject = subject::ActiveModel {
                course_id: Set(course),
                name: Set(name.to_owned()),
                list_price: Set(100_00),
                total_mock_tests: Set(50),
                max_attempts: Set(3),
                created_at: Set(now),
                ..Default::default()
            };
            let id = subject.insert(&connection).await.expect("a subject").id;
            fill_bank(&connection, id, QUESTIONS, now).await;
            self.subjects.push(global("Subject", id.0));
        }
        connection.close().await.expect("closing");
    }

    /// Connects to the database of a node directly. Each read waits until the node has applied everything that the
    /// cluster has committed.
    async fn connect(&self, node: usize) -> DatabaseConnection {
        let connection = self.cluster.nodes[node].connect("jishu").await.expect("the node answers");
        connection.execute_unprepared("SET SESSION wsrep_sync_wait = 1").await.expect("a variable of Galera");
        connection
    }

    /// Registers a learner with the server of one node. Returns a client of the learner for each node.
    pub(crate) async fn learner(&self, name: &str, node: usize) -> Vec<Client> {
        let register = "mutation ($input: RegisterInput!) {
            register(input: $input) { tokens { accessToken } userErrors { message } } }";
        let input = json!({
            "name": name,
            "email": format!("{}@example.com", name.to_lowercase()),
            "password": "correct horse battery",
        });
        let client =
            |node: usize, token| Client::new(self.http.clone(), self.servers[node].endpoint(), token);
        let answer = client(node % NODES, None).run_with(register, json!({ "input": input })).await;
        let token = answer.text("/register/tokens/accessToken");
        (0..NODES).map(|node| client(node, Some(token.to_owned()))).collect()
    }

    /// Starts a task that inserts rows by the thousand on one node until the returned flag is set. The other nodes
    /// apply these rows slowly, and later commits must wait behind them. The task returns the number of inserts.
    pub(crate) fn keep_the_others_behind(&self) -> (JoinHandle<usize>, Arc<AtomicBool>) {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, connecting) = (Arc::clone(&stop), self.cluster.nodes[0].url());
        let bulk = tokio::spawn(async move {
            let connection = Database::connect(connecting).await.expect("the node answers");
            let create = "CREATE TABLE bulk (id INTEGER AUTO_INCREMENT PRIMARY KEY, text VARCHAR(100))";
            connection.execute_unprepared(create).await.expect("a table");
            let mut times = 0;
            while !told.load(Ordering::SeqCst) {
                let insert = "INSERT INTO bulk (text) SELECT REPEAT('x', 100) FROM seq_1_to_20000";
                connection.execute_unprepared(insert).await.expect("rows");
                times += 1;
            }
            connection.close().await.expect("closing");
            times
        });
        (bulk, stop)
    }

    /// Checks on each node that no purchase is duplicated or incomplete, and that all nodes have the same purchases and
    /// cards.
    pub(crate) async fn assert_right(&self) {
        let mut all = Vec::new();
        for node in 0..NODES {
            let connection = self.connect(node).await;
            for (rule, violations) in [
                (
                    "a card that exists twice",
                    "SELECT COUNT(*) FROM (SELECT 1 FROM mock_test_attempts c JOIN entitlements e ON \
                     e.purchase_id = c.purchase_id AND e.subject_id = c.subject_id WHERE e.ended_at IS NULL \
                     GROUP BY c.user_id, c.subject_id, c.test_number HAVING COUNT(*) > 1) twice",
                ),
                (
                    "a subject owned twice",
                    "SELECT COUNT(*) FROM (SELECT 1 FROM entitlements WHERE ended_at IS NULL GROUP BY user_id, \
                     subject_id HAVING COUNT(*) > 1) twice",
                ),
                (
                    "an entitlement with another number of cards than it granted",
                    "SELECT COUNT(*) FROM entitlements e WHERE e.test_cards <> (SELECT COUNT(*) FROM \
                     mock_test_attempts c WHERE c.purchase_id = e.purchase_id AND c.subject_id = e.subject_id \
                     AND c.user_id = e.user_id)",
                ),
                (
                    "a purchase with a cost that is not the sum of its subjects' prices",
                    "SELECT COUNT(*) FROM purchases p WHERE p.cost <> COALESCE((SELECT SUM(e.price_paid) FROM \
                     entitlements e WHERE e.purchase_id = p.id), -1)",
                ),
                (
                    "a purchase without exactly one audit event",
                    "SELECT COUNT(*) FROM purchases p WHERE 1 <> (SELECT COUNT(*) FROM audit_events a WHERE \
                     a.target_type = 'purchases' AND a.target_id = p.id)",
                ),
            ] {
                assert_eq!(numbers(&connection, violations).await, [0], "node {node}: {rule}");
            }
            let mut sums = Vec::new();
            for (table, order) in [
                ("purchases", "id"),
                ("purchase_requests", "id"),
                ("entitlements", "purchase_id, subject_id"),
                ("mock_test_attempts", "id"),
            ] {
                let count = format!("SELECT COUNT(*) FROM {table}");
                let ids = format!(
                    "SELECT CAST(CRC32(GROUP_CONCAT({order} ORDER BY {order})) AS SIGNED) FROM {table}"
                );
                connection
                    .execute_unprepared("SET SESSION group_concat_max_len = 100000000")
                    .await
                    .expect("a long text");
                sums.push((numbers(&connection, &count).await, numbers(&connection, &ids).await));
            }
            connection.close().await.expect("closing");
            all.push(sums);
        }
        assert!(all.iter().all(|sums| *sums == all[0]), "the nodes differ: {all:?}");
        eprintln!(
            "each node: {} purchases, {} subjects bought, {} cards",
            all[0][0].0[0], all[0][2].0[0], all[0][3].0[0]
        );
    }

    /// Checks on each node that each card has as many sittings as used attempts, and that all sittings have ended. Each
    /// start and each end must have an audit event, and the topic totals must add up to the scores.
    pub(crate) async fn assert_sittings_right(&self) {
        for node in 0..NODES {
            let connection = self.connect(node).await;
            for (rule, violations) in [
                (
                    "a card with another number of sittings than used attempts",
                    "SELECT COUNT(*) FROM mock_test_attempts c WHERE c.attempts_used <> (SELECT COUNT(*) FROM \
                     test_sessions s WHERE s.mock_test_attempt_id = c.id)",
                ),
                ("a sitting that is open", "SELECT COUNT(*) FROM test_sessions WHERE open_marker = 1"),
                (
                    "a start or an end without exactly one audit event",
                    "SELECT COUNT(*) FROM mock_test_attempts c WHERE 2 * c.attempts_used <> (SELECT COUNT(*) FROM \
                     audit_events a WHERE a.target_type = 'mock_test_attempts' AND a.target_id = c.id)",
                ),
                (
                    "scores with another sum than the topic totals",
                    "SELECT COUNT(*) FROM (SELECT (SELECT COALESCE(SUM(score), 0) FROM test_sessions) <> (SELECT \
                     COALESCE(SUM(score), 0) FROM topic_totals) AS differ) sums WHERE differ",
                ),
            ] {
                assert_eq!(numbers(&connection, violations).await, [0], "node {node}: {rule}");
            }
            connection.close().await.expect("closing");
        }
    }

    /// Prints the errors in the logs of the servers.
    pub(crate) fn tell_errors(&self) {
        for (number, server) in self.servers.iter().enumerate() {
            for line in server.log().lines().filter(|line| line.contains("ERROR")) {
                eprintln!("node {number}: {line}");
            }
        }
    }

    /// Prints the conflicts between the nodes, the retries that they caused, and how many transactions the cluster
    /// aborted without an error message. Panics if the log of a server contains an error.
    pub(crate) async fn tell_conflicts(&self) {
        for (number, (node, server)) in self.cluster.nodes.iter().zip(&self.servers).enumerate() {
            let log = server.log();
            let retries = log.lines().filter(|line| line.contains("retrying")).count();
            let silent = log.lines().filter(|line| line.contains("was_lost=true")).count();
            let Conflicts { certification_failures, brute_force_aborts } = node.conflicts().await;
            eprintln!(
                "node {number}: {certification_failures} certification failures, {brute_force_aborts} brute-force \
                 aborts, {retries} retries, {silent} transactions aborted without an error"
            );
            assert!(!log.contains("ERROR"), "{log}");
        }
    }
}

fn global(kind: &str, row: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind}:{row}"))
}

async fn numbers(connection: &DatabaseConnection, sql: &str) -> Vec<i64> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.expect("the query runs");
    rows.iter().map(|row| row.try_get_by_index::<i64>(0).expect("a number")).collect()
}

//! Databases that hang, restart or accept no writes, an outbox that is stuck, and clients that disconnect while the
//! database works for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jishu_entity::user::Role;
use jishu_service::clock::Clock as _;
use jishu_tests::process::DatabaseProcess;
use jishu_tests::{Backend, Client, TestApp, TestCourse, UNLIMITED, rows};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};

const CODE: &str = "/errors/0/extensions/code";
const BUY: &str = "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome } }";

/// A jishu server with a database server of its own, which the test may freeze and kill.
struct World {
    database: DatabaseProcess,
    app: TestApp,
    learner: Client,
    course: TestCourse,
}

impl World {
    async fn start(backend: Backend) -> Option<Self> {
        if !backend.is_selected() {
            eprintln!("skipped: TEST_DATABASES leaves this database out");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let database = DatabaseProcess::start(backend, folder.path());
        let mut url = database.url();
        if backend == Backend::MariaDb {
            // jishu connects as another user than root, because root may write to a read-only MariaDB.
            let root = connect(&url).await;
            root.execute_unprepared("CREATE USER 'app'@'127.0.0.1'").await.unwrap();
            root.execute_unprepared("GRANT ALL ON jishu.* TO 'app'@'127.0.0.1'").await.unwrap();
            root.close().await.unwrap();
            url = url.replace("root@", "app@");
        }
        let app = TestApp::start_at(backend, url, folder, UNLIMITED).await;
        let learner = app.staff("Asha", Role::Learner).await;
        let course = app.course(&["Physics"]).cards(2).create(&app).await;
        Some(Self { database, app, learner, course })
    }

    /// Returns the status and the text of the readiness check.
    async fn ready(&self) -> (u16, String) {
        let response = self.app.http().get(self.app.url("/health/ready")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn becomes_ready(&self) {
        let started = Instant::now();
        while self.ready().await.0 != 200 {
            assert!(started.elapsed() < Duration::from_secs(30), "the server did not become ready");
        }
    }

    async fn read(&self) -> Value {
        let page = "{ viewer { name mockTestAttempts { edges { node { id } } } } }";
        self.learner.send(page, Value::Null).await.body
    }

    async fn buy(&self) -> Value {
        let input = json!({ "courseId": self.course.id, "purchaseType": "SINGLE_SUBJECT",
                            "subjectIds": self.course.subjects });
        self.learner.send(BUY, json!({ "input": input })).await.body
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    Database::connect(options).await.unwrap()
}

/// Runs the cases one by one on the same database server, because starting a database server takes seconds.
async fn outages(backend: Backend) {
    let Some(mut world) = World::start(backend).await else { return };
    // MariaDB is one process. The time of its children alone would be zero.
    assert!(world.database.cpu_time() > Duration::ZERO);
    a_hung_database_is_reported_in_time(&world).await;
    a_database_that_takes_no_writes_is_reported(&world).await;
    a_restart_fails_no_read_for_good(&mut world).await;
}

async fn a_hung_database_is_reported_in_time(world: &World) {
    assert_eq!(world.ready().await, (200, "ready\n".to_owned()));
    world.database.freeze();
    // The second check must not wait for the connection that the first check uses.
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(world.ready().await, (503, "unavailable: the database does not respond\n".to_owned()));
        assert!(started.elapsed() < Duration::from_secs(2), "the health check took {:?}", started.elapsed());
    }
    world.database.thaw();
    world.becomes_ready().await;
}

async fn a_database_that_takes_no_writes_is_reported(world: &World) {
    let set = async |on: bool| {
        let statements = match world.app.backend {
            Backend::MariaDb => vec![format!("SET GLOBAL read_only = {on}")],
            _ => vec![
                format!("ALTER SYSTEM SET default_transaction_read_only = {on}"),
                "SELECT pg_reload_conf()".to_owned(),
            ],
        };
        let superuser = connect(&world.database.url()).await;
        for statement in statements {
            superuser.execute_unprepared(&statement).await.unwrap();
        }
        superuser.close().await.unwrap();
    };
    let before = world.app.row_counts().await;
    set(true).await;
    let started = Instant::now();
    while world.ready().await
        != (503, "degraded: the database is read-only, and accepts no writes\n".to_owned())
    {
        assert!(started.elapsed() < Duration::from_secs(10), "the read-only database was not reported");
    }
    let refused = world.buy().await;
    assert_eq!(refused.pointer(CODE), Some(&json!("OVERLOADED")), "{refused:#}");
    assert_eq!(world.read().await["data"]["viewer"]["name"], "Asha");
    assert_eq!(world.app.row_counts().await, before);
    set(false).await;
    let started = Instant::now();
    while world.buy().await["data"]["purchase"]["outcome"] != "CREATED" {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "no purchase succeeded after the end of the fault"
        );
    }
    world.becomes_ready().await;
}

/// Kills the database server, starts it again, and reads until a read succeeds.
async fn a_restart_fails_no_read_for_good(world: &mut World) {
    world.database.kill();
    assert_eq!(world.ready().await.0, 503);
    world.database.restart();
    // Every connection in the pools of jishu is broken now. Each response is data, or the error `OVERLOADED`.
    let started = Instant::now();
    loop {
        let answer = world.read().await;
        if answer["data"]["viewer"]["mockTestAttempts"]["edges"]
            .as_array()
            .is_some_and(|cards| cards.len() == 2)
        {
            break;
        }
        assert_eq!(answer.pointer(CODE), Some(&json!("OVERLOADED")), "{answer:#}");
        assert!(started.elapsed() < Duration::from_secs(30), "no read succeeded");
    }
    assert_eq!(world.buy().await["data"]["purchase"]["outcome"], "EXISTING");
    world.becomes_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_outages() {
    outages(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_outages() {
    outages(Backend::MariaDb).await;
}

/// Limits the size of the SQLite file. At the limit, SQLite returns the same error as for a full disk.
async fn a_full_disk_is_reported(app: Arc<TestApp>) {
    let learner = app.staff("Asha", Role::Learner).await;
    let course = app.course(&["Physics"]).cards(1_000).create(&app).await;
    let input =
        json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": course.subjects });
    let buy = async || learner.send(BUY, json!({ "input": input })).await.body;
    let ready = async || {
        let response = app.http().get(app.url("/health/ready")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let before = app.row_counts().await;
    app.execute("PRAGMA max_page_count = 1").await;
    let refused = buy().await;
    assert_eq!(refused.pointer(CODE), Some(&json!("OVERLOADED")), "{refused:#}");
    assert_eq!(app.row_counts().await, before);
    let told = "degraded: the database accepts no writes, because its disk is full\n".to_owned();
    assert_eq!(ready().await, (503, told));
    assert_eq!(learner.run("{ viewer { name } }").await.text("/viewer/name"), "Asha");
    app.execute("PRAGMA max_page_count = 1000000").await;
    assert_eq!(buy().await["data"]["purchase"]["outcome"], "CREATED");
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_a_full_disk_is_reported() {
    TestApp::run(Backend::Sqlite, a_full_disk_is_reported).await;
}

/// Checks that a node with a stuck outbox reports this, but stays ready, because all nodes have the same outbox.
async fn a_stuck_outbox_is_reported(app: Arc<TestApp>) {
    let ready = async || {
        let response = app.http().get(app.url("/health/ready")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    let add = |id: &str, minutes: i64| {
        let time = |minutes: i64| {
            let time = app.clock.now() + chrono::TimeDelta::minutes(minutes);
            time.format("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
        };
        // Another node has the lease of the message, so the worker does not take it.
        format!(
            "INSERT INTO outbox (message_id, channel, kind, payload, state, attempts, due_at, lease_owner, created_at, \
             expires_at) VALUES ('{id}', 'mail', 'reset_password', 'x', 'leased', 3, '{}', 'other', '{}', '{}')",
            time(30),
            time(-minutes),
            time(600)
        )
    };
    app.execute(&add("1bd3b1ad-6a3c-4a8e-9a3c-000000000001", 14)).await;
    assert_eq!(ready().await.1, "ready\n");
    app.execute(&add("1bd3b1ad-6a3c-4a8e-9a3c-000000000002", 16)).await;
    let (status, text) = ready().await;
    assert_eq!(status, 200);
    assert!(text.starts_with("impaired: messages have waited in the outbox"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_a_stuck_outbox_is_reported() {
    TestApp::run(Backend::Sqlite, a_stuck_outbox_is_reported).await;
}

/// Checks that the server keeps its connections if clients disconnect while MariaDB prepares their statements. If the
/// server gave up such a statement, the driver could not reuse the connection. The table lock delays the preparation
/// until the clients have disconnected.
async fn clients_that_leave_cost_no_connection(app: Arc<TestApp>) {
    let learner = app.learner("Asha").await;
    let lock = connect(&app.database_url).await;
    lock.execute_unprepared("LOCK TABLES mock_test_attempts WRITE").await.unwrap();
    let page = "{ viewer { mockTestAttempts { edges { node { testNumber } } } } }";
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let learner = learner.clone();
            tokio::spawn(async move { learner.send(page, Value::Null).await })
        })
        .collect();
    let name = app.database_url.rsplit_once('/').unwrap().1.to_owned();
    let connections = async |condition: &str| {
        let list = format!(
            "SELECT id FROM information_schema.processlist WHERE db = '{name}' {condition} ORDER BY id"
        );
        rows(&lock, &list).await
    };
    let started = Instant::now();
    let waiting = loop {
        let waiting = connections("AND state LIKE 'Waiting for table%'").await;
        if waiting.len() == 3 {
            break waiting;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "the requests did not wait for the lock");
    };
    for request in requests {
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
    }
    lock.execute_unprepared("UNLOCK TABLES").await.unwrap();
    let started = Instant::now();
    while !connections("AND command NOT IN ('Sleep', 'Daemon')")
        .await
        .iter()
        .all(|row| !waiting.contains(row))
    {
        assert!(started.elapsed() < Duration::from_secs(5), "the statements did not end");
    }
    assert_eq!(learner.run(page).await.list("/viewer/mockTestAttempts/edges").len(), 0);
    let left = connections("").await;
    assert!(
        waiting.iter().all(|row| left.contains(row)),
        "the driver closed some of the connections {waiting:?}: the open connections are {left:?}"
    );
    lock.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_clients_that_leave_cost_no_connection() {
    TestApp::run(Backend::MariaDb, clients_that_leave_cost_no_connection).await;
}

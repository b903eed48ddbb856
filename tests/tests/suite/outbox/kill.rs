//! Kills nodes while they register users and deliver the mails of the registrations.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use jishu_service::auth::KeyRing;
use jishu_service::database::{Database, DatabaseOptions};
use jishu_tests::process::{binary, free_port};
use jishu_tests::{
    Backend, Client, MailServer, REGISTER, ReceiverCheck, Registration, UNLIMITED, wait_for, wait_until,
};
use rand::RngExt;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

/// Number of times that a node is killed, unless the variable `OUTBOX_KILLS` gives another number.
const KILLS: usize = 10;

/// A server process that a test kills and starts again. Dropping it kills the process.
struct KilledNode {
    command: Command,
    port: u16,
    child: Child,
}

impl KilledNode {
    fn start(database_url: &str, folder: &Path, name: &str, smtp_url: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(binary("jishu"));
        let log = File::create(log_file(folder, name)).unwrap();
        command
            .args(["serve", &format!("--listen=127.0.0.1:{port}"), "--database-url", database_url])
            .args(["--smtp-url", smtp_url, "--mail-seconds=1", "--mail-from=no-reply@academy.example"])
            .arg("--signing-keys")
            .arg(folder.join("keys.pem"))
            .args(UNLIMITED)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        Self { command, port, child }
    }

    fn client(&self) -> Client {
        // Each call makes a new HTTP client, because the connections of an older client end when its node is killed.
        Client::new(reqwest::Client::new(), format!("http://127.0.0.1:{}/graphql", self.port), None)
    }

    async fn wait(&self) {
        let url = format!("http://127.0.0.1:{}/health/ready", self.port);
        wait_until("the node is ready", async || {
            reqwest::get(&url).await.is_ok_and(|r| r.status().is_success())
        })
        .await;
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = self.command.spawn().unwrap();
    }
}

impl Drop for KilledNode {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

async fn addresses(database: &Database) -> BTreeSet<String> {
    let statement = Statement::from_string(database.backend(), "SELECT email FROM users");
    let rows = database.reader().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// Kills a node during each registration or shortly after its response, and starts the node again. A second node runs
/// meanwhile, except on SQLite. At the end, the mail of each committed account must have arrived.
async fn mails_survive_kills(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let kills = std::env::var("OUTBOX_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let names: &[&str] = if backend == Backend::Sqlite { &["one"] } else { &["one", "other"] };
    let started = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let url = backend.create_migrated(folder.path()).await;
    KeyRing::load_or_create(&folder.path().join("keys.pem")).unwrap();
    let database = Database::connect(&DatabaseOptions::new(&url)).await.unwrap();
    let of_check = database.clone();
    // Checks that the account of a mail is committed at the moment when the mail arrives.
    let check: ReceiverCheck = Arc::new(move |address| {
        let database = of_check.clone();
        async move {
            let is_committed = addresses(&database).await.contains(&address);
            let delay = rand::rng().random_range(0..60);
            tokio::time::sleep(Duration::from_millis(delay)).await;
            is_committed
        }
        .boxed()
    });
    let mail = MailServer::start_with(Some(check)).await;
    let start = |name: &&str| KilledNode::start(&url, folder.path(), name, &mail.url());
    let mut nodes: Vec<KilledNode> = names.iter().map(start).collect();
    for number in 0..kills {
        let node = &mut nodes[number % names.len()];
        node.wait().await;
        let registration =
            Registration::new("Asha", &format!("learner{number}@example.com"), "correct horse");
        let client = node.client();
        if number % 3 == 0 {
            // The kill comes during the request, so the registration may or may not be committed.
            let in_flight = tokio::spawn({
                let client = client.clone();
                async move { client.send(REGISTER, json!({ "input": registration })).await }
            });
            let pause = rand::rng().random_range(20..400);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            node.kill();
            let _ = in_flight.await;
        } else {
            client.run_with(REGISTER, json!({ "input": registration })).await;
            let pause = rand::rng().random_range(0..80);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            node.kill();
        }
        node.restart();
    }
    let committed = addresses(&database).await;
    let arrived = || mail.mails().into_iter().map(|mail| mail.to).collect::<BTreeSet<_>>();
    wait_for("every mail", async || (arrived() == committed).then_some(())).await;

    let mails = mail.mails();
    assert!(mails.iter().all(|mail| mail.passed_check), "a mail came before its account was committed");
    let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for mail in &mails {
        ids.entry(&mail.to).or_default().insert(mail.header("Message-ID"));
    }
    assert!(
        ids.values().all(|ids| ids.len() == 1),
        "a mail and its repetition have different Message-IDs: {ids:?}"
    );
    println!(
        "{backend:?}: {kills} kills in {:?}; {} accounts, {} mails, {} of them repeated",
        started.elapsed(),
        committed.len(),
        mails.len(),
        mails.len() - committed.len()
    );
    for name in names {
        let log = std::fs::read_to_string(log_file(folder.path(), name)).unwrap();
        assert!(!log.contains("jlt_") && !log.contains("@example.com"), "{log}");
    }
    drop(nodes);
    database.close().await.unwrap();
    backend.remove(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_survive_kills_on_sqlite() {
    mails_survive_kills(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_survive_kills_on_postgres() {
    mails_survive_kills(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_survive_kills_on_mariadb() {
    mails_survive_kills(Backend::MariaDb).await;
}

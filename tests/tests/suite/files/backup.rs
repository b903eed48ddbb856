//! `jishu backup`, `jishu verify-backup` and `jishu restore`.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_tests::process::binary;
use jishu_tests::wait_until;
use serde_json::{Value, json};

use super::{BUY, FIRST_COURSE, execute, files, number, with_purchase};
use crate::command_line::{Serving, fail, jishu, succeed};

/// Decodes a global id, and returns the id of its row.
fn row(id: &Value) -> i64 {
    let text = URL_SAFE_NO_PAD.decode(id.as_str().unwrap()).unwrap();
    String::from_utf8(text).unwrap().rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Registers one learner after another, each of whom buys the first three courses, until the task is aborted. Records
/// the row id of each purchase to which the server has responded.
async fn storm(endpoint: String, acknowledged: Arc<Mutex<Vec<i64>>>, buyer: usize) {
    let http = reqwest::Client::new();
    let send = async |token: Option<&str>, query: &str, variables: Value| -> Value {
        let request = http.post(&endpoint).json(&json!({ "query": query, "variables": variables }));
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        request.send().await.unwrap().json().await.unwrap()
    };
    for round in 0.. {
        let input = json!({ "name": "Asha", "email": format!("buyer{buyer}-{round}@example.com"), "password": "correct horse battery" });
        let registered = send(
            None,
            "mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } } }",
            json!({ "input": input }),
        )
        .await;
        let token = registered["data"]["register"]["tokens"]["accessToken"].as_str().unwrap();
        for course in [FIRST_COURSE, "Q291cnNlOjI", "Q291cnNlOjM"] {
            let bought = send(Some(token), BUY, json!({ "course": course })).await;
            acknowledged.lock().unwrap().push(row(&bought["data"]["purchase"]["purchase"]["id"]));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_a_storm_of_purchases_lacks_nothing_and_is_restored_elsewhere() {
    let server = with_purchase().await;
    let endpoint = server.printed("Endpoint").await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let buyers: Vec<_> =
        (0..6).map(|buyer| tokio::spawn(storm(endpoint.clone(), Arc::clone(&acknowledged), buyer))).collect();
    let wait_for_purchases = async |purchases: usize| {
        wait_until("purchases", async || acknowledged.lock().unwrap().len() >= purchases).await;
    };
    wait_for_purchases(30).await;
    let before = acknowledged.lock().unwrap().clone();
    let place = server.folder.path().to_owned();
    let made =
        tokio::task::spawn_blocking(move || succeed(jishu(&place, &["backup", "b.db"]))).await.unwrap();
    let during = acknowledged.lock().unwrap().len();
    wait_for_purchases(during + 6).await;
    for buyer in buyers {
        buyer.abort();
    }
    let token = server.printed("Token").await;
    let folder = server.stop();
    assert!(made.contains("made b.db, ") && made.contains("made b.db.keys.pem"), "{made}");
    assert_eq!(files(folder.path()), ["b.db", "b.db.keys.pem", "jishu.db", "jishu.db.keys.pem"]);
    for name in ["b.db", "b.db.keys.pem"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(succeed(jishu(folder.path(), &["verify-backup", "b.db"])).contains("b.db is good"));

    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["b.db", "b.db.keys.pem"] {
        std::fs::copy(folder.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    let restored = succeed(jishu(elsewhere.path(), &["restore", "b.db"]));
    assert!(
        restored.contains("restored jishu.db") && restored.contains("restored jishu.db.keys.pem"),
        "{restored}"
    );
    let file = elsewhere.path().join("jishu.db");
    let listed: Vec<_> = before.iter().map(ToString::to_string).collect();
    let there = format!("SELECT COUNT(*) FROM purchases WHERE id IN ({})", listed.join(", "));
    assert_eq!(number(&file, &there).await, i64::try_from(before.len()).unwrap(), "a purchase is missing");
    let cards = "SELECT COUNT(*) = (SELECT SUM(test_cards) FROM entitlements) FROM mock_test_attempts";
    assert_eq!(number(&file, cards).await, 1);
    // An access token from before the backup works on the restored server, because the signing keys were restored.
    let server = Serving::start(elsewhere);
    let endpoint = server.printed("Endpoint").await;
    let request = reqwest::Client::new().post(&endpoint).bearer_auth(&token);
    let body = json!({ "query": "{ viewer { name mockTestAttempts(first: 1) { totalCount } } }" });
    let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["viewer"]["name"], "Demo Learner", "{answer}");
    server.stop();
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_where_it_fails() {
    let server = with_purchase().await;
    let folder = server.folder.path();
    std::fs::write(folder.join("taken.db"), "mine").unwrap();
    let message = fail(jishu(folder, &["backup", "taken.db"]));
    assert!(message.contains("taken.db already exists"), "{message}");
    assert_eq!(std::fs::read_to_string(folder.join("taken.db")).unwrap(), "mine");
    std::fs::remove_file(folder.join("taken.db")).unwrap();
    let before = files(folder);
    // A limit on the size of files stands in for a full disk.
    let mut command = Command::new("sh");
    command
        .current_dir(folder)
        .env_remove("DATABASE_URL")
        .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" backup b.db"])
        .arg(binary("jishu"));
    let message = fail(command);
    assert!(message.contains("No file was created or replaced"), "{message}");
    assert_eq!(files(folder), before);
    let message = fail(jishu(folder, &["backup", "absent/b.db"]));
    assert!(message.contains("absent"), "{message}");
    let message = fail(jishu(folder, &["backup", "b.db", "--database-url", "sqlite://absent.db?mode=rwc"]));
    assert!(message.contains("No file was created or replaced"), "{message}");
    for (url, tool) in
        [("postgres://u:secret@h/d", "pg_dump"), ("mysql://h/d", "mariadb-dump --single-transaction")]
    {
        let message = fail(jishu(folder, &["backup", "b.db", "--database-url", url]));
        assert!(message.contains(tool) && !message.contains("secret"), "{message}");
    }
    assert_eq!(files(folder), before);
    server.stop();
}

#[tokio::test]
async fn a_backup_is_restored_over_a_database_only_when_asked_and_nobody_has_it_open() {
    let server = with_purchase().await;
    let place = server.folder.path().to_owned();
    let run = |arguments: &[&str]| jishu(&place, arguments);
    succeed(run(&["backup", "b.db"]));
    let bought = server.send(BUY, json!({ "course": "Q291cnNlOjI" })).await;
    assert_eq!(bought["data"]["purchase"]["outcome"], "CREATED");
    assert!(fail(run(&["restore", "b.db"])).contains("--replace"));
    assert!(fail(run(&["restore", "b.db", "--replace"])).contains("open in another process"));
    assert!(fail(run(&["restore", "b.db", "--database-url", "sqlite://b.db"])).contains("the backup itself"));
    let folder = server.stop();
    let file = folder.path().join("jishu.db");
    assert_eq!(number(&file, "SELECT COUNT(*) FROM purchases").await, 2);
    // Writes an index of a write-ahead log and signing keys that do not belong to the backup.
    std::fs::write(folder.path().join("jishu.db-shm"), "old").unwrap();
    std::fs::write(folder.path().join("jishu.db.keys.pem"), "old").unwrap();
    let told = succeed(run(&["restore", "b.db", "--replace"]));
    assert_eq!(number(&file, "SELECT COUNT(*) FROM purchases").await, 1);
    let keys = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(keys("jishu.db.keys.pem"), keys("b.db.keys.pem"));
    let now = files(folder.path());
    assert!(!now.iter().any(|name| name == "jishu.db-wal" || name == "jishu.db-shm"), "{now:?}");
    let kept = now.iter().find(|name| name.starts_with("jishu.db.before-")).unwrap();
    assert!(told.contains(&format!("kept the old file as {kept}")), "{told}");
    assert_eq!(number(&folder.path().join(kept), "SELECT COUNT(*) FROM purchases").await, 2);
    let server = Serving::start(folder);
    server.printed("Token").await;
    server.stop();
}

#[tokio::test]
async fn a_restore_works_where_an_operator_copied_a_backup_beside_an_old_log() {
    let server = with_purchase().await;
    succeed(jishu(server.folder.path(), &["backup", "b.db"]));
    let folder = server.kill();
    // An operator's mistake: copying the backup over the database file without removing the old write-ahead log.
    std::fs::copy(folder.path().join("b.db"), folder.path().join("jishu.db")).unwrap();
    assert!(fail(jishu(folder.path(), &["migrate", "status"])).contains("belongs to an older database"));
    succeed(jishu(folder.path(), &["restore", "b.db", "--yes"]));
    succeed(jishu(folder.path(), &["migrate", "status"]));
    let now = files(folder.path());
    assert!(now.iter().any(|name| name.starts_with("jishu.db.before-") && name.ends_with("-wal")), "{now:?}");
    assert!(!now.contains(&"jishu.db-wal".to_owned()), "{now:?}");
}

#[tokio::test]
async fn a_defect_of_a_backup_is_named() {
    let server = with_purchase().await;
    succeed(jishu(server.folder.path(), &["backup", "good.db"]));
    let folder = server.stop();
    let spoilt = |number: usize| folder.path().join(format!("spoilt{number}.db"));
    for (number, (sql, named)) in [
        ("DELETE FROM mock_test_attempts WHERE id = 7", "entitlements whose number of cards differs from what was bought (1): purchase 1"),
        (
            "DROP TRIGGER check_subjects_grading_method_update; UPDATE subjects SET grading_method = 'best' WHERE id = 2",
            "subjects, id 2: grading_method is 'best'",
        ),
        ("UPDATE courses SET created_at = 'yesterday' WHERE id = 1", "courses, id 1: created_at is unreadable"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM users", "rows that refer to rows that do not exist"),
        ("INSERT INTO seaql_migrations VALUES ('m20991231_000001_future', 0)", "m20991231_000001_future are unknown"),
        ("DROP TABLE seaql_migrations", "no migration of jishu"),
        ("UPDATE mock_test_attempts SET attempts_used = 1 WHERE id = 3", "cards whose number of attempts differs from their number of sittings (1): card 3"),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::copy(folder.path().join("good.db"), spoilt(number)).unwrap();
        execute(&spoilt(number), sql).await;
        let file = format!("spoilt{number}.db");
        let output = jishu(folder.path(), &["verify-backup", &file]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && told.contains(named), "{sql}: {told}");
        let before = files(folder.path());
        let message = fail(jishu(folder.path(), &["restore", &file, "--database-url", "sqlite://new.db?mode=rwc"]));
        assert!(message.contains("cannot be used as a backup"), "{message}");
        assert_eq!(files(folder.path()), before);
        // A database with wrong rows can still be backed up and restored.
        let copy = jishu(folder.path(), &["backup", "copy.db", "--database-url", &format!("sqlite://{file}")]);
        assert!(succeed(copy).contains(named), "{sql}");
        let back = ["restore", "copy.db", "--accept-problems", "--database-url", "sqlite://new.db?mode=rwc"];
        assert!(succeed(jishu(folder.path(), &back)).contains(named), "{sql}");
        for made in ["copy.db", "new.db"] {
            std::fs::remove_file(folder.path().join(made)).unwrap();
        }
    }
    // Overwrites pages in the middle of the file.
    let mut bytes = std::fs::read(folder.path().join("good.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0x5a);
    std::fs::write(folder.path().join("damaged.db"), bytes).unwrap();
    let output = jishu(folder.path(), &["verify-backup", "damaged.db"]).output().unwrap();
    assert!(
        !output.status.success() && String::from_utf8_lossy(&output.stdout).contains("damaged"),
        "{output:?}"
    );
}

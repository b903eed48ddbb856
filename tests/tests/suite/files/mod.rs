//! The files of an SQLite database: which files the real binary leaves behind, and which files stop its start.

mod backup;
mod dumps;
mod options;
mod places;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use jishu_tests::process::binary;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::json;

use crate::command_line::{Serving, fail, jishu, succeed};

pub(crate) const BUY: &str =
    "mutation ($course: ID!) { purchase(input: { courseId: $course, purchaseType: FULL_BUNDLE }) {
    outcome purchase { id } userErrors { code } } }";
/// The global id of the demo's first course.
pub(crate) const FIRST_COURSE: &str = "Q291cnNlOjE";

/// Returns the sorted names of all files in a folder, except `output` and `log`, which [`Serving`] writes.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| !matches!(name.as_str(), "output" | "log"));
    names.sort();
    names
}

pub(crate) async fn open(file: &Path) -> DatabaseConnection {
    Database::connect(format!("sqlite://{}?mode=rw", file.display())).await.unwrap()
}

pub(crate) async fn execute(file: &Path, sql: &str) {
    let database = open(file).await;
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
}

pub(crate) async fn number(file: &Path, sql: &str) -> i64 {
    let database = open(file).await;
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), sql)).await;
    let number = row.unwrap().unwrap().try_get_by_index(0).unwrap();
    database.close().await.unwrap();
    number
}

/// Starts a server with the demo, and buys the first course as the learner of the demo.
pub(crate) async fn with_purchase() -> Serving {
    let server = Serving::start(tempfile::tempdir().unwrap());
    let bought = server.send(BUY, json!({ "course": FIRST_COURSE })).await;
    assert_eq!(bought["data"]["purchase"]["outcome"], "CREATED", "{bought}");
    server
}

#[tokio::test]
async fn a_server_that_stops_leaves_all_its_data_in_one_file() {
    let server = with_purchase().await;
    let mode = |name: &str| {
        let metadata = std::fs::metadata(server.folder.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    for name in ["jishu.db", "jishu.db-wal", "jishu.db-shm", "jishu.db.keys.pem"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let folder = server.stop();
    assert_eq!(files(folder.path()), ["jishu.db", "jishu.db.keys.pem"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("jishu.db");
    std::fs::copy(folder.path().join("jishu.db"), &copy).unwrap();
    assert_eq!(number(&copy, "SELECT COUNT(*) FROM purchases").await, 1);
    assert_eq!(number(&copy, "SELECT COUNT(*) % 50 FROM mock_test_attempts").await, 0);
}

#[tokio::test]
async fn commands_leave_one_file_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    for umask in ["000", "077", "277"] {
        let _ = std::fs::remove_file(folder.path().join("jishu.db"));
        let mut command = Command::new("sh");
        let run = format!("umask {umask}; exec \"$0\" migrate up");
        command.current_dir(folder.path()).env_remove("DATABASE_URL").args(["-c", &run]).arg(binary("jishu"));
        succeed(command);
        assert_eq!(files(folder.path()), ["jishu.db"]);
        let metadata = std::fs::metadata(folder.path().join("jishu.db")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{umask}");
    }
    // Later commands keep the permissions that an operator has given to the database file.
    let file = folder.path().join("jishu.db");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let failed =
        jishu(folder.path(), &["export", "questions", "--course", "1", "--subject", "1", "--format", "gift"]);
    assert!(fail(failed).contains("there is no course 1"));
    succeed(jishu(folder.path(), &["migrate", "down", "--yes"]));
    succeed(jishu(folder.path(), &["migrate", "up"]));
    succeed(jishu(folder.path(), &["check"]));
    assert_eq!(files(folder.path()), ["jishu.db"]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn a_log_that_is_not_the_files_own_stops_the_start() {
    let folder = with_purchase().await.kill();
    let (file, log) = (folder.path().join("jishu.db"), folder.path().join("jishu.db-wal"));
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    let stale = std::fs::read(&log).unwrap();
    // After a kill, the database file and its write-ahead log belong together, and the next start reads both files.
    let server = Serving::start(folder);
    let again = server.send(BUY, json!({ "course": FIRST_COURSE })).await;
    assert_eq!(again["data"]["purchase"]["outcome"], "EXISTING");
    let folder = server.stop();

    // Replaces the database file with a copy of the database, and puts an old write-ahead log beside it.
    let copy = folder.path().join("copy.db");
    let database = open(&file).await;
    database.execute_unprepared(&format!("VACUUM INTO '{}'", copy.display())).await.unwrap();
    database.close().await.unwrap();
    std::fs::rename(&copy, &file).unwrap();
    std::fs::write(&log, &stale).unwrap();
    let before = std::fs::read(&file).unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "status"], &["backup", "b.db"]] {
        let message = fail(jishu(folder.path(), command));
        assert!(
            message.contains("jishu.db-wal is beside jishu.db but belongs to an older database"),
            "{message}"
        );
    }
    assert!(
        std::fs::read(&file).unwrap() == before && std::fs::read(&log).unwrap() == stale,
        "the file or the log has changed"
    );
    std::fs::remove_file(&file).unwrap();
    let message = fail(jishu(folder.path(), &["serve", "--listen", "127.0.0.1:0"]));
    assert!(message.contains("jishu.db is missing or empty"), "{message}");
    assert!(
        !file.exists() && std::fs::read(&log).unwrap() == stale,
        "the file was created, or the log has changed"
    );
}

//! Pictures at the command line, and in a database that was backed up and restored.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use jishu_tests::{Backend, TestApp, media_keys, on_each_database, package, png};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use super::super::World;
use super::formats::item;
use super::{AUTHORED, ask, question};
use crate::command_line::{jishu, succeed};

on_each_database!(
    the_command_line_imports_a_package_with_pictures,
    a_restored_backup_keeps_the_addresses_of_pictures,
);

async fn the_command_line_imports_a_package_with_pictures(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let picture = png("from the command line");
    let text = item("<p>Which? <img src=\"../images/a.png\" alt=\"\"/></p>");
    let bytes = package(&[("items/a.xml", text.as_bytes()), ("images/a.png", &picture)]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bank.zip"), bytes).unwrap();
    let (course_row, subject_row) = (course.row.0.to_string(), course.subject_rows[0].0.to_string());
    let arguments = [
        ["import", "questions", "bank.zip", "--report", "json"].as_slice(),
        &["--course", &course_row, "--subject", &subject_row, "--database-url", &app.database_url],
    ]
    .concat();
    for (created, unchanged) in [(1, 0), (0, 1)] {
        let command = jishu(folder.path(), &arguments);
        let said = tokio::task::spawn_blocking(move || succeed(command)).await.unwrap();
        let report: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(report["created"], created, "{report}");
        assert_eq!(report["unchanged"], unchanged, "{report}");
        assert_eq!(report["losses"], json!([]), "{report}");
    }
    let authored = author.run_with(AUTHORED, json!({ "subject": course.subjects[0] })).await;
    let key = media_keys(authored.text("/questions/edges/0/node/current/stem")).remove(0);
    assert_eq!(ask(&app, Method::GET, &key, None).await.bytes().await.unwrap(), picture);
}

/// Runs a command, which must succeed.
async fn run(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a command of this MariaDB program that connects to the server of a URL.
fn of_mariadb(program: &str, url: &str) -> Command {
    let url = Url::parse(url).unwrap();
    let mut command = Command::new(program);
    command
        .arg("--no-defaults")
        .arg(format!("--host={}", url.host_str().unwrap()))
        .arg(format!("--port={}", url.port().unwrap()))
        .arg(format!("--user={}", url.username()))
        .env("MYSQL_PWD", url.password().unwrap_or_default());
    command
}

/// Backs a database up and restores it into a new database, as `api/docs/operating.md` says. Returns the URL of the
/// copy.
async fn restored(backend: Backend, database_url: &str, folder: &Path) -> String {
    let file = folder.join("backup");
    let (file, copy) = (file.to_str().unwrap(), backend.create(folder).await);
    match backend {
        Backend::Sqlite => {
            run(jishu(folder, &["backup", "backup", "--database-url", database_url])).await;
            run(jishu(folder, &["restore", "backup", "--database-url", &copy])).await;
        }
        Backend::Postgres => {
            let mut dump = Command::new("pg_dump");
            dump.args(["--format=custom", "--file", file, database_url]);
            run(dump).await;
            let mut restore = Command::new("pg_restore");
            restore.args([
                "--clean",
                "--if-exists",
                "--no-owner",
                "--exit-on-error",
                "--dbname",
                &copy,
                file,
            ]);
            run(restore).await;
        }
        Backend::MariaDb => {
            let name = |url: &str| url.rsplit_once('/').unwrap().1.to_owned();
            let mut dump = of_mariadb("mariadb-dump", database_url);
            dump.args(["--single-transaction", "--routines", "--triggers", "--hex-blob"]);
            dump.args(["--default-character-set=utf8mb4", "--result-file", file, &name(database_url)]);
            run(dump).await;
            let mut restore = of_mariadb("mariadb", &copy);
            restore.arg(name(&copy)).stdin(Stdio::from(std::fs::File::open(file).unwrap()));
            run(restore).await;
        }
    }
    copy
}

async fn a_restored_backup_keeps_the_addresses_of_pictures(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    let [stem, right, wrong, why] = ["stem", "right", "wrong", "why"].map(png);
    assert_eq!(author.import(subject, &question(&stem, &right, &wrong, &why)).await.counts(), [1, 0, 0, 0]);
    let authored = author.run_with(AUTHORED, json!({ "subject": subject })).await;
    let keys = media_keys(authored.at("/questions/edges/0/node/current").to_string().as_str());
    assert_eq!(keys.len(), 4);
    let folder = tempfile::tempdir().unwrap();
    let copy = restored(app.backend, &app.database_url, folder.path()).await;
    let there = TestApp::start_at(app.backend, copy, folder, &[]).await;
    for key in &keys {
        let here = ask(&app, Method::GET, key, None).await.bytes().await.unwrap();
        let served = ask(&there, Method::GET, key, None).await;
        assert_eq!(served.status(), StatusCode::OK, "{key}");
        assert_eq!(served.bytes().await.unwrap(), here);
    }
    there.stop().await;
}

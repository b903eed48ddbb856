//! Options of commands, the files that commands leave, and databases that commands refuse or can read only in part.

use std::process::Stdio;

use sea_orm::{ConnectionTrait, Database};

use super::{execute, files};
use crate::command_line::{Serving, fail, jishu, succeed};

#[test]
fn commands_that_only_read_create_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        &["migrate", "status"][..],
        &["migrate", "down"],
        &["migrate", "down", "--yes"],
        &["export", "questions", "--course", "1", "--subject", "1", "--format", "gift"],
        &["check"],
        &["repair"],
        &["backup", "b.db"],
        &["verify-backup", "b.db"],
        &["restore", "b.db"],
    ] {
        fail(jishu(folder.path(), command));
        assert_eq!(files(folder.path()), Vec::<String>::new(), "{command:?}");
    }
    // If the database file is empty, `migrate status` and `export` leave it empty.
    std::fs::write(folder.path().join("jishu.db"), "").unwrap();
    assert!(succeed(jishu(folder.path(), &["migrate", "status"])).contains("pending m2026"));
    fail(jishu(
        folder.path(),
        &["export", "questions", "--course", "1", "--subject", "1", "--format", "gift"],
    ));
    assert_eq!(std::fs::metadata(folder.path().join("jishu.db")).unwrap().len(), 0);
    assert_eq!(files(folder.path()), ["jishu.db"]);
}

#[test]
fn a_start_whose_port_is_taken_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = fail(jishu(folder.path(), &["serve", "--demo", "--listen", &address]));
    assert!(message.contains("Choose another --listen"), "{message}");
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn the_demo_is_not_added_to_a_foreign_database() {
    let demo =
        |folder: &std::path::Path| fail(jishu(folder, &["serve", "--demo", "--listen", "127.0.0.1:0"]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jishu.db");
    succeed(jishu(folder.path(), &["migrate", "up"]));
    execute(
        &file,
        "INSERT INTO users (name, email, password_hash, role, status, created_at) VALUES \
        ('Asha', 'asha@example.org', '', 'learner', 'active', '2026-11-25T00:00:00+00:00')",
    )
    .await;
    let message = demo(folder.path());
    assert!(message.contains("does not belong to the demo (1 users)"), "{message}");
    execute(&file, "DELETE FROM users").await;
    execute(
        &file,
        "INSERT INTO courses (code, name, currency, created_at) VALUES \
        ('neet-ug', 'Our own', 'INR', '2026-11-25T00:00:00+00:00')",
    )
    .await;
    let message = demo(folder.path());
    assert!(message.contains("the course \"Our own\""), "{message}");
    assert_eq!(super::number(&file, "SELECT (SELECT COUNT(*) FROM users) + COUNT(*) FROM courses").await, 1);
    execute(&file, "DELETE FROM courses").await;
    // If a user has registered in the demo, the server can start with the demo again. If the database has a subject
    // that does not belong to the demo, the server cannot start with the demo.
    let server = Serving::start(folder);
    let input = serde_json::json!({ "name": "Asha", "email": "asha@example.org", "password": "correct horse battery" });
    let register = "mutation ($input: RegisterInput!) { register(input: $input) { userErrors { code } } }";
    let registered = server.send(register, serde_json::json!({ "input": input })).await;
    assert_eq!(registered["data"]["register"]["userErrors"], serde_json::json!([]));
    let server = Serving::start(server.stop());
    server.printed("Token").await;
    let folder = server.stop();
    execute(
        &file,
        "INSERT INTO subjects (course_id, code, name, list_price, created_at) VALUES \
        ((SELECT MIN(id) FROM courses), 'own', 'Own', 1, '2026-11-25T00:00:00+00:00')",
    )
    .await;
    let message = demo(folder.path());
    assert!(message.contains("the subject Own"), "{message}");
}

/// Tests all switches of `serve`. `--help` must list each of them.
#[test]
fn switches_take_the_usual_words_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let help = succeed(jishu(folder.path(), &["serve", "--help"]));
    let switches: Vec<&str> = [
        "JISHU_MIGRATE",
        "JISHU_DEMO",
        "JISHU_INTROSPECTION",
        "JISHU_TRUSTED_DOCUMENTS_ONLY",
        "JISHU_AUTOMATIC_PERSISTED_QUERIES",
        "JISHU_ACCESS_LOG",
        "JISHU_REQUIRE_VERIFIED_EMAIL",
        "JISHU_REQUIRE_STAFF_SECOND_FACTOR",
        "JISHU_PRICES_EXCLUDE_TAX",
    ]
    .into();
    for switch in switches {
        assert!(help.contains(switch), "{switch}");
        for word in ["1", "true", "yes", "on", "TRUE", "0", "false", "no", "off"] {
            // `serve` refuses this URL only after it has accepted all flags and variables.
            let mut command = jishu(
                folder.path(),
                &[
                    "serve",
                    "--database-url",
                    "oracle://x",
                    "--trusted-documents",
                    "manifest.json",
                    "--listen",
                    "127.0.0.1:0",
                ],
            );
            std::fs::write(folder.path().join("manifest.json"), "{}").unwrap();
            command.env(switch, word);
            let message = fail(command);
            assert!(message.contains("must begin with sqlite://"), "{switch}={word}: {message}");
        }
        let mut command = jishu(folder.path(), &["serve"]);
        command.env(switch, "perhaps");
        assert!(fail(command).contains("invalid value 'perhaps'"), "{switch}");
    }
    let mut command =
        jishu(folder.path(), &["serve", "--database-url", "oracle://x", "--listen", "127.0.0.1:0"]);
    command.env("JISHU_TRUSTED_DOCUMENTS_ONLY", "no");
    assert!(fail(command).contains("must begin with sqlite://"));
    for yes in ["1", "true"] {
        let mut command = jishu(folder.path(), &["serve", "--database-url", "oracle://x"]);
        command.env("JISHU_TRUSTED_DOCUMENTS_ONLY", yes);
        assert!(fail(command).contains("--trusted-documents"), "{yes}");
    }
}

#[test]
fn help_shows_the_flags_of_its_command() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        &["user", "create"][..],
        &["migrate", "up"],
        &["migrate", "down"],
        &["migrate", "status"],
        &["check"],
        &["repair"],
        &["import", "questions"],
        &["export", "questions"],
        &["backup"],
        &["restore"],
    ] {
        let help = succeed(jishu(folder.path(), &[command, &["--help"]].concat()));
        assert!(help.contains("--database-url"), "{command:?}: {help}");
        for of_serve in ["--listen", "--max-requests", "--live-operations", "--max-cost", "--demo"] {
            assert!(!help.contains(of_serve), "{command:?} {of_serve}");
        }
    }
    let verify = succeed(jishu(folder.path(), &["verify-backup", "--help"]));
    assert!(!verify.contains("--database-url"), "{verify}");
}

#[tokio::test]
async fn a_newer_schema_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jishu.db");
    succeed(jishu(folder.path(), &["migrate", "up"]));
    execute(&file, "INSERT INTO seaql_migrations VALUES ('m20991231_000001_future', 0)").await;
    let before = std::fs::read(&file).unwrap();
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["migrate", "up"],
        &["migrate", "down"],
        &["migrate", "down", "--yes"],
        &["migrate", "status"],
        &["check"],
        &["export", "questions", "--course", "1", "--subject", "1", "--format", "gift"],
        &["user", "create", "--email", "a@example.com", "--name", "A"],
    ] {
        let mut command = jishu(folder.path(), command);
        command.stdin(Stdio::null());
        let message = fail(command);
        let named =
            "a newer jishu has migrated this database: the migrations m20991231_000001_future are unknown";
        assert!(message.contains(named), "{message}");
    }
    assert!(std::fs::read(&file).unwrap() == before, "the file has changed");
}

/// Stores an unknown grading method after dropping the constraint. The server starts, names the row in its log, and
/// serves the other rows. `jishu check` names the row, too.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_at_the_start_and_by_check() {
    let server = Serving::start(tempfile::tempdir().unwrap());
    server.printed("Token").await;
    let folder = server.stop();
    let file = folder.path().join("jishu.db");
    assert!(succeed(jishu(folder.path(), &["check"])).contains("only the new key"));
    let database = Database::connect(format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
    let spoil = "DROP TRIGGER check_subjects_grading_method_update; \
                 UPDATE subjects SET grading_method = 'best' WHERE id = 1";
    database.execute_unprepared(spoil).await.unwrap();
    database.close().await.unwrap();

    let server = Serving::start(folder);
    let names = "{ courses { edges { node { name subjects { edges { node { name } } } } } } }";
    let answer = server.send(names, serde_json::Value::Null).await;
    let courses = answer["data"]["courses"]["edges"].as_array().unwrap();
    assert!(courses.len() >= 3, "{answer}");
    assert!(!courses[0]["node"]["subjects"].to_string().contains("Physics"), "{answer}");
    let log = server.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("it is not on sale")).collect();
    assert_eq!(told.len(), 1, "{log}");
    for part in ["subjects", "id 1", "grading_method", "best"] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
    let folder = server.stop();
    let output = jishu(folder.path(), &["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("bad value: subjects, id 1: grading_method is 'best'"), "{told}");
    assert!(!told.contains("No problems were found"), "{told}");
    let output = jishu(folder.path(), &["check", "--format", "json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["ok"], &report["badValues"][0]["column"]), (&false.into(), &"grading_method".into()));
}

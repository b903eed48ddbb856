//! Files that are links, folders, or something other than a command expects. Also checks starts that are refused, a
//! reader that leaves, and environment variables that are empty.

use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::{execute, files, number, open};
use crate::command_line::{fail, jishu, succeed};

/// The database file is a symbolic link. SQLite keeps the write-ahead log beside the target of the link.
#[tokio::test]
async fn a_link_works_like_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("jishu.db"));
    std::fs::create_dir(&real).unwrap();
    symlink("real/data.db", &link).unwrap();
    succeed(jishu(folder.path(), &["migrate", "up"]));
    assert_eq!(files(&real), ["data.db"]);
    succeed(jishu(folder.path(), &["backup", "b.db"]));

    execute(&link, "CREATE TABLE before_restore (id INTEGER)").await;
    succeed(jishu(folder.path(), &["restore", "b.db", "--replace"]));
    assert!(link.is_symlink());
    assert_eq!(number(&link, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'before_restore'").await, 0);
    assert_eq!(files(&real).len(), 2, "the old file was not kept beside the new one");

    // Replaces the target of the link with a copy, and puts a file in the place of the copy's write-ahead log.
    let database = open(&link).await;
    let copy = real.join("copy.db");
    sea_orm::ConnectionTrait::execute_unprepared(&database, &format!("VACUUM INTO '{}'", copy.display()))
        .await
        .unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&database, "PRAGMA journal_mode = DELETE").await.unwrap();
    database.close().await.unwrap();
    std::fs::rename(&copy, real.join("data.db")).unwrap();
    std::fs::write(real.join("data.db-wal"), "a log").unwrap();
    let message = fail(jishu(folder.path(), &["serve", "--listen", "127.0.0.1:0"]));
    assert!(message.contains("real/data.db-wal is beside"), "{message}");
}

#[tokio::test]
async fn a_path_that_is_not_a_backup_or_not_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("place")).unwrap();
    for (file, told) in [("nowhere", "there is no file nowhere"), ("place", "place is a folder")] {
        let message = fail(jishu(folder.path(), &["verify-backup", file]));
        assert!(message.contains(told) && !message.contains("created or replaced"), "{message}");
    }
    succeed(jishu(folder.path(), &["migrate", "up"]));
    let message = fail(jishu(folder.path(), &["backup", "b.db", "--signing-keys", "nowhere.pem"]));
    assert!(message.contains("the file nowhere.pem of --signing-keys does not exist"), "{message}");
    assert_eq!(files(folder.path()), ["jishu.db", "place"]);
    succeed(jishu(folder.path(), &["backup", "b.db"]));
    let onto = ["restore", "b.db", "--replace", "--database-url", "sqlite://place"];
    let message = fail(jishu(folder.path(), &onto));
    assert!(message.contains("place is a folder"), "{message}");
    assert_eq!(files(folder.path()), ["b.db", "jishu.db", "place"]);
    // This backup has no signing keys, so `restore` keeps the existing keys.
    std::fs::write(folder.path().join("jishu.db.keys.pem"), "keys").unwrap();
    let told = succeed(jishu(folder.path(), &["restore", "b.db", "--replace"]));
    assert!(told.contains("jishu.db.keys.pem stays as it is") && !told.contains("recovery code"), "{told}");
}

#[tokio::test]
async fn a_start_that_is_refused_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jishu.db");
    // Without the table of migrations, the file looks like a database of the old system.
    succeed(jishu(folder.path(), &["migrate", "up"]));
    execute(&file, "DROP TABLE seaql_migrations").await;
    let before = std::fs::read(&file).unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "up"]] {
        let message = fail(jishu(folder.path(), command));
        assert!(message.contains("database of the old system"), "{message}");
    }
    assert_eq!(number(&file, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'seaql_migrations'").await, 0);
    assert_eq!(std::fs::read(&file).unwrap().len(), before.len());

    // The database has a course that is not the demo's, and it lacks the last migration.
    std::fs::remove_file(&file).unwrap();
    succeed(jishu(folder.path(), &["migrate", "up"]));
    succeed(jishu(folder.path(), &["migrate", "down", "--yes"]));
    execute(
        &file,
        "INSERT INTO courses (name, currency, created_at) VALUES ('Own', 'INR', '2026-11-25T00:00:00+00:00')",
    )
    .await;
    let message = fail(jishu(folder.path(), &["serve", "--demo", "--listen", "127.0.0.1:0"]));
    assert!(message.contains("the course \"Own\""), "{message}");
    assert!(succeed(jishu(folder.path(), &["migrate", "status"])).contains("pending"));
    assert_eq!(files(folder.path()), ["jishu.db"]);
    execute(&file, "UPDATE courses SET name = CAST(x'ff' AS TEXT)").await;
    let message = fail(jishu(folder.path(), &["serve", "--demo", "--listen", "127.0.0.1:0"]));
    assert!(message.contains("Run `jishu check`, or start without --demo"), "{message}");
}

/// The server reads the files of its options before it opens the database.
#[test]
fn a_wrong_file_of_an_option_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blank"), " \n").unwrap();
    let oidc = [
        "--oidc-issuer=https://accounts.example.com",
        "--oidc-client-id=jishu",
        "--oidc-redirect-uris=https://app.example.com/in",
        "--oidc-client-secret-file=blank",
    ];
    for (flags, told) in [
        (&["--payments=razorpay"][..], "--payment-key"),
        (&["--payments=stripe", "--payment-key=pk_test_1", "--payment-secret-file=blank"], "blank"),
        (&oidc, "the file blank of --oidc-client-secret-file gives no secret: it is blank"),
        (&["--signing-keys=nowhere.pem"], "nowhere.pem"),
    ] {
        let message = fail(jishu(folder.path(), &[&["serve", "--listen", "127.0.0.1:0"], flags].concat()));
        assert!(message.contains(told), "{message}");
        assert_eq!(files(folder.path()), ["blank"], "{message}");
    }
}

/// Closes the reading end of a command's output, as in `jishu check | head -1`. The command still does its work.
#[test]
fn a_reader_that_leaves_does_not_stop_a_command() {
    let folder = tempfile::tempdir().unwrap();
    succeed(jishu(folder.path(), &["migrate", "up"]));
    for arguments in [&["check"][..], &["migrate", "down", "--yes"], &["schema"]] {
        let mut command = jishu(folder.path(), arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
    assert!(
        succeed(jishu(folder.path(), &["migrate", "status"])).contains("pending"),
        "the command did not do its work"
    );
}

#[tokio::test]
async fn a_switch_that_is_empty_is_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let mut command =
        jishu(folder.path(), &["serve", "--database-url", "oracle://x", "--listen", "127.0.0.1:0"]);
    for switch in [
        "JISHU_MIGRATE",
        "JISHU_DEMO",
        "JISHU_INTROSPECTION",
        "JISHU_TRUSTED_DOCUMENTS_ONLY",
        "JISHU_AUTOMATIC_PERSISTED_QUERIES",
        "JISHU_ACCESS_LOG",
    ] {
        command.env(switch, "");
    }
    let message = fail(command);
    assert!(message.contains("must begin with sqlite://"), "{message}");
}

//! `jishu verify-backup` on the dumps of database servers, and `jishu migrate plan`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jishu_service::database::{Database, DatabaseOptions, client_environment};
use jishu_tests::process::run;
use jishu_tests::{Backend, TestApp, on_each_database};

use crate::command_line::{fail, jishu, succeed};

on_each_database!(dumps_are_verified, pending_migrations_are_planned);

/// Returns the URL of the app's database server, for `--scratch-url`. `verify-backup` makes a scratch database there.
fn server(app: &TestApp) -> String {
    let (server, _) = app.database_url.rsplit_once('/').expect("the URL of a server ends in a database");
    let database = if app.backend == Backend::Postgres { "postgres" } else { "mysql" };
    format!("{server}/{database}")
}

/// Dumps the app's database with the command in `api/docs/operating.md` and these options. Returns the file.
fn dump(app: &TestApp, folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let (variables, target) = client_environment(&app.database_url).expect("a URL");
    let mut command = if app.backend == Backend::Postgres {
        let mut command = Command::new("pg_dump");
        command.arg(format!("--file={}", file.display()));
        command
    } else {
        let mut command = Command::new("mariadb-dump");
        command.args(["--no-defaults", "--protocol=tcp", "--single-transaction", "--routines", "--triggers"]);
        command.args(["--hex-blob", "--default-character-set=utf8mb4", "--user=root"]);
        command.arg(format!("--host={}", target.host)).arg(format!("--port={}", target.port));
        command.arg(format!("--result-file={}", file.display()));
        command
    };
    command.envs(variables).args(options);
    if app.backend == Backend::MariaDb {
        command.arg(target.database);
    }
    run(&mut command);
    file
}

async fn dumps_are_verified(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        // SQLite has no dumps. The tests of `jishu backup` cover its backups.
        return;
    }
    let course = app.course(&["Physics"]).cards(3).create(&app).await;
    app.learner("Asha").await.buy(course.subject(0)).await;
    let folder = tempfile::tempdir().unwrap();
    let verify = |file: &Path| {
        let file = file.display().to_string();
        jishu(folder.path(), &["verify-backup", &file, "--scratch-url", &server(&app)])
    };
    let formats: &[&[&str]] =
        if app.backend == Backend::Postgres { &[&["--format=custom"], &["--format=plain"]] } else { &[&[]] };
    for (number, options) in formats.iter().enumerate() {
        let file = dump(&app, folder.path(), &format!("good{number}"), options);
        let told = succeed(verify(&file));
        assert!(told.contains("purchases 1") && told.contains("mock_test_attempts 3"), "{told}");
        assert!(told.contains(" is good"), "{told}");
        let message = fail(jishu(folder.path(), &["verify-backup", &file.display().to_string()]));
        assert!(message.contains("--scratch-url"), "{message}");
        // A dump without its second half does not verify.
        let bytes = std::fs::read(&file).unwrap();
        let cut = folder.path().join("cut");
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        fail(verify(&cut));
    }
    let told = succeed(jishu(folder.path(), &["verify-backup", &app.database_url]));
    assert!(told.contains("the database is good"), "{told}");
    let mut in_variable = jishu(folder.path(), &["verify-backup"]);
    in_variable.env("JISHU_BACKUP_TO_VERIFY", &app.database_url);
    assert!(succeed(in_variable).contains("the database is good"));
    let good = folder.path().join("good0").display().to_string();
    let own = ["verify-backup", &good, "--scratch-url", &app.database_url];
    let mut own = jishu(folder.path(), &own);
    own.env("DATABASE_URL", &app.database_url);
    assert!(fail(own).contains("names the database of DATABASE_URL"));
    let lost = format!("{}?ssl-unknown=1", server(&app));
    let message = fail(jishu(folder.path(), &["verify-backup", &good, "--scratch-url", &lost]));
    assert!(message.contains("has the TLS parameter `ssl-unknown`"), "{message}");

    // A dump that names its database is refused, because reading it would overwrite that database.
    let naming: &[&str] =
        if app.backend == Backend::Postgres { &["--format=plain", "--create"] } else { &["--databases"] };
    let named = dump(&app, folder.path(), "named", naming);
    let before = app.row_counts().await;
    assert!(fail(verify(&named)).contains("names a database in its line"));
    assert_eq!(app.row_counts().await, before);

    // A dump contains the wrong rows of its database, so `verify-backup` names these rows and fails.
    app.execute("DELETE FROM mock_test_attempts WHERE test_number = 2").await;
    if app.backend == Backend::MariaDb {
        // MariaDB does not check foreign keys while it reads a dump, so a dump may refer to a row that does not exist.
        let all =
            "SET foreign_key_checks = 0; UPDATE purchases SET course_id = 99; SET foreign_key_checks = 1";
        app.execute(all).await;
    }
    let options: &[&str] = if app.backend == Backend::Postgres { &["--format=custom"] } else { &[] };
    let output = verify(&dump(&app, folder.path(), "wrong", options)).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(
        told.contains("entitlements whose number of cards differs from what was bought (1): purchase 1"),
        "{told}"
    );
    if app.backend == Backend::MariaDb {
        assert!(
            told.contains("rows that refer to rows that do not exist (1): purchases to courses"),
            "{told}"
        );
    }
}

async fn pending_migrations_are_planned(app: Arc<TestApp>) {
    let all = app.services.database.migrations().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plan = || {
        let output = jishu(folder.path(), &["migrate", "plan", "--database-url", &app.database_url]);
        succeed(output)
    };
    assert_eq!(plan(), "No migration is pending.\n");
    let other = match app.backend {
        Backend::Sqlite => "postgres://nobody@127.0.0.1:1/nothing",
        _ => "sqlite::memory:",
    };
    let of_other_kind = ["migrate", "plan", "--database-url", &app.database_url, "--scratch-url", other];
    let message = fail(jishu(folder.path(), &of_other_kind));
    assert!(message.contains("the scratch server is "), "{message}");
    let orders = all.iter().position(|migration| migration.name.ends_with("_orders")).unwrap();
    app.services.database.migrate_down(u32::try_from(all.len() - orders).unwrap()).await.unwrap();
    let told = plan();
    assert!(told.contains(&format!("pending {}\n", all[orders].name)), "{told}");
    assert!(told.contains("makes the table orders: "), "{told}");
    let (blocked, ends) = match app.backend {
        Backend::Sqlite => {
            ("outbox: reads go on, and changes of rows wait", "All statements are one transaction")
        }
        Backend::Postgres => {
            ("outbox: reads and changes wait; checks about 0 rows", "All statements are one transaction")
        }
        Backend::MariaDb => {
            ("outbox: reads go on, and changes of rows wait", "Each statement is committed by itself")
        }
    };
    assert!(told.contains(blocked) && told.contains(ends) && told.contains("µs to check a row"), "{told}");
    // `migrate plan` has not applied any migration.
    let database = Database::connect(&DatabaseOptions::new(&app.database_url)).await.unwrap();
    assert_eq!(
        database.migrations().await.unwrap().iter().filter(|migration| migration.applied).count(),
        orders
    );
    database.close().await.unwrap();
}

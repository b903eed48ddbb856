//! `jishu user`: the accounts of an installation, from the command line.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use jishu_tests::{Backend, TestApp};

use crate::command_line::{fail, jishu, succeed};

/// Runs a command with this text on standard input.
fn with_input(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("standard input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// Makes an account with a verified address and the password `correct horse battery`.
pub(crate) fn create(folder: &Path, email: &str, role: &str) {
    let arguments = ["user", "create", "--email", email, "--name", "Person", "--role", role];
    let made = with_input(jishu(folder, &arguments), "correct horse battery\n");
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn accounts_are_listed_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |arguments: &[&str]| succeed(jishu(folder, arguments));
    let refused = |arguments: &[&str]| fail(jishu(folder, arguments));
    create(folder, "ada@example.com", "admin");
    create(folder, "asha@example.com", "learner");
    let list = run(&["user", "list"]);
    assert_eq!(
        list,
        "1\tadmin\tactive\tada@example.com\tPerson\n2\tlearner\tactive\tasha@example.com\tPerson\n"
    );
    assert_eq!(run(&["user", "list", "--role", "admin"]).lines().count(), 1);

    let changed = run(&["user", "set-role", "--email", "ASHA@example.com", "--role", "support"]);
    assert_eq!(changed, "user 2 <asha@example.com> has the role support\n");
    let last = refused(&["user", "set-role", "--email", "ada@example.com", "--role", "learner"]);
    assert!(last.contains("last active admin"), "{last}");
    let last = refused(&["user", "deactivate", "--email", "ada@example.com"]);
    assert!(last.contains("last active admin"), "{last}");
    let unknown = refused(&["user", "deactivate", "--email", "nobody@example.com"]);
    assert!(unknown.contains("jishu user list"), "{unknown}");
    let changed = run(&["user", "deactivate", "--email", "asha@example.com"]);
    assert_eq!(changed, "user 2 <asha@example.com> is deactivated\n");
    assert!(run(&["user", "list"]).contains("2\tsupport\tdeactivated"));
    assert!(run(&["user", "activate", "--email", "asha@example.com"]).ends_with("is active\n"));

    let set = |password: &str| {
        with_input(jishu(folder, &["user", "set-password", "--email", "asha@example.com"]), password)
    };
    let short = set("short\n");
    assert!(String::from_utf8_lossy(&short.stderr).contains("at least 8"), "{short:?}");
    assert!(set("another long password\n").status.success());
}

#[test]
fn a_command_that_changes_nothing_logs_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    create(folder, "asha@example.com", "learner");
    let log = |command: &str| {
        let output = jishu(folder, &["user", command, "--email", "asha@example.com"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let is_set = |log: &str| log.contains("the role or the status of an account was changed");
    let (first, second) = (log("deactivate"), log("deactivate"));
    assert!(is_set(&first) && !is_set(&second), "{first}{second}");
    let reset = log("reset-second-factor");
    assert!(!reset.contains("the second factor of an account was removed"), "{reset}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_ends_all_sessions() {
    for backend in [Backend::Sqlite, Backend::Postgres, Backend::MariaDb] {
        TestApp::run(backend, async |app| {
            app.learner("Asha").await;
            let session = app.anonymous().login("asha@example.com", "correct horse battery").await;
            let folder = tempfile::tempdir().unwrap();
            let mut command = jishu(folder.path(), &["user", "set-password", "--email", "asha@example.com"]);
            command.env("DATABASE_URL", &app.database_url);
            let set = with_input(command, "another long password\n");
            assert!(set.status.success(), "{set:?}");
            let refused = app.anonymous().refresh(session.refresh_token()).await;
            assert_eq!(refused.refusal(), "REFRESH_TOKEN_INVALID");
            let old = app.anonymous().login("asha@example.com", "correct horse battery").await;
            assert_eq!(old.refusal(), "INVALID_CREDENTIALS");
            let _ = app.anonymous().login("asha@example.com", "another long password").await.access_token();
        })
        .await;
    }
}

/// Runs `jishu user import` on the database of an app. Returns whether it succeeded, and its output and error output.
fn import(app: &TestApp, folder: &Path, csv: &str, flags: &[&str]) -> (bool, String, String) {
    std::fs::write(folder.join("users.csv"), csv).expect("a file");
    let mut command = jishu(folder, &[&["user", "import", "users.csv"], flags].concat());
    let output = command.env("DATABASE_URL", &app.database_url).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

const USERS: &str = "\u{feff}Email,Name,Role,Password,Grants
asha@example.com,Asha,,,neet/physics; neet/chemistry
BINOD@example.com,Binod,learner,a password of his,neet
\"chitra@example.com\",\"Chitra, the second\",support,,
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_enrols_users_once() {
    for backend in [Backend::Sqlite, Backend::Postgres, Backend::MariaDb] {
        TestApp::run(backend, async |app| {
            let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(2).create(&app).await;
            let (row, subjects) = (course.row, &course.subject_rows);
            app.execute(&format!("UPDATE courses SET code = 'neet' WHERE id = {row}")).await;
            for (subject, code) in subjects.iter().zip(["physics", "chemistry", "biology"]) {
                app.execute(&format!("UPDATE subjects SET code = '{code}' WHERE id = {subject}")).await;
            }
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let before = app.row_counts().await;
            let (ok, said, error) = import(&app, folder, USERS, &["--dry-run"]);
            assert!(ok, "{said}{error}");
            assert_eq!(
                said,
                "Dry run, nothing was written: 3 new accounts, 0 existing, 2 purchases granted with 10 test cards, \
                 0 rows refused\n"
            );
            assert_eq!(app.row_counts().await, before);

            let (ok, said, error) = import(&app, folder, USERS, &["--passwords", "passwords.csv"]);
            assert!(ok, "{said}{error}");
            assert_eq!(
                said,
                "3 new accounts, 0 existing, 2 purchases granted with 10 test cards, 0 rows refused\n"
            );
            let passwords = std::fs::read_to_string(folder.join("passwords.csv")).expect("the passwords");
            let lines: Vec<&str> = passwords.lines().collect();
            assert_eq!(lines.len(), 3, "passwords.csv must list exactly the accounts whose row has no password");
            let (email, password) = lines[1].split_once(',').expect("two fields");
            assert_eq!(email, "asha@example.com");
            let asha = app.anonymous().login(email, password).await;
            let asha = app.with_token(asha.access_token());
            let cards = asha.run("{ viewer { mockTestAttempts { totalCount } } }").await;
            assert_eq!(cards.number("/viewer/mockTestAttempts/totalCount"), 4);
            let _ = app.anonymous().login("binod@example.com", "a password of his").await.access_token();
            assert_eq!(app.number("SELECT COUNT(*) FROM purchase_grants WHERE granted_by IS NULL").await, 2);

            // Importing the file again changes nothing.
            let before = app.row_counts().await;
            let (ok, said, _) = import(&app, folder, USERS, &[]);
            assert!(ok && said.starts_with("0 new accounts, 3 existing, 0 purchases"), "{said}");
            assert_eq!(app.row_counts().await, before);
            // An existing file of passwords is not overwritten.
            let (ok, _, error) = import(&app, folder, USERS, &["--passwords", "passwords.csv"]);
            assert!(!ok && error.contains("Name a new file"), "{error}");

            let wrong = "email,name,role,grants
dev@example.com,Dev,,neet/physics
nobody,Nobody,,
esha@example.com,Esha,teacher,
DEV@example.com,Dev again,,
farid@example.com,Farid,,neet/maths
gita@example.com,Gita,,jee
asha@example.com,Asha,admin,
hari@example.com,Hari
";
            let (ok, said, error) = import(&app, folder, wrong, &[]);
            assert!(!ok && error.contains("7 rows were refused"), "{said}{error}");
            let lines: Vec<&str> = said.lines().collect();
            for (line, words) in [
                (3, "such as name@example.com"),
                (4, "teacher is not a role"),
                (5, "in line 2 already"),
                (6, "no subject with the code maths"),
                (7, "no course with the code jee"),
                (8, "has the role learner"),
                (9, "2 fields, but the header has 4"),
            ] {
                let start = format!("users.csv:{line}: refused: ");
                let found = lines.iter().find(|said| said.starts_with(&start));
                assert!(found.is_some_and(|said| said.contains(words)), "{line}: {said}");
            }
            assert!(said.ends_with(
                "1 new accounts, 0 existing, 1 purchases granted with 2 test cards, 7 rows refused\n"
            ));
            // A row of the file is imported as a whole or not at all.
            assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE name = 'Farid'").await, 0);
        })
        .await;
    }
}

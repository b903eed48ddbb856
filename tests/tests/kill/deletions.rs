//! Ends the process that deletes an account, at each boundary between the steps of the deletion and after its commit.

use std::process::{Command, Output};

use jishu_service::failpoint::DELETION_BOUNDARIES;
use jishu_tests::process::binary;
use jishu_tests::{Backend, RULE_VIOLATIONS, TestApp, rows};

const PERSONAL_TABLES: [&str; 5] =
    ["refresh_tokens", "sign_in_networks", "account_links", "cart_items", "test_sessions"];

/// Deletes an account with the operator's command, which aborts at this boundary. The boundary `none` does not exist,
/// so the command does not abort.
fn delete(app: &TestApp, email: &str, boundary: &str) -> Output {
    Command::new(binary("jishu-faults"))
        .args(["user", "delete", email, "--database-url", &app.database_url])
        .env("JISHU_ABORT_AT", boundary)
        .output()
        .expect("it runs")
}

/// Returns the row of an account, and the numbers of its rows in each of [`PERSONAL_TABLES`], of its open sittings, and
/// of its audit events `user.deleted`.
async fn state(app: &TestApp, user: i64) -> Vec<Vec<String>> {
    let account = format!("SELECT name, email, password_hash, role, status FROM users WHERE id = {user}");
    let mut state = rows(app.connection(), &account).await;
    for table in PERSONAL_TABLES {
        let count = format!("SELECT COUNT(*) FROM {table} WHERE user_id = {user}");
        state.extend(rows(app.connection(), &count).await);
    }
    let open = format!("SELECT COUNT(*) FROM test_sessions WHERE user_id = {user} AND open_marker = 1");
    state.extend(rows(app.connection(), &open).await);
    let events =
        format!("SELECT COUNT(*) FROM audit_events WHERE action = 'user.deleted' AND target_id = {user}");
    state.extend(rows(app.connection(), &events).await);
    state
}

/// Aborts the deletion of a learner with an open sitting at each boundary. The deletion must be done completely or not
/// at all. If it is not done, the same command must do it afterwards.
pub(crate) async fn abort(backend: Backend) {
    TestApp::run(backend, async |app| {
        let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
        for subject in &course.subject_rows {
            app.bank(*subject, 12).await;
        }
        for (number, boundary) in DELETION_BOUNDARIES.into_iter().enumerate() {
            let name = format!("Learner{number}");
            let learner = app.learner(&name).await;
            let email = format!("learner{number}@example.com");
            let user = app.number(&format!("SELECT id FROM users WHERE email = '{email}'")).await;
            let bought = learner.buy(course.subject(0)).await;
            learner.start_session(&bought.cards().edges[0].node.id).await;
            learner.add_to_cart(&[&course.subjects[1]]).await;
            let before = state(&app, user).await;
            let aborted = delete(&app, &email, boundary);
            assert!(!aborted.status.success(), "{boundary}: the process did not abort");
            if boundary == "deletion.committed" {
                assert_ne!(state(&app, user).await, before, "{boundary}");
            } else {
                assert_eq!(state(&app, user).await, before, "{boundary}");
                let deleted = delete(&app, &email, "none");
                assert!(deleted.status.success(), "{boundary}: {deleted:?}");
            }
            let after = state(&app, user).await.concat();
            let expected = [
                "Deleted account",
                &format!("deleted:{user}"),
                "",
                "learner",
                "deactivated",
                "0",
                "0",
                "0",
                "0",
                "1",
                "0",
                "1",
            ];
            assert_eq!(after, expected, "{boundary}");
            for (rule, query) in RULE_VIOLATIONS {
                assert_eq!(
                    rows(app.connection(), query).await,
                    Vec::<Vec<String>>::new(),
                    "{boundary}: {rule}"
                );
            }
        }
        eprintln!("{backend:?}: deletions aborted at {} boundaries", DELETION_BOUNDARIES.len());
    })
    .await;
}

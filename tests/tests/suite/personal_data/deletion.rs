//! The deletion of an account: which rows are deleted, which rows stay, and the end of tokens and subscriptions.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{MailServer, RULE_VIOLATIONS, RefundInput, Socket, TestApp, wait_until};
use serde_json::{Value, json};

use super::columns::{Deleted, PERSONAL};
use super::newer_columns::SIGN_IN_WAYS;
use super::{MARK, PASSWORD, World, add_sign_in_ways, consent_of, delete, mentions, register, row_of, send};
use crate::mail::{ACCOUNT_DELETED, with_mail_server};

with_mail_server!(&["--minimum-age-without-consent=18"];
    the_person_goes_and_the_books_stay,
    tokens_and_subscriptions_end_on_every_node,
);

/// Returns the column with the owner of a row: `id` in `users`, `user_id` elsewhere.
fn owner_column(table: &str) -> &'static str {
    if table == "users" { "id" } else { "user_id" }
}

/// Returns the amounts and counts of each purchase from the database, and the sales report that an admin reads.
async fn books(app: &TestApp, world: &World) -> (Vec<Vec<String>>, Value) {
    let sums = "SELECT p.id, p.cost, p.tax, p.currency, p.status, (SELECT SUM(r.amount) FROM refunds r WHERE \
                r.purchase_id = p.id), (SELECT COUNT(*) FROM mock_test_attempts c WHERE c.purchase_id = p.id), \
                (SELECT COUNT(*) FROM entitlements e WHERE e.purchase_id = p.id) FROM purchases p ORDER BY p.id";
    let sums = sums.replace("SUM(r.amount)", "CAST(SUM(r.amount) AS CHAR(20))");
    let report = "{ salesReport(from: \"2020-01-01T00:00:00Z\", to: \"2100-01-01T00:00:00Z\") { rows { currency \
                  purchases subjectsSold gross { amount } charged { amount } tax { amount } net { amount } } } }";
    let report = world.admin.run(report).await.body;
    (jishu_tests::rows(app.connection(), &sums).await, report)
}

async fn the_person_goes_and_the_books_stay(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let world = World::new(&app).await;
    let email = format!("{MARK}@example.com");
    let learner = register(&app, &email, 2015).await;
    consent_of(&learner, &app.anonymous(), &mail, &format!("guardian.{MARK}@example.com")).await;
    let purchase = world.fill(&learner).await;
    add_sign_in_ways(&app, row_of(&app, &email).await).await;
    // Support refunds a purchase of another user. The reason mentions the address of the account that is deleted below.
    let other = app.staff("Binod", Role::Learner).await;
    app.execute("UPDATE users SET birth_year = 1990 WHERE name = 'Binod'").await;
    let others = other.buy(world.course.subject(0)).await.purchase().id.clone();
    let reason = format!("Mixed up with {}", email.to_uppercase());
    world.support.refund(RefundInput::whole(&others).reason(&reason)).await;
    let resolved = format!(
        "INSERT INTO audit_events (at, action, target_type, target_id, state_after) SELECT created_at, \
         'order.resolved', 'orders', 7, '{{\"because\":\"{reason}\"}}' FROM users WHERE name = 'Binod'"
    );
    app.execute(&resolved).await;
    let user = row_of(&app, &email).await;
    let found = mentions(&app, MARK).await;
    assert!(found.len() > 6, "the search does not find the person: {found:#?}");
    let before = books(&app, &world).await;
    let open = "SELECT COUNT(*) FROM test_sessions WHERE open_marker = 1";
    assert_eq!(app.number(open).await, 1);

    let deleted = delete(&learner, PASSWORD).await;
    assert_eq!(*deleted.at("/deleteAccount"), json!({ "deleted": true, "userErrors": [] }));
    assert_eq!(mentions(&app, MARK).await, Vec::<String>::new());
    for (table, columns) in PERSONAL
        .iter()
        .chain(SIGN_IN_WAYS)
        .filter(|(_, columns)| columns.iter().any(|(_, _, d)| *d == Deleted::Rows))
    {
        let rows = match columns.iter().any(|(name, ..)| *name == "user_id") {
            true => format!("SELECT COUNT(*) FROM {table} WHERE {} = {user}", owner_column(table)),
            false => format!("SELECT COUNT(*) FROM {table}"),
        };
        assert_eq!(app.number(&rows).await, 0, "{table}");
    }
    let row = format!("SELECT name, email, password_hash, role, status FROM users WHERE id = {user}");
    let row = jishu_tests::rows(app.connection(), &row).await.concat();
    assert_eq!(row, ["Deleted account", &format!("deleted:{user}"), "", "learner", "deactivated"]);

    // The amounts of all purchases are the same as before the deletion, and the open sitting has ended.
    assert_eq!(books(&app, &world).await, before);
    for (rule, query) in RULE_VIOLATIONS {
        let broken = jishu_tests::rows(app.connection(), query).await;
        assert_eq!(broken, Vec::<Vec<String>>::new(), "{rule}");
    }
    let bad = jishu_service::integrity::examine_ours(&app.services.database).await.expect("a check");
    assert_eq!(bad, [], "`jishu check` finds problems");
    assert_eq!(app.number(open).await, 0);
    let ended = "SELECT COUNT(*) FROM test_sessions WHERE status = 'auto_submitted' AND score IS NOT NULL";
    assert_eq!(app.number(ended).await, 1);
    // The purchase that has not been refunded can still be refunded.
    let refunded = world.support.refund(RefundInput::whole(&purchase).reason("A mistake")).await;
    assert_eq!(refunded.outcome(), "CREATED");
    let event =
        format!("SELECT actor_id FROM audit_events WHERE action = 'user.deleted' AND target_id = {user}");
    assert_eq!(app.number(&event).await, user);

    // A mail reports the deletion, and the server then erases the content of the mail. The address is free for a new
    // account.
    mail.newest(&email, ACCOUNT_DELETED).await;
    wait_until("its content is erased", async || {
        app.number("SELECT COUNT(*) FROM outbox WHERE payload IS NOT NULL").await == 0
    })
    .await;
    assert_eq!(app.anonymous().login(&email, PASSWORD).await.refusal(), "INVALID_CREDENTIALS");
    let deleted_address = format!("deleted:{user}");
    assert_eq!(app.anonymous().login(&deleted_address, "").await.refusal(), "INVALID_CREDENTIALS");
    let stranger = register(&app, &email, 1990).await;
    assert!(row_of(&app, &email).await > user);
    let seen = stranger.run("{ viewer { purchases { totalCount } testSessions { totalCount } } }").await;
    assert_eq!(
        *seen.at("/viewer"),
        json!({ "purchases": { "totalCount": 0 }, "testSessions": { "totalCount": 0 } })
    );
}

async fn tokens_and_subscriptions_end_on_every_node(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let learner = app.staff("Asha", Role::Learner).await;
    let admin = app.staff("Ada", Role::Admin).await;
    let id = learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let other = app.second_node().await;
    let mut sockets = Vec::new();
    for url in [app.url("/graphql"), other.url("/graphql")] {
        let mut socket = Socket::open(Socket::handshake(&url)).await.expect("a WebSocket");
        socket.init(json!({ "authorization": format!("Bearer {}", learner.token()) })).await;
        socket.subscribe("changes", "subscription { mockTestAttemptChanged { testNumber } }").await;
        sockets.push(socket);
    }
    app.watched_by(1).await;
    other.watched_by(1).await;
    let payload = send(&admin, "deleteUser", &format!("(userId: \"{id}\")"), "deleted").await;
    assert_eq!(payload, json!({ "deleted": true, "userErrors": [] }));
    assert_eq!(learner.fail("{ viewer { name } }", Value::Null).await.0, "UNAUTHENTICATED");
    let (status, _) = super::export_of(&app, learner.token()).await;
    assert_eq!(status, 401);
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.0, 4403);
    }
    other.stop().await;
}

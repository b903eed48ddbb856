//! Deletions of accounts at the same time as other requests that write rows of the same user, and of two admins at
//! once.

use std::sync::Arc;

use jishu_tests::{RULE_VIOLATIONS, RefundInput, Registration, TestApp, on_each_database, wait_until};
use serde_json::json;

use super::{PASSWORD, World, delete, row_of, send};

on_each_database!(a_deletion_beside_other_requests_leaves_no_half, two_admins_cannot_both_leave);

/// Number of accounts that the test deletes, one after the other.
const ROUNDS: usize = 4;

/// Tables in which a deleted account has no rows.
const EMPTY_TABLES: [&str; 8] = [
    "refresh_tokens",
    "sign_in_networks",
    "account_links",
    "outbox",
    "cart_items",
    "allowances",
    "guardian_consents",
    "topic_totals",
];

/// Waits until the server has carried out the requests about accounts that are in its queue now. The server carries
/// them out in their order, so this function adds a request of the member of support, and waits for its link.
async fn carry_out_queue(app: &TestApp) {
    let links = "SELECT COUNT(*) FROM account_links WHERE email = 'sam@example.com'";
    let before = app.number(links).await;
    let reset = "mutation { requestPasswordReset(email: \"sam@example.com\") { requested } }";
    app.anonymous().run(reset).await;
    wait_until("the link of the last request", async || app.number(links).await > before).await;
}

async fn a_deletion_beside_other_requests_leaves_no_half(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    for round in 0..ROUNDS {
        let email = format!("learner{round}@example.com");
        let registration = Registration::new("Learner", &email, PASSWORD);
        let signed_in = app.anonymous().register(&registration).await;
        let learner = app.with_token(signed_in.access_token());
        let user = row_of(&app, &email).await;
        let bought = learner.buy(world.course.subject(0)).await;
        let purchase = bought.purchase().id.clone();
        let card = bought.cards().edges[1].node.id.clone();
        let global = learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
        let stranger = app.anonymous();
        let start = format!(
            "mutation {{ startTestSession(input: {{ mockTestAttemptId: \"{card}\" }}) {{ session {{ id }} }} }}"
        );
        let reset = format!("mutation {{ requestPasswordReset(email: \"{email}\") {{ requested }} }}");
        let cart = format!(
            "mutation {{ addToCart(subjectIds: [\"{}\"]) {{ userErrors {{ code }} }} }}",
            world.course.subjects[2]
        );
        let allow = format!(
            "mutation {{ grantAllowance(input: {{ userId: \"{global}\", extraSeconds: 60 }}) {{ userErrors {{ code }} }} }}"
        );
        let refresh = json!({ "token": signed_in.refresh_token() });
        let purchase_input = json!({ "input": world.course.subject(1).json() });
        let refund = json!({ "input": RefundInput::whole(&purchase).json() });
        let again = json!({ "input": registration });
        let (deleted, ..) = tokio::join!(
            delete(&learner, PASSWORD),
            learner.send(jishu_tests::PURCHASE, purchase_input),
            learner.send(&start, json!({})),
            world.support.send(jishu_tests::REFUND, refund),
            learner.send(&cart, json!({})),
            world.support.send(&allow, json!({})),
            stranger.send(&reset, json!({})),
            stranger.send(jishu_tests::REFRESH, refresh),
            stranger.send(jishu_tests::REGISTER, again),
        );
        assert_eq!(*deleted.at("/deleteAccount/deleted"), json!(true), "{:#}", deleted.body);
        // Asks for a new password once more, after the deletion. Requests that the server has queued must not write
        // rows for the deleted account.
        stranger.send(&reset, json!({})).await;
        carry_out_queue(&app).await;
        for table in EMPTY_TABLES {
            let rows = format!("SELECT COUNT(*) FROM {table} WHERE user_id = {user}");
            assert_eq!(app.number(&rows).await, 0, "{table}");
        }
        let open = format!("SELECT COUNT(*) FROM test_sessions WHERE user_id = {user} AND open_marker = 1");
        assert_eq!(app.number(&open).await, 0);
        let texts = format!(
            "SELECT COUNT(*) FROM refunds WHERE user_id = {user} AND reason LIKE '%Wrong%' AND requested_at < (SELECT deleted_at FROM users WHERE id = {user})"
        );
        assert_eq!(app.number(&texts).await, 0);
        let accounts = format!("SELECT COUNT(*) FROM users WHERE email = '{email}' AND id <> {user}");
        assert!(app.number(&accounts).await <= 1);
        for (rule, query) in RULE_VIOLATIONS {
            let broken = jishu_tests::rows(app.connection(), query).await;
            assert_eq!(broken, Vec::<Vec<String>>::new(), "{rule}");
        }
    }
}

async fn two_admins_cannot_both_leave(app: Arc<TestApp>) {
    let sign_up = async |name: &str| {
        let learner = app.learner(name).await;
        app.execute(&format!("UPDATE users SET role = 'admin' WHERE name = '{name}'")).await;
        learner
    };
    let (ada, bea) = (sign_up("Ada").await, sign_up("Bea").await);
    let (one, other) = tokio::join!(delete(&ada, PASSWORD), delete(&bea, PASSWORD));
    let codes: Vec<String> =
        [one, other].iter().map(|answer| answer.at("/deleteAccount").to_string()).collect();
    let left = codes.iter().filter(|payload| payload.contains("\"deleted\":true")).count();
    assert_eq!(left, 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|payload| payload.contains("LAST_ADMIN")).count(), 1, "{codes:?}");
    let admins = "SELECT COUNT(*) FROM users WHERE role = 'admin' AND status = 'active'";
    assert_eq!(app.number(admins).await, 1);
    let name = if codes[0].contains("LAST_ADMIN") { &ada } else { &bea };
    let payload = send(name, "deleteAccount", &format!("(password: \"{PASSWORD}\")"), "deleted").await;
    assert_eq!(payload["userErrors"][0]["code"], "LAST_ADMIN");
}

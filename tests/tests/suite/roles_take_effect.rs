//! Roles and statuses that staff change: who may change them, and that a change takes effect on every node. A
//! deactivation also ends open subscriptions.

use std::sync::Arc;

use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_tests::{Client, EventStream, Node, Socket, TestApp, on_each_database, wait_until};
use serde_json::{Value, json};

on_each_database!(
    a_deactivation_reaches_every_node_and_subscription,
    an_activation_lets_the_user_sign_in_again,
    roles_are_changed_by_admins,
    support_changes_the_status_of_learners_only,
    one_admin_always_remains,
);

const SET_ROLE: &str = "mutation ($user: ID!, $role: Role!) { setUserRole(userId: $user, role: $role) {
    user { id role status } userErrors { code message path } } }";
const SET_STATUS: &str =
    "mutation ($user: ID!, $status: UserStatus!) { setUserStatus(userId: $user, status: $status) {
    user { id role status } userErrors { code message path } } }";
const CHANGES: &str = "subscription { mockTestAttemptChanged { testNumber } }";

async fn id(client: &Client) -> String {
    client.run("{ viewer { id } }").await.text("/viewer/id").to_owned()
}

async fn set_role(client: &Client, user: &str, role: &str) -> Value {
    client.run_with(SET_ROLE, json!({ "user": user, "role": role })).await.at("/setUserRole").clone()
}

async fn set_status(client: &Client, user: &str, status: &str) -> Value {
    client.run_with(SET_STATUS, json!({ "user": user, "status": status })).await.at("/setUserStatus").clone()
}

/// Returns the code of the first user error of a payload. Panics if the payload has a user, which a refusal never has.
fn refusal(payload: &Value) -> &str {
    assert_eq!(payload["user"], Value::Null, "{payload}");
    payload["userErrors"][0]["code"].as_str().expect("a code")
}

fn client_of(node: &Node, token: &str) -> Client {
    Client::new(reqwest::Client::new(), node.url("/graphql"), Some(token.to_owned()))
}

async fn socket_at(url: &str, token: &str) -> Socket {
    let mut socket = Socket::open(Socket::handshake(url)).await.expect("a WebSocket");
    socket.init(json!({ "authorization": format!("Bearer {token}") })).await;
    socket.subscribe("changes", CHANGES).await;
    socket
}

async fn stream_at(url: &str, token: &str) -> EventStream {
    let request = reqwest::Client::new().post(url).header("accept", "text/event-stream").bearer_auth(token);
    EventStream::of(request.json(&json!({ "query": CHANGES })).send().await.expect("a stream"))
}

async fn a_deactivation_reaches_every_node_and_subscription(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    let binod = app.learner("Binod").await;
    let session = app.anonymous().login("asha@example.com", "correct horse battery").await;
    let support = app.staff("Sam", Role::Support).await;
    let user = id(&asha).await;
    let other = app.second_node().await;
    let (here, there) = (app.url("/graphql"), other.url("/graphql"));
    let mut sockets = [socket_at(&here, asha.token()).await, socket_at(&there, asha.token()).await];
    let mut streams = [stream_at(&here, asha.token()).await, stream_at(&there, asha.token()).await];
    let unaffected = socket_at(&there, binod.token()).await;
    app.watched_by(2).await;
    other.watched_by(3).await;

    let changed = set_status(&support, &user, "DEACTIVATED").await;
    assert_eq!(changed["user"]["status"], "DEACTIVATED", "{changed}");
    // The node that deactivated the account refuses the token of the account at once.
    let (code, message) = asha.fail("{ viewer { name } }", Value::Null).await;
    assert_eq!(code, "UNAUTHENTICATED");
    assert!(message.contains("deactivated"), "{message}");
    let of_other_node = client_of(&other, asha.token());
    wait_until("the other node refuses the token", async || {
        of_other_node.send("{ viewer { name } }", Value::Null).await.status == 401
    })
    .await;
    for socket in &mut sockets {
        let (code, reason) = socket.closed().await;
        assert!(code == 4403 && reason.contains("deactivated"), "{code} {reason}");
    }
    for stream in &mut streams {
        let (name, event) = stream.next().await.expect("an event");
        assert_eq!(
            (name.as_str(), &event["errors"][0]["extensions"]["code"]),
            ("next", &json!("UNAUTHENTICATED"))
        );
        assert!(event["errors"][0]["message"].as_str().expect("a text").contains("deactivated"), "{event}");
        assert_eq!(stream.next().await, Some(("complete".to_owned(), Value::Null)));
    }
    // A new WebSocket of the deactivated user is refused as well. Other users are not affected.
    let mut socket = Socket::open(Socket::handshake(&there)).await.expect("a WebSocket");
    let payload = json!({ "authorization": format!("Bearer {}", asha.token()) });
    socket.say(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.closed().await.0, 4403);
    other.watched_by(1).await;
    binod.run("{ viewer { name } }").await;

    assert_eq!(app.anonymous().refresh(session.refresh_token()).await.refusal(), "REFRESH_TOKEN_INVALID");
    let again = app.anonymous().login("asha@example.com", "correct horse battery").await;
    assert_eq!(again.refusal(), "INVALID_CREDENTIALS");
    assert_eq!(app.number("SELECT COUNT(*) FROM refresh_tokens WHERE revoked_at IS NULL").await, 1);
    // Deactivating the user again changes nothing.
    set_status(&support, &user, "DEACTIVATED").await;
    let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'user.status_changed'";
    assert_eq!(app.number(events).await, 1);
    let states = "SELECT COUNT(*) FROM audit_events e JOIN users u ON u.id = e.actor_id WHERE u.name = 'Sam' AND \
        e.action = 'user.status_changed' AND state_before LIKE '%\"active\"%' AND state_after LIKE '%\"deactivated\"%'";
    assert_eq!(app.number(states).await, 1);
    unaffected.hang_up();
    other.stop().await;
}

async fn an_activation_lets_the_user_sign_in_again(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    let support = app.staff("Sam", Role::Support).await;
    let user = id(&asha).await;
    set_status(&support, &user, "DEACTIVATED").await;
    let changed = set_status(&support, &user, "ACTIVE").await;
    assert_eq!((&changed["user"]["status"], &changed["userErrors"]), (&json!("ACTIVE"), &json!([])));
    app.learner_again("Asha").await.run("{ viewer { name } }").await;
    // An account that was deactivated by SQL, without the API, cannot sign in either.
    app.execute("UPDATE users SET status = 'deactivated' WHERE name = 'Asha'").await;
    let login = app.anonymous().login("asha@example.com", "correct horse battery").await;
    assert_eq!(login.refusal(), "INVALID_CREDENTIALS");
}

async fn roles_are_changed_by_admins(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    let admin = app.staff("Ada", Role::Admin).await;
    let support = app.staff("Sam", Role::Support).await;
    let user = id(&asha).await;
    let other = app.second_node().await;
    let of_other_node = client_of(&other, asha.token());
    let query = "{ users { totalCount } }";
    assert_eq!(of_other_node.fail(query, Value::Null).await.0, "FORBIDDEN");
    let changed = set_role(&admin, &user, "SUPPORT").await;
    assert_eq!(changed["user"]["role"], "SUPPORT", "{changed}");
    of_other_node.run(query).await;
    set_role(&admin, &user, "LEARNER").await;
    assert_eq!(of_other_node.fail(query, Value::Null).await.0, "FORBIDDEN");
    let events =
        "SELECT COUNT(*) FROM audit_events WHERE action = 'user.role_changed' AND target_type = 'users'";
    assert_eq!(app.number(events).await, 2);

    let before = app.row_counts().await;
    assert_eq!(refusal(&set_role(&admin, "x", "ADMIN").await), "USER_NOT_FOUND");
    assert_eq!(refusal(&set_role(&admin, &app.global("User", 999_999), "ADMIN").await), "USER_NOT_FOUND");
    let own = id(&admin).await;
    assert_eq!(refusal(&set_role(&admin, &own, "LEARNER").await), "OWN_ACCOUNT");
    assert_eq!(refusal(&set_status(&admin, &own, "DEACTIVATED").await), "OWN_ACCOUNT");
    set_role(&admin, &user, "LEARNER").await;
    for client in [&support, &asha] {
        let (code, _) = client.fail(SET_ROLE, json!({ "user": user, "role": "ADMIN" })).await;
        assert_eq!(code, "FORBIDDEN");
    }
    assert_eq!(app.row_counts().await, before);
    other.stop().await;
}

async fn support_changes_the_status_of_learners_only(app: Arc<TestApp>) {
    let support = app.staff("Sam", Role::Support).await;
    let admin = app.staff("Ada", Role::Admin).await;
    for role in [Role::Author, Role::Support, Role::Admin] {
        let staff = app.staff(&format!("Other{role:?}"), role).await;
        let user = id(&staff).await;
        assert_eq!(refusal(&set_status(&support, &user, "DEACTIVATED").await), "USER_IS_STAFF");
        assert_eq!(set_status(&admin, &user, "DEACTIVATED").await["user"]["status"], "DEACTIVATED");
        assert_eq!(refusal(&set_status(&support, &user, "ACTIVE").await), "USER_IS_STAFF");
    }
    let own = id(&support).await;
    assert_eq!(refusal(&set_status(&support, &own, "DEACTIVATED").await), "OWN_ACCOUNT");
    assert_eq!(refusal(&set_status(&support, &app.global("User", 0), "ACTIVE").await), "USER_NOT_FOUND");
}

async fn one_admin_always_remains(app: Arc<TestApp>) {
    for round in 0..5 {
        let mut admins = Vec::new();
        for number in 0..4 {
            let admin = app.staff(&format!("Ada{round}{number}"), Role::Admin).await;
            let user = id(&admin).await;
            admins.push((admin, user));
        }
        // Each admin demotes or deactivates the next admin, all at once.
        let all = (0..4).map(|number| {
            let (admin, (_, next)) = (&admins[number].0, &admins[(number + 1) % 4]);
            async move {
                let (query, variables) = match number % 2 {
                    0 => (SET_ROLE, json!({ "user": next, "role": "LEARNER" })),
                    _ => (SET_STATUS, json!({ "user": next, "status": "DEACTIVATED" })),
                };
                admin.send(query, variables).await
            }
        });
        join_all(all).await;
        let remaining = "SELECT COUNT(*) FROM users WHERE role = 'admin' AND status = 'active'";
        let remaining = app.number(remaining).await;
        assert!(remaining >= 1, "round {round}: {remaining}");
        app.execute("UPDATE users SET role = 'learner'").await;
    }
}

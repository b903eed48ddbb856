//! The sessions of a user: listed, and ended on every node. Also the stored networks after a rotation of the keys.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_service::account;
use jishu_service::auth::KeyRing;
use jishu_service::limit::ClientAddress;
use jishu_tests::{Client, LOGIN, REFRESH, Registration, Socket, TestApp, wait_until};
use serde_json::{Value, json};

use crate::second_factor::rotate_keys;

const FLAGS: &[&str] = &["--trusted-proxies=127.0.0.0/8"];
const SESSIONS: &str = "{ viewer { sessions { id createdAt lastUsedAt client network isCurrent } } }";
const END: &str = "mutation ($id: ID!) { endSession(id: $id) { sessions { id } userErrors { code path } } }";
const END_OTHERS: &str = "mutation { endOtherSessions { sessions { isCurrent } userErrors { code } } }";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0";

macro_rules! on_each_database_behind_a_proxy {
    ($($name:ident),+ $(,)?) => {
        on_each_database_behind_a_proxy!(@ sqlite, Sqlite, $($name),+);
        on_each_database_behind_a_proxy!(@ postgres, Postgres, $($name),+);
        on_each_database_behind_a_proxy!(@ mariadb, MariaDb, $($name),+);
    };
    (@ $module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let backend = jishu_tests::Backend::$backend;
                    jishu_tests::TestApp::run_with(backend, super::FLAGS, super::$name).await;
                }
            )+
        }
    };
}

on_each_database_behind_a_proxy!(
    sessions_say_where_they_are,
    a_session_ends_on_every_node,
    other_sessions_end_and_those_of_others_stay,
    a_network_is_stored_once_after_a_rotation_of_the_keys,
    a_repeated_exchange_from_another_network_records_it,
);

/// Signs in from this network address with this client program, and returns the tokens.
async fn sign_in_from(app: &TestApp, address: &str, program: &str) -> Value {
    let input = json!({ "email": "asha@example.com", "password": "correct horse" });
    let body = json!({ "query": LOGIN, "variables": { "input": input } });
    let request = app.http().post(app.url("/graphql")).json(&body);
    let request = request.header("x-forwarded-for", address).header("user-agent", program);
    let response: Value = request.send().await.unwrap().json().await.unwrap();
    response["data"]["login"]["tokens"].clone()
}

fn client(app: &TestApp, tokens: &Value) -> Client {
    app.with_token(tokens["accessToken"].as_str().unwrap())
}

async fn sessions(client: &Client) -> Vec<Value> {
    client.run(SESSIONS).await.list("/viewer/sessions").to_vec()
}

async fn register(app: &TestApp) {
    app.anonymous().register(&Registration::new("Asha", "asha@example.com", "correct horse")).await;
}

async fn sessions_say_where_they_are(app: Arc<TestApp>) {
    register(&app).await;
    app.clock.advance(TimeDelta::minutes(1));
    let laptop = sign_in_from(&app, "203.0.113.77", FIREFOX).await;
    app.clock.advance(TimeDelta::minutes(1));
    let phone = sign_in_from(&app, "2001:db8:1:2:3:4:5:6", "okhttp/4.12.0").await;
    let listed = sessions(&client(&app, &phone)).await;
    let of = |listed: &[Value], field: &str| -> Vec<Value> {
        listed.iter().map(|session| session[field].clone()).collect()
    };
    assert_eq!(of(&listed, "client"), [json!("an Android app"), json!("Firefox on Linux"), Value::Null]);
    let networks = of(&listed, "network");
    assert_eq!(networks[..2], [json!("2001:db8:1::/48"), json!("203.0.113.0/24")]);
    assert_eq!(of(&listed, "isCurrent"), [json!(true), json!(false), json!(false)]);

    // The laptop refreshes its tokens. Its session keeps `createdAt`, and is now the first in the list.
    app.clock.advance(TimeDelta::minutes(1));
    let before = listed[1].clone();
    let refreshed = app.anonymous().refresh(laptop["refreshToken"].as_str().unwrap()).await;
    let listed = sessions(&app.with_token(refreshed.access_token())).await;
    assert_eq!((&listed[0]["id"], &listed[0]["createdAt"]), (&before["id"], &before["createdAt"]));
    assert_ne!(listed[0]["lastUsedAt"], before["lastUsedAt"]);
    assert_eq!(of(&listed, "isCurrent"), [json!(true), json!(false), json!(false)]);
    // Only the newest token of each session stores a network. An expired session is not listed.
    let located = "SELECT COUNT(*) FROM refresh_tokens WHERE network IS NOT NULL";
    assert_eq!(app.number(located).await, 3);
    app.clock.advance(TimeDelta::days(30) - TimeDelta::seconds(30));
    let fresh = sign_in_from(&app, "203.0.113.77", FIREFOX).await;
    assert_eq!(
        of(&sessions(&client(&app, &fresh)).await, "client"),
        [json!("Firefox on Linux"), Value::Null]
    );
}

async fn a_session_ends_on_every_node(app: Arc<TestApp>) {
    register(&app).await;
    let lost = sign_in_from(&app, "203.0.113.77", FIREFOX).await;
    app.clock.advance(TimeDelta::minutes(1));
    let current = sign_in_from(&app, "203.0.113.78", FIREFOX).await;
    let token = lost["accessToken"].as_str().unwrap();
    let other = app.second_node().await;
    let mut socket = Socket::open(Socket::handshake(&other.url("/graphql"))).await.unwrap();
    socket.init(json!({ "authorization": format!("Bearer {token}") })).await;
    let on_current = client(&app, &current);
    let id = sessions(&on_current).await[1]["id"].clone();
    let ended = on_current.run_with(END, json!({ "id": id })).await;
    assert_eq!(*ended.at("/endSession/userErrors"), json!([]));
    assert_eq!(ended.list("/endSession/sessions").len(), 2);

    let refresh = app.anonymous().refresh(lost["refreshToken"].as_str().unwrap()).await;
    assert_eq!(refresh.refusal(), "REFRESH_TOKEN_INVALID");
    let (code, message) = app.with_token(token).fail("{ viewer { name } }", Value::Null).await;
    assert_eq!((code.as_str(), message.contains("has ended")), ("UNAUTHENTICATED", true), "{message}");
    let (code, reason) = socket.closed().await;
    assert!(code == 4403 && reason.contains("has ended"), "{code} {reason}");
    let there = Client::new(reqwest::Client::new(), other.url("/graphql"), Some(token.to_owned()));
    assert_eq!(there.send("{ viewer { name } }", Value::Null).await.status, 401);
    on_current.run("{ viewer { name } }").await;

    // The end of the session is audited once. Ending the session again changes nothing.
    let before = app.row_counts().await;
    let again = on_current.run_with(END, json!({ "id": id })).await;
    assert_eq!(*again.at("/endSession/userErrors"), json!([{ "code": "SESSION_NOT_FOUND", "path": ["id"] }]));
    assert_eq!(app.row_counts().await, before);
    assert_eq!(app.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.session_ended'").await, 1);
    // A sign-out reaches other nodes as well.
    let token = current["accessToken"].as_str().unwrap();
    let there = Client::new(reqwest::Client::new(), other.url("/graphql"), Some(token.to_owned()));
    there.run("{ viewer { name } }").await;
    on_current.run("mutation { logout { userErrors { code } } }").await;
    wait_until("the other node refuses the token", async || {
        there.send("{ viewer { name } }", Value::Null).await.status == 401
    })
    .await;
    other.stop().await;
}

async fn other_sessions_end_and_those_of_others_stay(app: Arc<TestApp>) {
    register(&app).await;
    let binod = app.learner("Binod").await;
    let phone = sign_in_from(&app, "203.0.113.77", FIREFOX).await;
    let laptop = sign_in_from(&app, "203.0.113.78", FIREFOX).await;
    let on_phone = client(&app, &phone);
    // A user cannot end the session of another user. Support cannot see the sessions of a user.
    let foreign = sessions(&binod).await[0]["id"].clone();
    let before = app.row_counts().await;
    for id in [foreign, json!("x"), json!(app.global("User", 1))] {
        let refused = on_phone.run_with(END, json!({ "id": id })).await;
        assert_eq!(refused.text("/endSession/userErrors/0/code"), "SESSION_NOT_FOUND", "{id}");
    }
    let support = app.staff("Sam", jishu_entity::user::Role::Support).await;
    let user = on_phone.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let look =
        "query ($id: ID!) { node(id: $id) { ... on User { name sessions { id } secondFactor { since } } } }";
    let seen = support.run_with(look, json!({ "id": user })).await;
    assert_eq!(*seen.at("/node"), json!({ "name": "Asha", "sessions": null, "secondFactor": null }));
    assert_eq!(app.row_counts().await[1..3], before[1..3]);

    let ended = on_phone.run(END_OTHERS).await;
    assert_eq!(*ended.at("/endOtherSessions/sessions"), json!([{ "isCurrent": true }]));
    let refresh = app.anonymous().refresh(laptop["refreshToken"].as_str().unwrap()).await;
    assert_eq!(refresh.refusal(), "REFRESH_TOKEN_INVALID");
    assert_eq!(client(&app, &laptop).send("{ viewer { name } }", Value::Null).await.status, 401);
    assert!(!app.anonymous().refresh(phone["refreshToken"].as_str().unwrap()).await.is_refused());
    binod.run("{ viewer { name } }").await;
}

async fn a_repeated_exchange_from_another_network_records_it(app: Arc<TestApp>) {
    register(&app).await;
    let tokens = sign_in_from(&app, "203.0.113.77", FIREFOX).await;
    let refresh = async |address: &str| -> Value {
        let request = app.http().post(app.url("/graphql")).header("x-forwarded-for", address);
        let body = json!({ "query": REFRESH, "variables": { "token": tokens["refreshToken"] } });
        let response: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
        response["data"]["refreshTokens"]["tokens"]["refreshToken"].clone()
    };
    let networks = "SELECT COUNT(*) FROM sign_in_networks";
    let first = refresh("203.0.113.77").await;
    assert_eq!(app.number(networks).await, 2, "the networks of the registration and of the sign-in");
    // The response was lost, and the client sends the request again after it has changed its network.
    assert_eq!(refresh("198.51.100.7").await, first);
    assert_eq!(app.number(networks).await, 3);
}

async fn a_network_is_stored_once_after_a_rotation_of_the_keys(app: Arc<TestApp>) {
    register(&app).await;
    sign_in_from(&app, "203.0.113.77", FIREFOX).await;
    let networks = async || {
        let rows =
            jishu_tests::rows(app.connection(), "SELECT network FROM sign_in_networks ORDER BY id").await;
        rows.concat()
    };
    let before = networks().await;
    rotate_keys(&app);
    let mut rotated = app.services.clone();
    rotated.secrets = Arc::new(KeyRing::from_pem_file(&app.key_file()).unwrap().secrets());
    // A network is recorded at most once a day.
    app.clock.advance(TimeDelta::days(1));
    let client = ClientAddress::new([203, 0, 113, 77].into()).into();
    account::login(&rotated, client, "asha@example.com", "correct horse".to_owned()).await.unwrap();
    let after = networks().await;
    assert_eq!((before.len(), after.len()), (2, 2), "{before:?} {after:?}");
    assert_eq!(after[0], before[0], "the hash of another network changed");
    assert_ne!(after[1], before[1], "the hash of the network was not computed again with the new key");
}

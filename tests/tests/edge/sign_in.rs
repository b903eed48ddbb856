//! Checks the budgets of sign-ins and refreshes. A client that guesses passwords or refresh tokens is refused, and does
//! not lock out other clients. Also checks the announced wait, and how many networks an account keeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jishu_tests::{Backend, Node, TestApp};
use reqwest::Response;
use serde_json::{Value, json};

use crate::limits::{login, outcome, refused, send};

const REGISTER: &str =
    "mutation ($input: RegisterInput!) { register(input: $input) { tokens { refreshToken } } }";
const REFRESH: &str = "mutation ($token: String!) { refreshTokens(refreshToken: $token) {
    tokens { refreshToken } userErrors { code } } }";
const LOGIN: &str =
    "mutation ($input: LoginInput!) { login(input: $input) { user { name } userErrors { code } } }";
const PASSWORD: &str = "correct horse battery";
const HALL: &str = "192.0.2.1";

async fn on_each_database(test: impl AsyncFn(&TestApp)) {
    for backend in [Backend::Sqlite, Backend::Postgres, Backend::MariaDb] {
        if backend.is_selected() {
            let app = TestApp::start_limited(backend, &["--trusted-proxies=127.0.0.1"]).await;
            test(&app).await;
            app.stop().await;
        }
    }
}

async fn register(app: &TestApp, name: &str, address: &str) -> String {
    let input = json!({ "name": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    let answer = send(app, REGISTER, json!({ "input": input }), &[("x-forwarded-for", address)]).await;
    let body: Value = answer.json().await.unwrap();
    body["data"]["register"]["tokens"]["refreshToken"].as_str().unwrap().to_owned()
}

async fn refresh(app: &TestApp, token: &str, address: &str) -> Response {
    send(app, REFRESH, json!({ "token": token }), &[("x-forwarded-for", address)]).await
}

/// Guesses passwords from the address [`HALL`] until the server refuses a guess because of the budget. The budget
/// refills meanwhile.
async fn spend(app: &TestApp) {
    for number in 0.. {
        if login(app, &format!("nobody{number}"), "password", HALL).await.status() == 429 {
            break;
        }
    }
}

/// Signs in as [`login`] does, but on another node.
async fn login_on(node: &Node, app: &TestApp, name: &str, password: &str, address: &str) -> Response {
    let input = json!({ "input": { "email": format!("{name}@example.com"), "password": password } });
    let request = app.http().post(node.url("/graphql")).header("x-forwarded-for", address);
    request.json(&json!({ "query": LOGIN, "variables": input })).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guesser_does_not_lock_out_others_at_the_same_address() {
    on_each_database(async |app| {
        let mut tokens = Vec::new();
        for seat in 0..8 {
            tokens.push(register(app, &format!("seat{seat}"), HALL).await);
        }
        let node = app.second_node().await;
        // Guesses on both nodes, because each node has budgets of its own.
        spend(app).await;
        for number in 0.. {
            if login_on(&node, app, &format!("nobody{number}"), "password", HALL).await.status() == 429 {
                break;
            }
        }
        for (seat, token) in tokens.iter().enumerate() {
            let body: Value = refresh(app, token, HALL).await.json().await.unwrap();
            assert!(body["data"]["refreshTokens"]["tokens"]["refreshToken"].is_string(), "{body}");
            let name = format!("seat{seat}");
            assert_eq!(outcome(login(app, &name, PASSWORD, HALL).await).await, json!(name));
            // The learners have never signed in on the second node.
            assert_eq!(outcome(login_on(&node, app, &name, PASSWORD, HALL).await).await, json!(name));
        }
        // A response does not show which accounts exist. A wrong password and an unknown account get the same response.
        let before = app.row_counts().await;
        for name in ["seat0", "nobody", "stranger"] {
            // The budget may refill by one attempt between `spend` and `login`.
            let answer = loop {
                spend(app).await;
                let answer = login(app, name, "wrong password", HALL).await;
                if answer.status() == 429 {
                    break answer;
                }
            };
            let wait = refused(answer).await;
            assert!((1..=2).contains(&wait), "{name}: {wait}");
        }
        assert_eq!(app.row_counts().await, before);
        // Clients of other addresses are not affected.
        assert_eq!(outcome(login(app, "seat0", PASSWORD, "198.51.100.1").await).await, "seat0");
        node.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_not_locked_out_by_strangers_on_any_node() {
    on_each_database(async |app| {
        register(app, "asha", HALL).await;
        let node = app.second_node().await;
        for last in 0..20 {
            let address = format!("198.51.100.{last}");
            assert_eq!(login(app, "asha", "password", &address).await.status(), 200);
            assert_eq!(login_on(&node, app, "asha", "password", &address).await.status(), 200);
        }
        for wait in [
            refused(login(app, "asha", PASSWORD, "203.0.113.1").await).await,
            refused(login_on(&node, app, "asha", PASSWORD, "203.0.113.1").await).await,
        ] {
            assert!((120..=180).contains(&wait), "{wait}");
        }
        assert_eq!(outcome(login_on(&node, app, "asha", PASSWORD, HALL).await).await, "asha");
        assert_eq!(outcome(login(app, "asha", PASSWORD, HALL).await).await, "asha");
        // The wrong passwords above spent the account's budget, so a further wrong password gets the status 429 at the
        // first attempt, also from Asha's own address.
        let mut guesses = 0;
        while login(app, "asha", "password", HALL).await.status() == 200 {
            guesses += 1;
        }
        assert_eq!(guesses, 0, "a client at the owner's address could guess passwords");
        for _ in 0..20 {
            refused(login(app, "asha", "password", HALL).await).await;
        }
        refused(login(app, "asha", PASSWORD, HALL).await).await;
        // The database contains the networks, but not the address in clear text.
        let clear = format!("SELECT COUNT(*) FROM sign_in_networks WHERE network LIKE '%{HALL}%'");
        assert_eq!(app.number(&clear).await, 0);
        node.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_keeps_its_twenty_latest_networks() {
    TestApp::run_with(Backend::Sqlite, &["--trusted-proxies=127.0.0.1"], async |app: Arc<TestApp>| {
        register(&app, "asha", HALL).await;
        for last in 0..25 {
            app.clock.advance(chrono::TimeDelta::minutes(1));
            let address = format!("198.51.100.{last}");
            assert_eq!(outcome(login(&app, "asha", PASSWORD, &address).await).await, "asha");
            // A sign-in from the same network is recorded once a day.
            assert_eq!(outcome(login(&app, "asha", PASSWORD, &address).await).await, "asha");
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM sign_in_networks").await, 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_attempt_is_admitted_after_the_announced_wait() {
    TestApp::run_with(Backend::Sqlite, &["--sign-ins-per-minute=60"], async |app: Arc<TestApp>| {
        let said = loop {
            let answer = login(&app, "nobody", "password", "").await;
            if answer.status() == 429 {
                break refused(answer).await;
            }
        };
        let started = Instant::now();
        while login(&app, "nobody", "password", "").await.status() == 429 {}
        let took = started.elapsed();
        assert!(took <= Duration::from_secs(said) + Duration::from_millis(500), "{took:?}, said {said} s");
        // A failed attempt costs five units, so the next wait is longer.
        let said = refused(login(&app, "nobody", "password", "").await).await;
        assert!((4..=5).contains(&said), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_tokens_that_do_not_work_have_a_budget_of_their_own() {
    let flags = &["--sign-ins-per-minute=50", "--trusted-proxies=127.0.0.1"];
    TestApp::run_with(Backend::Sqlite, flags, async |app: Arc<TestApp>| {
        let good = register(&app, "asha", HALL).await;
        let dead = register(&app, "ravi", HALL).await;
        app.execute("UPDATE refresh_tokens SET revoked_at = created_at WHERE user_id = 2").await;
        let mut answered = 0;
        loop {
            let answer = refresh(&app, "jrt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", HALL).await;
            if answer.status() == 429 {
                refused(answer).await;
                break;
            }
            answered += 1;
        }
        assert!((10..=11).contains(&answered), "{answered}");
        // The server looks up a revoked token once. Then it refuses the token, because the budget is spent.
        assert_eq!(refresh(&app, &dead, HALL).await.status(), 200);
        refused(refresh(&app, &dead, HALL).await).await;
        let body: Value = refresh(&app, &good, HALL).await.json().await.unwrap();
        assert!(body["data"]["refreshTokens"]["tokens"]["refreshToken"].is_string(), "{body}");
        assert_eq!(outcome(login(&app, "asha", PASSWORD, HALL).await).await, "asha");
    })
    .await;
}

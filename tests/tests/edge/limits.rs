//! Checks the budgets of users and addresses: for operations and other requests, for attempts to sign in, and for
//! registrations.

use jishu_tests::{Backend, Client, TestApp};
use reqwest::Response;
use serde_json::{Value, json};

const LOGIN: &str =
    "mutation ($input: LoginInput!) { login(input: $input) { user { name } userErrors { code } } }";

pub(crate) async fn send(
    app: &TestApp,
    query: &str,
    variables: Value,
    headers: &[(&'static str, &str)],
) -> Response {
    let mut request =
        app.http().post(app.url("/graphql")).json(&json!({ "query": query, "variables": variables }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

pub(crate) async fn login(app: &TestApp, name: &str, password: &str, address: &str) -> Response {
    let input = json!({ "input": { "email": format!("{name}@example.com"), "password": password } });
    send(app, LOGIN, input, &[("x-forwarded-for", address)]).await
}

/// Asserts that a response refuses a request because of a limit, and returns the seconds to wait.
pub(crate) async fn refused(response: Response) -> u64 {
    assert_eq!(response.status(), 429);
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let body: Value = response.json().await.unwrap();
    let error = &body["errors"][0];
    assert_eq!(error["extensions"]["code"], "RATE_LIMITED", "{body}");
    assert_eq!(error["extensions"]["retryAfterSeconds"], wait, "{body}");
    assert!(error["message"].as_str().unwrap().contains("Try again in"), "{body}");
    wait
}

pub(crate) async fn outcome(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    match &body["data"]["login"]["userErrors"][0]["code"] {
        Value::Null => body["data"]["login"]["user"]["name"].clone(),
        code => code.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_a_budget_of_their_own() {
    let flags = &["--user-cost-per-minute=10"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let (asha, ravi) = (app.learner("Asha").await, app.learner("Ravi").await);
        let ask = async |client: &Client| {
            let bearer = format!("Bearer {}", client.token());
            send(&app, "{ viewer { name } }", Value::Null, &[("authorization", bearer.as_str())]).await
        };
        let mut answered = 0;
        let last = loop {
            let answer = ask(&asha).await;
            if answer.status() != 200 {
                break answer;
            }
            answered += 1;
        };
        // The cost of a request is about the number of objects that its response can contain, and at least 1. This
        // query returns one object, the viewer. So a budget of 10 allows up to ten requests.
        assert!((2..=10).contains(&answered), "{answered}");
        assert!((1..=60).contains(&refused(last).await));
        assert_eq!(ask(&ravi).await.status(), 200);
        assert_eq!(send(&app, "{ __typename }", Value::Null, &[]).await.status(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_a_budget_and_only_trusted_proxies_say_which_it_is() {
    let flags = &["--address-cost-per-minute=3", "--trusted-proxies=127.0.0.0/8,10.0.0.0/8"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let from = async |chain: &str| {
            send(&app, "{ __typename }", Value::Null, &[("x-forwarded-for", chain)]).await
        };
        for chain in ["192.0.2.1", "198.51.100.7, 192.0.2.1", "192.0.2.1, 10.1.2.3"] {
            assert_eq!(from(chain).await.status(), 200);
        }
        // The trusted proxy appends the client's address to the header. The client may have sent the earlier addresses
        // in the header, so they do not count.
        refused(from("203.0.113.1, 192.0.2.1").await).await;
        assert_eq!(from("192.0.2.2").await.status(), 200);
        // All IPv6 addresses with the same first 64 bits count as one address.
        for last in 1..=3 {
            assert_eq!(from(&format!("2001:db8:1:2::{last}")).await.status(), 200);
        }
        refused(from("2001:db8:1:2:aaaa::9").await).await;
        assert_eq!(from("2001:db8:1:3::1").await.status(), 200);
        assert_eq!(app.http().get(app.url("/health/live")).send().await.unwrap().status(), 200);
    })
    .await;
    let flags = &["--address-cost-per-minute=3"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let from = async |chain: &str| {
            send(&app, "{ __typename }", Value::Null, &[("x-forwarded-for", chain)]).await
        };
        for last in 1..=3 {
            assert_eq!(from(&format!("192.0.2.{last}")).await.status(), 200);
        }
        refused(from("192.0.2.4").await).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_defaults_stop_a_guesser_and_nobody_else() {
    let app = TestApp::start_limited(Backend::Sqlite, &["--trusted-proxies=127.0.0.1"]).await;
    app.learner("Asha").await;
    // A guesser tries one password on many accounts, from one address. The budget of the address refills meanwhile, so
    // more than 60 guesses may pass.
    let mut guesses = 0;
    let last = loop {
        let answer = login(&app, &format!("nobody{guesses}"), "password", "192.0.2.1").await;
        if answer.status() != 200 {
            break answer;
        }
        assert_eq!(outcome(answer).await, "INVALID_CREDENTIALS", "{guesses}");
        guesses += 1;
    };
    refused(last).await;
    assert!((60..=90).contains(&guesses), "{guesses}");
    // Many guessers try a password on Asha's account, each from another address.
    for last in 0..20 {
        let answer = login(&app, "asha", "password", &format!("198.51.100.{last}")).await;
        assert_eq!(outcome(answer).await, "INVALID_CREDENTIALS", "{last}");
    }
    let wait = refused(login(&app, "asha", "password", "198.51.100.200").await).await;
    assert!((120..=180).contains(&wait), "{wait}");
    let before = app.row_counts().await;
    refused(login(&app, "ASHA", "correct horse battery", "198.51.100.201").await).await;
    assert_eq!(app.row_counts().await, before);
    // Asha registered from 127.0.0.1, so a right password from there is accepted.
    assert_eq!(outcome(login(&app, "asha", "correct horse battery", "").await).await, "Asha");
    // Sixty more sign-ins from the same address succeed, as a class would sign in at nine o'clock.
    for _ in 0..60 {
        assert_eq!(outcome(login(&app, "asha", "correct horse battery", "").await).await, "Asha");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_alias_in_a_document_is_an_attempt() {
    let flags = &["--sign-in-failures-per-hour=5"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        app.learner("Asha").await;
        app.execute("UPDATE users SET email = 'elsewhere@example.com'").await;
        app.execute("DELETE FROM sign_in_networks").await;
        let attempt = |number: usize| {
            format!(
                r#"a{number}: login(input: {{ email: "elsewhere@example.com", password: "guess {number}" }}) {{
                     userErrors {{ code }} }}"#
            )
        };
        let document =
            |count: usize| format!("mutation {{ {} }}", (0..count).map(attempt).collect::<Vec<_>>().join(" "));
        let within = send(&app, &document(4), Value::Null, &[]).await;
        assert_eq!(within.status(), 200);
        let body: Value = within.json().await.unwrap();
        assert_eq!(body["data"]["a3"]["userErrors"][0]["code"], "INVALID_CREDENTIALS");
        // One attempt is left in the budget, but the document contains two.
        refused(send(&app, &document(2), Value::Null, &[]).await).await;
        let right = json!({ "input": { "email": "elsewhere@example.com", "password": "correct horse battery" } });
        refused(send(&app, LOGIN, right, &[]).await).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_and_refreshing_are_attempts_too() {
    let flags = &["--sign-ins-per-minute=20"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let registered = app
            .anonymous()
            .run(
                r#"mutation { register(input: { name: "Asha", email: "asha@example.com", password: "correct horse" }) {
                     tokens { refreshToken } } }"#,
            )
            .await;
        let mut token = registered.text("/register/tokens/refreshToken").to_owned();
        const REFRESH: &str = "mutation ($token: String!) { refreshTokens(refreshToken: $token) {
            tokens { refreshToken } userErrors { code } } }";
        // Successful refreshes do not use the budget, so many tabs can stay signed in.
        for _ in 0..40 {
            let answer = app.anonymous().run_with(REFRESH, json!({ "token": token })).await;
            token = answer.text("/refreshTokens/tokens/refreshToken").to_owned();
        }
        for _ in 0..4 {
            let answer = app.anonymous().run_with(REFRESH, json!({ "token": "jrt_guess" })).await;
            assert_eq!(answer.text("/refreshTokens/userErrors/0/code"), "REFRESH_TOKEN_INVALID");
        }
        refused(send(&app, REFRESH, json!({ "token": "jrt_guess" }), &[]).await).await;
        let taken = r#"mutation { register(input: { name: "B", email: "asha@example.com", password: "other horse" }) {
            userErrors { code } } }"#;
        for _ in 0..4 {
            assert_eq!(app.anonymous().run(taken).await.text("/register/userErrors/0/code"), "EMAIL_TAKEN");
        }
        refused(send(&app, taken, Value::Null, &[]).await).await;
        // A valid refresh token uses neither the budget of refreshes nor that of registrations.
        let answer = app.anonymous().run_with(REFRESH, json!({ "token": token })).await;
        assert_ne!(answer.text("/refreshTokens/tokens/refreshToken"), token);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_operation_costs_too() {
    let flags = &["--address-cost-per-minute=60", "--trusted-proxies=127.0.0.1"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let post = async |address: &str, media: &str, token: Option<&str>, body: &'static str| {
            let request = app.http().post(app.url("/graphql")).header("x-forwarded-for", address);
            let request = request.header("content-type", media).body(body);
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            request.send().await.unwrap()
        };
        const JSON: &str = "application/json";
        let cases = [
            ("192.0.2.1", "text/plain", None, "{", 415),
            ("192.0.2.2", JSON, None, "{", 400),
            ("192.0.2.3", JSON, Some("guess"), r#"{"query":"{__typename}"}"#, 401),
        ];
        for (address, media, token, body, status) in cases {
            let mut answered = 0;
            let last = loop {
                let answer = post(address, media, token, body).await;
                if answer.status() != status || answered > 100 {
                    break answer;
                }
                answered += 1;
            };
            refused(last).await;
            // The budget of 60 refills while the test sends requests.
            assert!((60..=70).contains(&answered), "{answered}");
        }
        // The stranger has spent the budget of the address. A signed-in user at this address has a budget of their own.
        let asha = app.learner("Asha").await;
        let answer = post("192.0.2.3", JSON, Some(asha.token()), r#"{"query":"{viewer{name}}"}"#).await;
        assert_eq!(answer.status(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_do_not_multiply_the_budget_of_an_address() {
    let flags = &["--address-users-cost-per-minute=20", "--registrations-per-hour=3"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let mut answered = 0;
        let learners = [app.learner("Asha").await, app.learner("Ravi").await, app.learner("Mina").await];
        for learner in &learners {
            let bearer = format!("Bearer {}", learner.token());
            while answered < 100 {
                let asked = "{ viewer { name } }";
                let answer = send(&app, asked, Value::Null, &[("authorization", bearer.as_str())]).await;
                if answer.status() != 200 {
                    refused(answer).await;
                    break;
                }
                answered += 1;
            }
        }
        assert!((3..=22).contains(&answered), "{answered}");
        let one_more = r#"mutation { register(input: { name: "B", email: "b@example.com", password: "other horse" }) {
            userErrors { code } } }"#;
        let before = app.row_counts().await;
        let wait = refused(send(&app, one_more, Value::Null, &[]).await).await;
        assert!((1_100..=1_200).contains(&wait), "{wait}");
        assert_eq!(app.row_counts().await, before);
    })
    .await;
}

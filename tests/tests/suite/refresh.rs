//! Refresh tokens: exchanged once, returned again for a short while, and ended.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use jishu_service::account::erase_old;
use jishu_tests::{Answer, Backend, Client, TestApp, on_each_database};
use serde_json::{Value, json};

use crate::accounts::{REFRESH, asha, login, refresh, refused, register};

on_each_database!(
    two_tabs_that_refresh_at_once_stay_signed_in,
    a_client_whose_answer_was_lost_asks_again,
    a_used_token_after_its_window_ends_the_session,
    a_used_token_after_the_use_of_its_successor_ends_the_session,
    signing_out_ends_the_window_too,
    a_deactivated_user_gets_no_successor,
    a_refresh_token_ends,
    what_is_stored_gives_no_token_and_is_erased,
);

const INVALID: &str = "REFRESH_TOKEN_INVALID";

fn token(answer: &Answer) -> String {
    answer.text("/refreshTokens/tokens/refreshToken").to_owned()
}

async fn signed_in(app: &TestApp) -> String {
    register(app, asha()).await.text("/register/tokens/refreshToken").to_owned()
}

async fn stored(app: &TestApp) -> i64 {
    app.number(
        "SELECT COUNT(*) FROM refresh_tokens WHERE successor IS NOT NULL OR successor_until IS NOT NULL",
    )
    .await
}

async fn usable(app: &TestApp) -> i64 {
    app.number("SELECT COUNT(*) FROM refresh_tokens WHERE used_at IS NULL AND revoked_at IS NULL").await
}

async fn works(app: &TestApp, answer: &Answer) {
    let client = app.with_token(answer.text("/refreshTokens/tokens/accessToken"));
    assert_eq!(client.run("{ viewer { name } }").await.text("/viewer/name"), "Asha");
}

async fn two_tabs_that_refresh_at_once_stay_signed_in(app: Arc<TestApp>) {
    let first = signed_in(&app).await;
    let node = app.second_node().await;
    let tabs = [app.anonymous(), Client::new(app.http().clone(), node.url("/graphql"), None)];
    let answers =
        join_all((0..16).map(|tab| tabs[tab % 2].run_with(REFRESH, json!({ "token": first })))).await;
    let second = token(&answers[0]);
    for answer in &answers {
        assert_eq!(token(answer), second, "all get the same successor");
    }
    works(&app, &answers[0]).await;
    works(&app, &answers[15]).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM refresh_tokens").await, 2);
    assert_eq!(usable(&app).await, 1);
    // The session continues.
    let third = refresh(&app, &second).await;
    assert_ne!(token(&third), second);
    node.stop().await;
}

async fn a_client_whose_answer_was_lost_asks_again(app: Arc<TestApp>) {
    let first = signed_in(&app).await;
    let second = token(&refresh(&app, &first).await);
    app.clock.advance(TimeDelta::seconds(19));
    let again = refresh(&app, &first).await;
    assert_eq!(token(&again), second);
    works(&app, &again).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM refresh_tokens").await, 2);
    let third = refresh(&app, &second).await;
    assert_ne!(token(&third), second);
}

async fn a_used_token_after_its_window_ends_the_session(app: Arc<TestApp>) {
    let first = signed_in(&app).await;
    let other_session = login(&app, "asha@example.com", "correct horse").await;
    let second = token(&refresh(&app, &first).await);
    app.clock.advance(TimeDelta::seconds(20));
    refused(&refresh(&app, &first).await, "/refreshTokens", INVALID);
    refused(&refresh(&app, &second).await, "/refreshTokens", INVALID);
    // The other session is another family.
    let other = refresh(&app, other_session.text("/login/tokens/refreshToken")).await;
    assert_eq!(*other.at("/refreshTokens/userErrors"), json!([]));
    for nonsense in ["", "jrt_", "jrt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x"] {
        refused(&refresh(&app, nonsense).await, "/refreshTokens", INVALID);
    }
}

async fn a_used_token_after_the_use_of_its_successor_ends_the_session(app: Arc<TestApp>) {
    let first = signed_in(&app).await;
    let second = token(&refresh(&app, &first).await);
    let third = token(&refresh(&app, &second).await);
    assert_eq!(stored(&app).await, 1, "the successor that was used is erased");
    refused(&refresh(&app, &first).await, "/refreshTokens", INVALID);
    assert_eq!((usable(&app).await, stored(&app).await), (0, 0));
    for dead in [second, third] {
        refused(&refresh(&app, &dead).await, "/refreshTokens", INVALID);
    }
}

async fn signing_out_ends_the_window_too(app: Arc<TestApp>) {
    for everywhere in [false, true] {
        let email = format!("{everywhere}@example.com");
        let input = json!({ "name": "Asha", "email": email, "password": "correct horse" });
        let first = register(&app, input).await.text("/register/tokens/refreshToken").to_owned();
        let answer = refresh(&app, &first).await;
        let client = app.with_token(answer.text("/refreshTokens/tokens/accessToken"));
        let logout =
            "mutation ($everywhere: Boolean!) { logout(everywhere: $everywhere) { userErrors { code } } }";
        client.run_with(logout, json!({ "everywhere": everywhere })).await;
        assert_eq!(stored(&app).await, 0);
        for dead in [first, token(&answer)] {
            refused(&refresh(&app, &dead).await, "/refreshTokens", INVALID);
        }
    }
}

async fn a_deactivated_user_gets_no_successor(app: Arc<TestApp>) {
    let first = signed_in(&app).await;
    let second = token(&refresh(&app, &first).await);
    app.execute("UPDATE users SET status = 'deactivated'").await;
    for dead in [first, second] {
        refused(&refresh(&app, &dead).await, "/refreshTokens", INVALID);
    }
}

async fn a_refresh_token_ends(app: Arc<TestApp>) {
    let first = signed_in(&app).await;
    app.clock.advance(TimeDelta::days(30));
    refused(&refresh(&app, &first).await, "/refreshTokens", INVALID);
}

async fn what_is_stored_gives_no_token_and_is_erased(app: Arc<TestApp>) {
    let first = signed_in(&app).await;
    let second = token(&refresh(&app, &first).await);
    let readable = format!("SELECT COUNT(*) FROM refresh_tokens WHERE successor LIKE '%{}%'", &second[4..]);
    assert_eq!((app.number(&readable).await, stored(&app).await), (0, 1));
    app.clock.advance(TimeDelta::seconds(19));
    assert_eq!((erase_old(&app.services).await.unwrap(), stored(&app).await), (0, 1));
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!((erase_old(&app.services).await.unwrap(), stored(&app).await), (1, 0));
    let known = "SELECT COUNT(*) FROM sign_in_networks";
    assert_eq!(app.number(known).await, 1);
    app.clock.advance(TimeDelta::days(90));
    assert_eq!((erase_old(&app.services).await.unwrap(), app.number(known).await), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_window_a_used_token_ends_the_session_at_once() {
    TestApp::run_with(Backend::Sqlite, &["--refresh-reuse-seconds=0"], async |app| {
        let first = signed_in(&app).await;
        let second = token(&refresh(&app, &first).await);
        assert_eq!(stored(&app).await, 0);
        refused(&refresh(&app, &first).await, "/refreshTokens", INVALID);
        refused(&refresh(&app, &second).await, "/refreshTokens", INVALID);
        let answers = join_all((0..8).map(|_| refresh(&app, &second))).await;
        assert!(answers.iter().all(|answer| *answer.at("/refreshTokens/tokens") == Value::Null));
    })
    .await;
}

//! Refresh tokens: the exchange of a token for its successor, the short window in which a client can repeat the
//! exchange, and the end of a session.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use jishu_service::account::erase_old;
use jishu_tests::{Backend, Client, Registration, SignedIn, TestApp, on_each_database};
use serde_json::json;

use crate::accounts::registered;

on_each_database!(
    two_tabs_that_refresh_at_once_stay_signed_in,
    a_client_that_lost_a_response_asks_again,
    a_used_token_after_its_window_ends_the_session,
    a_used_token_after_the_use_of_its_successor_ends_the_session,
    signing_out_ends_the_window_too,
    a_deactivated_user_gets_no_successor,
    a_refresh_token_ends,
    stored_successors_reveal_no_token_and_are_erased,
);

const INVALID: &str = "REFRESH_TOKEN_INVALID";

async fn stored(app: &TestApp) -> i64 {
    app.number(
        "SELECT COUNT(*) FROM refresh_tokens WHERE successor IS NOT NULL OR successor_until IS NOT NULL",
    )
    .await
}

async fn usable(app: &TestApp) -> i64 {
    app.number("SELECT COUNT(*) FROM refresh_tokens WHERE used_at IS NULL AND revoked_at IS NULL").await
}

async fn works(app: &TestApp, answer: &SignedIn) {
    let client = app.with_token(answer.access_token());
    assert_eq!(client.run("{ viewer { name } }").await.text("/viewer/name"), "Asha");
}

async fn two_tabs_that_refresh_at_once_stay_signed_in(app: Arc<TestApp>) {
    let first = registered(&app).await;
    let node = app.second_node().await;
    let tabs = [app.anonymous(), Client::new(app.http().clone(), node.url("/graphql"), None)];
    let answers = join_all((0..16).map(|tab| tabs[tab % 2].refresh(&first))).await;
    let second = answers[0].refresh_token();
    for answer in &answers {
        assert_eq!(
            answer.refresh_token(),
            second,
            "two uses of a refresh token returned different successors"
        );
    }
    works(&app, &answers[0]).await;
    works(&app, &answers[15]).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM refresh_tokens").await, 2);
    assert_eq!(usable(&app).await, 1);
    // The session continues with the successor of the first refresh token.
    let third = app.anonymous().refresh(second).await;
    assert_ne!(third.refresh_token(), second);
    node.stop().await;
}

async fn a_client_that_lost_a_response_asks_again(app: Arc<TestApp>) {
    let first = registered(&app).await;
    let second = app.anonymous().refresh(&first).await.refresh_token().to_owned();
    app.clock.advance(TimeDelta::seconds(19));
    let again = app.anonymous().refresh(&first).await;
    assert_eq!(again.refresh_token(), second);
    works(&app, &again).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM refresh_tokens").await, 2);
    let third = app.anonymous().refresh(&second).await;
    assert_ne!(third.refresh_token(), second);
}

async fn a_used_token_after_its_window_ends_the_session(app: Arc<TestApp>) {
    let first = registered(&app).await;
    let other_session = app.anonymous().login("asha@example.com", "correct horse").await;
    let second = app.anonymous().refresh(&first).await.refresh_token().to_owned();
    app.clock.advance(TimeDelta::seconds(20));
    assert_eq!(app.anonymous().refresh(&first).await.refusal(), INVALID);
    assert_eq!(app.anonymous().refresh(&second).await.refusal(), INVALID);
    // The other session of the user has tokens of its own, and continues.
    let other = app.anonymous().refresh(other_session.refresh_token()).await;
    assert!(!other.is_refused());
    for nonsense in ["", "jrt_", "jrt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x"] {
        assert_eq!(app.anonymous().refresh(nonsense).await.refusal(), INVALID);
    }
}

async fn a_used_token_after_the_use_of_its_successor_ends_the_session(app: Arc<TestApp>) {
    let first = registered(&app).await;
    let second = app.anonymous().refresh(&first).await.refresh_token().to_owned();
    let third = app.anonymous().refresh(&second).await.refresh_token().to_owned();
    assert_eq!(stored(&app).await, 1, "the server still stores a successor that was used");
    assert_eq!(app.anonymous().refresh(&first).await.refusal(), INVALID);
    assert_eq!((usable(&app).await, stored(&app).await), (0, 0));
    for dead in [second, third] {
        assert_eq!(app.anonymous().refresh(&dead).await.refusal(), INVALID);
    }
}

async fn signing_out_ends_the_window_too(app: Arc<TestApp>) {
    for everywhere in [false, true] {
        let email = format!("{everywhere}@example.com");
        let input = Registration::new("Asha", &email, "correct horse");
        let first = app.anonymous().register(&input).await.refresh_token().to_owned();
        let answer = app.anonymous().refresh(&first).await;
        let client = app.with_token(answer.access_token());
        let logout =
            "mutation ($everywhere: Boolean!) { logout(everywhere: $everywhere) { userErrors { code } } }";
        client.run_with(logout, json!({ "everywhere": everywhere })).await;
        assert_eq!(stored(&app).await, 0);
        for dead in [first.as_str(), answer.refresh_token()] {
            assert_eq!(app.anonymous().refresh(dead).await.refusal(), INVALID);
        }
    }
}

async fn a_deactivated_user_gets_no_successor(app: Arc<TestApp>) {
    let first = registered(&app).await;
    let second = app.anonymous().refresh(&first).await.refresh_token().to_owned();
    app.execute("UPDATE users SET status = 'deactivated'").await;
    for dead in [first, second] {
        assert_eq!(app.anonymous().refresh(&dead).await.refusal(), INVALID);
    }
}

async fn a_refresh_token_ends(app: Arc<TestApp>) {
    let first = registered(&app).await;
    app.clock.advance(TimeDelta::days(30));
    assert_eq!(app.anonymous().refresh(&first).await.refusal(), INVALID);
}

async fn stored_successors_reveal_no_token_and_are_erased(app: Arc<TestApp>) {
    let first = registered(&app).await;
    let second = app.anonymous().refresh(&first).await.refresh_token().to_owned();
    let readable = format!("SELECT COUNT(*) FROM refresh_tokens WHERE successor LIKE '%{}%'", &second[4..]);
    assert_eq!((app.number(&readable).await, stored(&app).await), (0, 1));
    app.clock.advance(TimeDelta::seconds(19));
    assert_eq!((erase_old(&app.services).await.unwrap(), stored(&app).await), (0, 1));
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!((erase_old(&app.services).await.unwrap(), stored(&app).await), (1, 0));
    let known = "SELECT COUNT(*) FROM sign_in_networks";
    assert_eq!(app.number(known).await, 1);
    app.clock.advance(TimeDelta::days(90));
    // `erase_old` erases two rows: the network of the sign-in, and the link to verify the mail address.
    assert_eq!((erase_old(&app.services).await.unwrap(), app.number(known).await), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_window_a_used_token_ends_the_session_at_once() {
    TestApp::run_with(Backend::Sqlite, &["--refresh-reuse-seconds=0"], async |app| {
        let first = registered(&app).await;
        let second = app.anonymous().refresh(&first).await.refresh_token().to_owned();
        assert_eq!(stored(&app).await, 0);
        assert_eq!(app.anonymous().refresh(&first).await.refusal(), INVALID);
        assert_eq!(app.anonymous().refresh(&second).await.refusal(), INVALID);
        let answers = join_all((0..8).map(async |_| app.anonymous().refresh(&second).await)).await;
        assert!(answers.iter().all(|answer| answer.refusal() == INVALID));
    })
    .await;
}

//! Accounts: registering, signing in, staying signed in, signing out.

use std::sync::Arc;

use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::Viewer;
use jishu_tests::{Answer, TestApp, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    registering_signs_in,
    every_wrong_field_is_named_at_once,
    an_address_has_one_account_in_any_case,
    sixteen_registrations_of_one_address_make_one_account,
    signing_in_takes_the_right_password,
    an_unknown_address_and_a_wrong_password_are_answered_alike,
    signing_out_ends_the_session_or_all_of_them,
    names_that_cannot_be_read_are_refused,
    a_viewer_without_an_account_is_signed_out,
);

const REGISTER: &str = "mutation ($input: RegisterInput!) { register(input: $input) {
    user { id name email role createdAt } tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt }
    userErrors { code message path } } }";
pub(crate) const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) {
    user { name } tokens { accessToken refreshToken } userErrors { code message path } } }";
pub(crate) const REFRESH: &str = "mutation ($token: String!) { refreshTokens(refreshToken: $token) {
    user { name } tokens { accessToken refreshToken } userErrors { code message path } } }";

pub(crate) fn asha() -> Value {
    json!({ "name": " Asha ", "email": "Asha@Example.com", "password": "correct horse" })
}

pub(crate) async fn register(app: &TestApp, input: Value) -> Answer {
    app.anonymous().run_with(REGISTER, json!({ "input": input })).await
}

pub(crate) async fn login(app: &TestApp, email: &str, password: &str) -> Answer {
    app.anonymous().run_with(LOGIN, json!({ "input": { "email": email, "password": password } })).await
}

pub(crate) async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.anonymous().run_with(REFRESH, json!({ "token": token })).await
}

pub(crate) fn refused(answer: &Answer, field: &str, code: &str) {
    let payload = answer.at(field);
    assert_eq!((&payload["user"], &payload["tokens"]), (&Value::Null, &Value::Null));
    assert_eq!(payload["userErrors"][0]["code"], code, "{payload:#}");
}

async fn registering_signs_in(app: Arc<TestApp>) {
    let answer = register(&app, asha()).await;
    assert_eq!(*answer.at("/register/userErrors"), json!([]));
    let user = answer.at("/register/user");
    assert_eq!(
        (&user["name"], &user["email"], &user["role"]),
        (&json!("Asha"), &json!("asha@example.com"), &json!("LEARNER"))
    );
    let client = app.with_token(answer.text("/register/tokens/accessToken"));
    let viewer = client.run("{ viewer { id name email role createdAt } }").await;
    assert_eq!(viewer.at("/viewer"), user);
    assert_eq!(*app.anonymous().run("{ viewer { id } }").await.at("/viewer"), Value::Null);
    let hashes = "SELECT COUNT(*) FROM users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(app.number(hashes).await, 1);
    let kept = "SELECT COUNT(*) FROM refresh_tokens WHERE token_hash LIKE 'jrt%'";
    assert_eq!(app.number(kept).await, 0, "only the hash of a refresh token is kept");
}

async fn every_wrong_field_is_named_at_once(app: Arc<TestApp>) {
    let before = app.rows().await;
    let answer = register(&app, json!({ "name": " ", "email": "nobody", "password": "short" })).await;
    refused(&answer, "/register", "NAME_INVALID");
    let paths: Vec<_> =
        answer.list("/register/userErrors").iter().map(|error| error["path"].clone()).collect();
    assert_eq!(paths, [json!(["input", "name"]), json!(["input", "email"]), json!(["input", "password"])]);
    let long = json!({ "name": "Asha", "email": "a@example.com", "password": "x".repeat(1_025) });
    refused(&register(&app, long).await, "/register", "PASSWORD_INVALID");
    assert_eq!(app.rows().await, before);
}

async fn names_that_cannot_be_read_are_refused(app: Arc<TestApp>) {
    let before = app.rows().await;
    let input = |name: &str| json!({ "name": name, "email": "ali@example.com", "password": "correct horse" });
    for name in
        ["\u{200b}", "\u{3164}\u{200d}", "\u{202e}ahsA", "Asha\u{2066}", "A\u{61c}li", "Asha\u{7}", "\0"]
    {
        refused(&register(&app, input(name)).await, "/register", "NAME_INVALID");
    }
    assert_eq!(app.rows().await, before);
    let made = register(&app, input(" علی‌رضا ")).await;
    assert_eq!(made.text("/register/user/name"), "علی‌رضا");
}

async fn an_address_has_one_account_in_any_case(app: Arc<TestApp>) {
    register(&app, asha()).await;
    let before = app.rows().await;
    let again = json!({ "name": "Other", "email": "ASHA@EXAMPLE.COM", "password": "another password" });
    refused(&register(&app, again).await, "/register", "EMAIL_TAKEN");
    assert_eq!(app.rows().await, before);
    // Another letter is another address, whatever the database's collation thinks of accents.
    let accented = json!({ "name": "Other", "email": "àsha@example.com", "password": "another password" });
    assert_eq!(*register(&app, accented).await.at("/register/userErrors"), json!([]));
}

async fn sixteen_registrations_of_one_address_make_one_account(app: Arc<TestApp>) {
    let answers = futures_util::future::join_all((0..16).map(|_| register(&app, asha()))).await;
    let made = answers.iter().filter(|answer| *answer.at("/register/user") != Value::Null).count();
    assert_eq!(made, 1);
    for answer in answers.iter().filter(|answer| *answer.at("/register/user") == Value::Null) {
        refused(answer, "/register", "EMAIL_TAKEN");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
}

async fn signing_in_takes_the_right_password(app: Arc<TestApp>) {
    register(&app, asha()).await;
    let answer = login(&app, " ASHA@example.com", "correct horse").await;
    assert_eq!(answer.text("/login/user/name"), "Asha");
    let before = app.rows().await;
    for wrong in ["", "Correct horse", "correct horse ", &"x".repeat(100_000)] {
        refused(&login(&app, "asha@example.com", wrong).await, "/login", "INVALID_CREDENTIALS");
    }
    app.execute("UPDATE users SET status = 'deactivated'").await;
    refused(&login(&app, "asha@example.com", "correct horse").await, "/login", "INVALID_CREDENTIALS");
    assert_eq!(app.rows().await, before);
}

async fn an_unknown_address_and_a_wrong_password_are_answered_alike(app: Arc<TestApp>) {
    register(&app, asha()).await;
    let wrong = login(&app, "asha@example.com", "wrong password").await;
    let unknown = login(&app, "nobody@example.com", "wrong password").await;
    assert_eq!(wrong.body, unknown.body);
}

async fn signing_out_ends_the_session_or_all_of_them(app: Arc<TestApp>) {
    let phone = register(&app, asha()).await;
    let laptop = login(&app, "asha@example.com", "correct horse").await;
    let tablet = login(&app, "asha@example.com", "correct horse").await;
    let on_phone = app.with_token(phone.text("/register/tokens/accessToken"));
    on_phone.run("mutation { logout { userErrors { code } } }").await;
    refused(
        &refresh(&app, phone.text("/register/tokens/refreshToken")).await,
        "/refreshTokens",
        "REFRESH_TOKEN_INVALID",
    );
    let laptop = refresh(&app, laptop.text("/login/tokens/refreshToken")).await;
    let on_laptop = app.with_token(laptop.text("/refreshTokens/tokens/accessToken"));
    on_laptop.run("mutation { logout(everywhere: true) { userErrors { code } } }").await;
    refused(
        &refresh(&app, tablet.text("/login/tokens/refreshToken")).await,
        "/refreshTokens",
        "REFRESH_TOKEN_INVALID",
    );
    let (code, _) = app.anonymous().fail("mutation { logout { userErrors { code } } }", Value::Null).await;
    assert_eq!(code, "UNAUTHENTICATED");
}

async fn a_viewer_without_an_account_is_signed_out(app: Arc<TestApp>) {
    let nobody = Viewer { user_id: UserId(999_999), role: Role::Learner, session_id: uuid::Uuid::new_v4() };
    let now = jishu_service::clock::Clock::now(&*app.clock);
    let client = app.with_token(&app.services.tokens.issue(nobody, now).unwrap().token);
    let (code, _) = client.fail("{ viewer { name } }", Value::Null).await;
    assert_eq!(code, "UNAUTHENTICATED");
}

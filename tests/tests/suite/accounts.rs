//! Accounts: registration, sign-in, sessions and sign-out.

use std::sync::Arc;

use insta::{allow_duplicates, assert_json_snapshot};
use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::Viewer;
use jishu_tests::{Registration, TestApp, User, on_each_database};
use serde_json::Value;

on_each_database!(
    registering_signs_in,
    every_wrong_field_is_named_at_once,
    an_address_has_one_account_in_any_case,
    sixteen_registrations_of_one_address_make_one_account,
    signing_in_takes_the_right_password,
    an_unknown_address_and_a_wrong_password_get_the_same_response,
    signing_out_ends_the_session_or_all_of_them,
    names_that_cannot_be_read_are_refused,
    a_viewer_without_an_account_is_signed_out,
);

/// Returns the registration that most tests send. The spaces and capitals in it must be normalised by the server.
pub(crate) fn asha() -> Registration {
    Registration::new(" Asha ", "Asha@Example.com", "correct horse")
}

/// Registers [`asha`] and returns her refresh token.
pub(crate) async fn registered(app: &TestApp) -> String {
    app.anonymous().register(&asha()).await.refresh_token().to_owned()
}

async fn registering_signs_in(app: Arc<TestApp>) {
    let registered = app.anonymous().register(&asha()).await;
    let user = registered.user();
    assert_eq!((&*user.name, &*user.email, &*user.role), ("Asha", "asha@example.com", "LEARNER"));
    let client = app.with_token(registered.access_token());
    let viewer: User = client.run("{ viewer { id name email role createdAt } }").await.read("/viewer");
    assert_eq!(viewer, *user);
    assert_eq!(*app.anonymous().run("{ viewer { id } }").await.at("/viewer"), Value::Null);
    let hashes = "SELECT COUNT(*) FROM users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(app.number(hashes).await, 1);
    let kept = "SELECT COUNT(*) FROM refresh_tokens WHERE token_hash LIKE 'jrt%'";
    assert_eq!(app.number(kept).await, 0, "a refresh token is stored as it is");
}

async fn every_wrong_field_is_named_at_once(app: Arc<TestApp>) {
    let before = app.row_counts().await;
    let answer = app.anonymous().register(&Registration::new(" ", "nobody", "short")).await;
    // The test runs once for each database, so it asserts the same snapshot several times.
    allow_duplicates! {
        assert_json_snapshot!(answer.errors(), @r#"
        [
          {
            "code": "NAME_INVALID",
            "message": "Give a name of 1 to 200 characters, without control characters or invisible characters.",
            "path": [
              "input",
              "name"
            ]
          },
          {
            "code": "EMAIL_INVALID",
            "message": "Give an e-mail address such as name@example.com.",
            "path": [
              "input",
              "email"
            ]
          },
          {
            "code": "PASSWORD_INVALID",
            "message": "Choose a password of at least 8 characters.",
            "path": [
              "input",
              "password"
            ]
          }
        ]
        "#);
    }
    let long = Registration::new("Asha", "a@example.com", &"x".repeat(1_025));
    assert_eq!(app.anonymous().register(&long).await.refusal(), "PASSWORD_INVALID");
    assert_eq!(app.row_counts().await, before);
}

async fn names_that_cannot_be_read_are_refused(app: Arc<TestApp>) {
    let before = app.row_counts().await;
    let input = |name: &str| Registration::new(name, "ali@example.com", "correct horse");
    for name in
        ["\u{200b}", "\u{3164}\u{200d}", "\u{202e}ahsA", "Asha\u{2066}", "A\u{61c}li", "Asha\u{7}", "\0"]
    {
        assert_eq!(app.anonymous().register(&input(name)).await.refusal(), "NAME_INVALID");
    }
    assert_eq!(app.row_counts().await, before);
    let made = app.anonymous().register(&input(" علی‌رضا ")).await;
    assert_eq!(made.user().name, "علی‌رضا");
}

async fn an_address_has_one_account_in_any_case(app: Arc<TestApp>) {
    app.anonymous().register(&asha()).await;
    let before = app.row_counts().await;
    let again = Registration::new("Other", "ASHA@EXAMPLE.COM", "another password");
    assert_eq!(app.anonymous().register(&again).await.refusal(), "EMAIL_TAKEN");
    assert_eq!(app.row_counts().await, before);
    // An address with an accented letter is another address, even if the database's collation ignores accents.
    let accented = Registration::new("Other", "àsha@example.com", "another password");
    assert!(!app.anonymous().register(&accented).await.is_refused());
}

async fn sixteen_registrations_of_one_address_make_one_account(app: Arc<TestApp>) {
    let answers =
        futures_util::future::join_all((0..16).map(async |_| app.anonymous().register(&asha()).await)).await;
    let (refused, made): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.is_refused());
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|answer| answer.refusal() == "EMAIL_TAKEN"), "{refused:#?}");
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
}

async fn signing_in_takes_the_right_password(app: Arc<TestApp>) {
    app.anonymous().register(&asha()).await;
    let answer = app.anonymous().login(" ASHA@example.com", "correct horse").await;
    assert_eq!(answer.user().name, "Asha");
    let before = app.row_counts().await;
    for wrong in ["", "Correct horse", "correct horse ", &"x".repeat(100_000)] {
        assert_eq!(app.anonymous().login("asha@example.com", wrong).await.refusal(), "INVALID_CREDENTIALS");
    }
    app.execute("UPDATE users SET status = 'deactivated'").await;
    assert_eq!(
        app.anonymous().login("asha@example.com", "correct horse").await.refusal(),
        "INVALID_CREDENTIALS"
    );
    assert_eq!(app.row_counts().await, before);
}

async fn an_unknown_address_and_a_wrong_password_get_the_same_response(app: Arc<TestApp>) {
    app.anonymous().register(&asha()).await;
    let wrong = app.anonymous().login("asha@example.com", "wrong password").await;
    let unknown = app.anonymous().login("nobody@example.com", "wrong password").await;
    assert_eq!(wrong, unknown);
    assert_eq!(wrong.refusal(), "INVALID_CREDENTIALS");
}

async fn signing_out_ends_the_session_or_all_of_them(app: Arc<TestApp>) {
    let phone = app.anonymous().register(&asha()).await;
    let laptop = app.anonymous().login("asha@example.com", "correct horse").await;
    let tablet = app.anonymous().login("asha@example.com", "correct horse").await;
    let on_phone = app.with_token(phone.access_token());
    on_phone.run("mutation { logout { userErrors { code } } }").await;
    assert_eq!(app.anonymous().refresh(phone.refresh_token()).await.refusal(), "REFRESH_TOKEN_INVALID");
    let laptop = app.anonymous().refresh(laptop.refresh_token()).await;
    let on_laptop = app.with_token(laptop.access_token());
    on_laptop.run("mutation { logout(everywhere: true) { userErrors { code } } }").await;
    assert_eq!(app.anonymous().refresh(tablet.refresh_token()).await.refusal(), "REFRESH_TOKEN_INVALID");
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

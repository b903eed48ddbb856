//! Links in mails, which verify an address, set a new password, or move an account to another address. Also checks
//! password changes without a link.

mod mail_limits;
mod same_responses;

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_tests::{Client, GraphqlResponse, MailServer, TestApp, wait_until};
use serde_json::{Value, json};

use crate::mail::{
    CHANGE, CHANGE_REQUESTED, CHANGED, PASSWORD_CHANGED, RESET, VERIFY, register, with_mail_server,
};

with_mail_server!(&[];
    a_learner_verifies_resets_and_moves,
    a_link_works_once,
    links_that_do_not_work_change_nothing,
    a_new_password_needs_the_current_one,
    the_click_alone_gives_a_stranger_nothing,
    an_address_that_was_taken_meanwhile_stays_with_its_account,
    a_new_address_needs_the_password,
    no_token_is_stored_in_the_clear,
);

const ASHA: &str = "asha@example.com";

/// Sends `verifyEmail` without a sign-in, with the token of a link and the password that [`register`] sets.
async fn verify(app: &TestApp, token: &str) -> GraphqlResponse {
    verify_as(&app.anonymous(), token, Some("correct horse")).await
}

async fn verify_as(client: &Client, token: &str, password: Option<&str>) -> GraphqlResponse {
    let document =
        "mutation ($token: String!, $password: String) { verifyEmail(token: $token, password: $password) {
        user { email emailVerified } userErrors { code path } } }";
    client.run_with(document, json!({ "token": token, "password": password })).await
}

pub(crate) async fn request_reset(app: &TestApp, email: &str) -> GraphqlResponse {
    let document = "mutation ($email: String!) { requestPasswordReset(email: $email) {
        requested userErrors { code } } }";
    app.anonymous().run_with(document, json!({ "email": email })).await
}

pub(crate) async fn reset(app: &TestApp, token: &str, password: &str) -> GraphqlResponse {
    let document =
        "mutation ($token: String!, $password: String!) { resetPassword(token: $token, password: $password) {
        user { email emailVerified } tokens { accessToken refreshToken } userErrors { code path } } }";
    app.anonymous().run_with(document, json!({ "token": token, "password": password })).await
}

async fn update(client: &Client, input: Value) -> GraphqlResponse {
    let document = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) {
        user { name email emailVerified } userErrors { code path } } }";
    client.run_with(document, json!({ "input": input })).await
}

/// Returns the code of the first user error in the payload of a mutation field.
fn code<'a>(answer: &'a GraphqlResponse, field: &str) -> &'a str {
    answer.text(&format!("/{field}/userErrors/0/code"))
}

/// Returns what a refused link must not change: the row counts, and the address, password hash and verification of
/// each user.
async fn state(app: &TestApp) -> (Vec<(&'static str, i64)>, Vec<Vec<String>>) {
    let users = "SELECT email, password_hash, CASE WHEN email_verified_at IS NULL THEN 'no' ELSE 'yes' END FROM users ORDER BY id";
    (app.row_counts().await, jishu_tests::rows(app.connection(), users).await)
}

async fn a_learner_verifies_resets_and_moves(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let registered = register(&app, ASHA).await;
    let phone = app.with_token(registered.access_token());
    let viewer = phone.run("{ viewer { emailVerified } }").await;
    assert_eq!(*viewer.at("/viewer/emailVerified"), json!(false));
    // A client that is signed in to the account uses the link without the password.
    let verified = verify_as(&phone, mail.newest(ASHA, VERIFY).await.token(), None).await;
    assert_eq!(*verified.at("/verifyEmail/user"), json!({ "email": ASHA, "emailVerified": true }));

    request_reset(&app, " Asha@Example.com").await;
    let answer = reset(&app, mail.newest(ASHA, RESET).await.token(), "another horse").await;
    assert_eq!(*answer.at("/resetPassword/userErrors"), json!([]));
    mail.newest(ASHA, PASSWORD_CHANGED).await;
    let old_session = app.anonymous().refresh(registered.refresh_token()).await;
    assert_eq!(old_session.refusal(), "REFRESH_TOKEN_INVALID");
    assert_eq!(app.anonymous().login(ASHA, "correct horse").await.refusal(), "INVALID_CREDENTIALS");
    assert!(!app.anonymous().login(ASHA, "another horse").await.is_refused());

    let new_session = app.with_token(answer.text("/resetPassword/tokens/accessToken"));
    let input = json!({ "name": "Asha Rao", "email": "Rao@Example.com", "currentPassword": "another horse" });
    let updated = update(&new_session, input).await;
    let still = json!({ "name": "Asha Rao", "email": ASHA, "emailVerified": true });
    assert_eq!(*updated.at("/updateProfile/user"), still, "{:#}", updated.body);
    mail.newest(ASHA, CHANGE_REQUESTED).await;
    let link = mail.newest("rao@example.com", CHANGE).await.token().to_owned();
    // The link in the mail to the new address needs the password of the account. The link alone does not move the
    // account.
    for (password, refusal) in [(None, "PASSWORD_REQUIRED"), (Some("wrong horse"), "INVALID_CREDENTIALS")] {
        let refused = verify_as(&app.anonymous(), &link, password).await;
        assert_eq!(code(&refused, "verifyEmail"), refusal);
    }
    let moved = verify_as(&app.anonymous(), &link, Some("another horse")).await;
    assert_eq!(*moved.at("/verifyEmail/user"), json!({ "email": "rao@example.com", "emailVerified": true }));
    mail.newest(ASHA, CHANGED).await;
    assert!(!app.anonymous().login("rao@example.com", "another horse").await.is_refused());
    assert!(app.anonymous().login(ASHA, "another horse").await.is_refused());

    let actions = "SELECT action FROM audit_events WHERE action LIKE 'user.%' ORDER BY id";
    let actions: Vec<String> = jishu_tests::rows(app.connection(), actions).await.concat();
    assert_eq!(
        actions,
        [
            "user.registered",
            "user.email_verified",
            "user.password_reset",
            "user.renamed",
            "user.email_changed"
        ]
    );
}

async fn a_link_works_once(app: Arc<TestApp>, mail: Arc<MailServer>) {
    register(&app, ASHA).await;
    request_reset(&app, ASHA).await;
    let token = mail.newest(ASHA, RESET).await.token().to_owned();
    let passwords: Vec<_> = (0..6).map(|number| format!("another horse {number}")).collect();
    let answers =
        futures_util::future::join_all(passwords.iter().map(|password| reset(&app, &token, password))).await;
    let winners: Vec<_> = answers
        .iter()
        .zip(&passwords)
        .filter(|(answer, _)| answer.list("/resetPassword/userErrors").is_empty())
        .collect();
    assert_eq!(winners.len(), 1);
    assert!(!app.anonymous().login(ASHA, winners[0].1).await.is_refused());
    let token = mail.newest(ASHA, VERIFY).await.token().to_owned();
    // The password reset has verified the address. The older verification link still works, but only once.
    let verified = verify_as(&app.anonymous(), &token, Some(winners[0].1)).await;
    assert_eq!(*verified.at("/verifyEmail/userErrors"), json!([]));
    assert_eq!(code(&verify(&app, &token).await, "verifyEmail"), "LINK_INVALID");
}

async fn links_that_do_not_work_change_nothing(app: Arc<TestApp>, mail: Arc<MailServer>) {
    register(&app, ASHA).await;
    let verification = mail.newest(ASHA, VERIFY).await.token().to_owned();
    request_reset(&app, ASHA).await;
    let token = mail.newest(ASHA, RESET).await.token().to_owned();
    let before = state(&app).await;
    let made_up = format!("jlt_{}", "A".repeat(43));
    for wrong in ["", "\0", &made_up, &token[1..], &verification] {
        assert_eq!(code(&reset(&app, wrong, "another horse").await, "resetPassword"), "LINK_INVALID");
    }
    for wrong in ["", &made_up, &token] {
        assert_eq!(code(&verify(&app, wrong).await, "verifyEmail"), "LINK_INVALID");
    }
    // A password that is not allowed does not use up the link.
    let short = reset(&app, &token, "short").await;
    assert_eq!(code(&short, "resetPassword"), "PASSWORD_INVALID");
    assert_eq!(*short.at("/resetPassword/userErrors/0/path"), json!(["password"]));
    assert_eq!(code(&reset(&app, &token, ASHA).await, "resetPassword"), "PASSWORD_INVALID");
    app.clock.advance(TimeDelta::minutes(61));
    assert_eq!(code(&reset(&app, &token, "another horse").await, "resetPassword"), "LINK_INVALID");
    app.clock.advance(TimeDelta::hours(48));
    assert_eq!(code(&verify(&app, &verification).await, "verifyEmail"), "LINK_INVALID");
    assert_eq!(state(&app).await, before);
    request_reset(&app, ASHA).await;
    wait_until("another link", async || mail.mails_to(ASHA).len() == 3).await;
    let token = mail.newest(ASHA, RESET).await.token().to_owned();
    app.execute("UPDATE users SET status = 'deactivated'").await;
    assert_eq!(code(&reset(&app, &token, "another horse").await, "resetPassword"), "LINK_INVALID");
}

async fn a_new_password_needs_the_current_one(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let registered = register(&app, ASHA).await;
    let client = app.with_token(registered.access_token());
    let change = async |current: &str, password: &str| {
        let document = "mutation ($current: String!, $password: String!) {
            changePassword(current: $current, password: $password) {
                tokens { accessToken refreshToken } userErrors { code path } } }";
        client.run_with(document, json!({ "current": current, "password": password })).await
    };
    let before = state(&app).await;
    let wrong = change("wrong horse", "another horse").await;
    assert_eq!(
        *wrong.at("/changePassword/userErrors/0"),
        json!({ "code": "INVALID_CREDENTIALS", "path": ["current"] })
    );
    assert_eq!(code(&change("correct horse", "short").await, "changePassword"), "PASSWORD_INVALID");
    assert_eq!(state(&app).await, before);
    let changed = change("correct horse", "another horse").await;
    let token = changed.text("/changePassword/tokens/refreshToken");
    assert!(!app.anonymous().refresh(token).await.is_refused());
    assert!(app.anonymous().refresh(registered.refresh_token()).await.is_refused());
    assert!(!app.anonymous().login(ASHA, "another horse").await.is_refused());
    mail.newest(ASHA, PASSWORD_CHANGED).await;
}

async fn the_click_alone_gives_a_stranger_nothing(app: Arc<TestApp>, mail: Arc<MailServer>) {
    // A stranger registers with the address of Asha, who then opens the link.
    let stranger = register(&app, ASHA).await;
    let link = mail.newest(ASHA, VERIFY).await.token().to_owned();
    let binod = app.with_token(register(&app, "binod@example.com").await.access_token());
    let before = state(&app).await;
    for (client, password, refusal) in [
        (app.anonymous(), None, "PASSWORD_REQUIRED"),
        (binod, None, "PASSWORD_REQUIRED"),
        (app.anonymous(), Some("the password of asha"), "INVALID_CREDENTIALS"),
    ] {
        let refused = verify_as(&client, &link, password).await;
        assert_eq!(code(&refused, "verifyEmail"), refusal);
    }
    assert_eq!(state(&app).await, before);
    // Asha resets the password instead. The stranger's password and tokens no longer work.
    request_reset(&app, ASHA).await;
    let answer = reset(&app, mail.newest(ASHA, RESET).await.token(), "the password of asha").await;
    assert_eq!(*answer.at("/resetPassword/user/emailVerified"), json!(true));
    assert_eq!(app.anonymous().refresh(stranger.refresh_token()).await.refusal(), "REFRESH_TOKEN_INVALID");
    assert_eq!(app.anonymous().login(ASHA, "correct horse").await.refusal(), "INVALID_CREDENTIALS");
    let (code, message) =
        app.with_token(stranger.access_token()).fail("{ viewer { name } }", Value::Null).await;
    assert_eq!(code, "UNAUTHENTICATED");
    assert!(message.contains("session"), "{message}");
}

async fn an_address_that_was_taken_meanwhile_stays_with_its_account(
    app: Arc<TestApp>,
    mail: Arc<MailServer>,
) {
    let asha = app.with_token(register(&app, ASHA).await.access_token());
    let input = json!({ "email": "rao@example.com", "currentPassword": "correct horse" });
    update(&asha, input.clone()).await;
    let token = mail.newest("rao@example.com", CHANGE).await.token().to_owned();
    register(&app, "rao@example.com").await;
    let before = state(&app).await;
    assert_eq!(code(&verify(&app, &token).await, "verifyEmail"), "EMAIL_TAKEN");
    assert_eq!(code(&update(&asha, input).await, "updateProfile"), "EMAIL_TAKEN");
    assert_eq!(state(&app).await, before);
}

async fn a_new_address_needs_the_password(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let asha = app.with_token(register(&app, ASHA).await.access_token());
    mail.newest(ASHA, VERIFY).await;
    let before = state(&app).await;
    for (input, refusal) in [
        (json!({ "email": "rao@example.com" }), "INVALID_CREDENTIALS"),
        (json!({ "email": "rao@example.com", "currentPassword": "wrong horse" }), "INVALID_CREDENTIALS"),
        (json!({ "email": "rao", "currentPassword": "correct horse" }), "EMAIL_INVALID"),
        (json!({ "name": "\u{202e}" }), "NAME_INVALID"),
    ] {
        assert_eq!(code(&update(&asha, input).await, "updateProfile"), refusal);
    }
    let same = update(&asha, json!({ "email": ASHA, "name": "Asha" })).await;
    assert_eq!(*same.at("/updateProfile/userErrors"), json!([]));
    assert_eq!(state(&app).await, before);
    assert_eq!(mail.mails().len(), 1);
    // A link for a new password, sent to the old address, does not work after the address has changed.
    request_reset(&app, ASHA).await;
    let token = mail.newest(ASHA, RESET).await.token().to_owned();
    update(&asha, json!({ "email": "rao@example.com", "currentPassword": "correct horse" })).await;
    verify(&app, mail.newest("rao@example.com", CHANGE).await.token()).await;
    assert_eq!(code(&reset(&app, &token, "another horse").await, "resetPassword"), "LINK_INVALID");
}

async fn no_token_is_stored_in_the_clear(app: Arc<TestApp>, mail: Arc<MailServer>) {
    // The mail server does not respond, so the mail with its link stays in the outbox.
    mail.set_mode(jishu_tests::MailServerMode::Hang);
    register(&app, ASHA).await;
    let waiting = "SELECT payload FROM outbox WHERE payload IS NOT NULL";
    let payloads = jishu_tests::rows(app.connection(), waiting).await.concat();
    assert_eq!(payloads.len(), 1);
    assert!(!payloads[0].contains("jlt_") && !payloads[0].contains("asha") && !payloads[0].contains('{'));
    let links = jishu_tests::rows(app.connection(), "SELECT token_hash FROM account_links").await.concat();
    assert!(links.iter().all(|hash| hash.len() == 64 && !hash.contains("jlt_")), "{links:?}");
    let errors = "SELECT COUNT(*) FROM outbox WHERE last_error LIKE '%asha%'";
    mail.set_mode(jishu_tests::MailServerMode::Refuse(550));
    app.clock.advance(TimeDelta::hours(2));
    wait_until("the mail is refused", async || crate::mail::count(&app, "dead").await == 1).await;
    assert_eq!(app.number(errors).await, 0, "an error that the outbox stores contains the address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_sent_again_until_the_address_is_verified() {
    crate::mail::run(jishu_tests::Backend::Sqlite, &[], async |app, mail| {
        let asha = app.with_token(register(&app, ASHA).await.access_token());
        let again = "mutation { resendVerification { requested userErrors { code } } }";
        asha.run(again).await;
        wait_until("two mails", async || mail.mails_to(ASHA).len() == 2).await;
        verify(&app, mail.mails_to(ASHA)[0].token()).await;
        let refused = asha.run(again).await;
        assert_eq!(code(&refused, "resendVerification"), "EMAIL_ALREADY_VERIFIED");
        let (code, _) = app.anonymous().fail(again, Value::Null).await;
        assert_eq!(code, "UNAUTHENTICATED");
    })
    .await;
}

//! The first sign-in at an issuer of a user with a second factor. Only a right code links the identity to the account.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use jishu_service::account::SignInOutcome;
use jishu_service::clock::Clock;
use jishu_tests::{Client, MailServer, TestApp};
use serde_json::json;

use super::issuer::Issuer;
use super::{ASHA, PASSWORD, asha, is_signed_in, next_code, refusal};
use crate::mail::{CHANGE, register, with_mail_server};
use crate::personal_data::send;

with_mail_server!(&[];
    a_right_code_links_the_identity,
    a_challenge_that_ends_links_nothing,
    right_codes_at_once_link_the_identity_once,
    an_identity_that_another_account_took_meanwhile_stays_there,
    two_accounts_cannot_take_one_identity_at_once,
    a_new_address_ends_the_challenges_that_would_link,
    an_older_sign_in_does_not_link_a_removed_identity_again,
);

const BINOD: &str = "binod@example.com";
const NEW_ADDRESS: &str = "rao@example.com";
const SUBJECT: &str = "24400320";
const IDENTITY_LINKED: &str = "Another way to sign in was added";

/// Registers Binod with a verified address, and returns his client.
async fn binod(app: &TestApp) -> Client {
    let registered = register(app, BINOD).await;
    app.execute("UPDATE users SET email_verified_at = created_at").await;
    app.with_token(registered.access_token())
}

/// Counts the linked identities, the audit events about links, and the mails about links.
async fn links(app: &TestApp) -> [i64; 3] {
    let count = async |rows: &str| app.number(&format!("SELECT COUNT(*) FROM {rows}")).await;
    [
        count("oidc_identities").await,
        count("audit_events WHERE action = 'user.identity_linked'").await,
        count("outbox WHERE kind = 'identity_linked'").await,
    ]
}

/// Returns the address of the account and the subject of each linked identity.
async fn identities(app: &TestApp) -> Vec<Vec<String>> {
    let text = "SELECT u.email, i.subject FROM oidc_identities i JOIN users u ON u.id = i.user_id";
    jishu_tests::rows(app.connection(), text).await
}

async fn used_recovery_codes(app: &TestApp) -> i64 {
    app.number("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL").await
}

async fn a_right_code_links_the_identity(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let issuer = Issuer::start(&app).await;
    let client = asha(&app).await;
    let (phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    next_code(&app);
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    let other = issuer.challenge(&app, SUBJECT, ASHA).await;
    assert_eq!(links(&app).await, [0, 0, 0]);
    let wrong = app.anonymous().complete_login(&challenge, "code", "12345").await;
    assert_eq!(refusal(&wrong), "SECOND_FACTOR_CODE_INVALID");
    assert_eq!(links(&app).await, [0, 0, 0]);

    let completed = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    assert!(is_signed_in(&completed), "{completed}");
    assert_eq!(links(&app).await, [1, 1, 1]);
    assert_eq!(identities(&app).await, [[ASHA, SUBJECT]]);
    mail.newest(ASHA, IDENTITY_LINKED).await;

    // The second challenge finds the link of the first one. A later sign-in finds the account by the identity, so its
    // challenge has nothing to link.
    let later = issuer.challenge(&app, SUBJECT, NEW_ADDRESS).await;
    for (challenge, code) in [(other, &codes[0]), (later, &codes[1])] {
        let completed = app.anonymous().complete_login(&challenge, "recoveryCode", code).await;
        assert!(is_signed_in(&completed), "{completed}");
    }
    assert_eq!(links(&app).await, [1, 1, 1]);
    let pending = "SELECT COUNT(*) FROM sign_in_challenges WHERE pending_subject IS NOT NULL";
    assert_eq!(app.number(pending).await, 2);
}

async fn a_challenge_that_ends_links_nothing(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let issuer = Issuer::start(&app).await;
    let client = asha(&app).await;
    let (phone, _codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    next_code(&app);
    // A challenge ends after five wrong codes, when the user changes the password, and after five minutes.
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    for _ in 0..5 {
        let wrong = app.anonymous().complete_login(&challenge, "code", "12345").await;
        assert_eq!(refusal(&wrong), "SECOND_FACTOR_CODE_INVALID");
    }
    let refused = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    let change = "mutation { changePassword(current: \"correct horse\", password: \"another horse\") {
        tokens { accessToken } userErrors { code } } }";
    client.run(change).await;
    let refused = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    app.clock.advance(TimeDelta::minutes(5));
    let refused = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    assert_eq!(links(&app).await, [0, 0, 0]);

    // The next sign-in at the issuer can still link the identity.
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    let completed = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    assert!(is_signed_in(&completed), "{completed}");
    assert_eq!(links(&app).await, [1, 1, 1]);
}

async fn right_codes_at_once_link_the_identity_once(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let issuer = Issuer::start(&app).await;
    let client = asha(&app).await;
    let (_phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let challenges = join_all((0..4).map(async |_| issuer.challenge(&app, SUBJECT, ASHA).await)).await;
    let answers = join_all(challenges.iter().zip(&codes).map(async |(challenge, code)| {
        app.anonymous().complete_login(challenge, "recoveryCode", code).await
    }))
    .await;
    assert!(answers.iter().all(is_signed_in), "{answers:?}");
    assert_eq!(links(&app).await, [1, 1, 1]);
}

async fn an_identity_that_another_account_took_meanwhile_stays_there(
    app: Arc<TestApp>,
    mail: Arc<MailServer>,
) {
    let issuer = Issuer::start(&app).await;
    let client = asha(&app).await;
    binod(&app).await;
    let (_phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    // The person has another address at the issuer now. Binod's account has no second factor, so the sign-in links the
    // identity at once.
    let outcome = issuer.sign_in(&app, SUBJECT, BINOD).await;
    assert!(matches!(outcome, SignInOutcome::SignedIn(_)), "{outcome:?}");
    assert_eq!(links(&app).await, [1, 1, 1]);
    mail.newest(BINOD, IDENTITY_LINKED).await;

    // The refusal writes nothing and uses up no recovery code, but it ends the challenge.
    let before = app.row_counts().await;
    for expected in ["OIDC_IDENTITY_TAKEN", "CHALLENGE_INVALID"] {
        let refused = app.anonymous().complete_login(&challenge, "recoveryCode", &codes[0]).await;
        assert_eq!(refusal(&refused), expected);
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(used_recovery_codes(&app).await, 0);
    assert_eq!(identities(&app).await, [[BINOD, SUBJECT]]);
    // As the message says, the person signs in again. This opens the account that has the identity.
    let SignInOutcome::SignedIn(signed_in) = issuer.sign_in(&app, SUBJECT, ASHA).await else {
        panic!("the sign-in waits for a second factor");
    };
    assert_eq!(signed_in.user.email, BINOD);
}

async fn two_accounts_cannot_take_one_identity_at_once(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let issuer = Issuer::start(&app).await;
    let (asha, binod) = (asha(&app).await, binod(&app).await);
    let (_phone, of_asha) = asha.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let (_phone, of_binod) = binod.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let first = issuer.challenge(&app, SUBJECT, ASHA).await;
    let second = issuer.challenge(&app, SUBJECT, BINOD).await;
    let anonymous = app.anonymous();
    let (first, second) = join(
        anonymous.complete_login(&first, "recoveryCode", &of_asha[0]),
        anonymous.complete_login(&second, "recoveryCode", &of_binod[0]),
    )
    .await;
    let (winner, loser) = if is_signed_in(&first) { (first, second) } else { (second, first) };
    assert!(is_signed_in(&winner), "{winner}");
    assert_eq!(refusal(&loser), "OIDC_IDENTITY_TAKEN");
    assert_eq!(links(&app).await, [1, 1, 1]);
    assert_eq!(used_recovery_codes(&app).await, 1);
}

async fn a_new_address_ends_the_challenges_that_would_link(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let issuer = Issuer::start(&app).await;
    let client = asha(&app).await;
    let (_phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    let by_password = app.anonymous().challenge(ASHA, PASSWORD).await;
    let input = format!("(input: {{ email: \"{NEW_ADDRESS}\", currentPassword: \"{PASSWORD}\" }})");
    send(&client, "updateProfile", &input, "user { email }").await;
    let token = format!("(token: \"{}\")", mail.newest(NEW_ADDRESS, CHANGE).await.token());
    let moved = send(&client, "verifyEmail", &token, "user { email }").await;
    assert_eq!(moved["user"]["email"], NEW_ADDRESS, "{moved}");

    let refused = app.anonymous().complete_login(&challenge, "recoveryCode", &codes[0]).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    assert_eq!(used_recovery_codes(&app).await, 0);
    // A challenge that links nothing still works.
    let completed = app.anonymous().complete_login(&by_password, "recoveryCode", &codes[0]).await;
    assert!(is_signed_in(&completed), "{completed}");
    assert_eq!(links(&app).await, [0, 0, 0]);
}

async fn an_older_sign_in_does_not_link_a_removed_identity_again(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let issuer = Issuer::start(&app).await;
    let client = asha(&app).await;
    let (_phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let challenge = issuer.challenge(&app, SUBJECT, ASHA).await;
    let older = issuer.challenge(&app, SUBJECT, ASHA).await;
    let completed = app.anonymous().complete_login(&challenge, "recoveryCode", &codes[0]).await;
    assert!(is_signed_in(&completed), "{completed}");
    assert_eq!(links(&app).await, [1, 1, 1]);
    let linked = client.run("{ viewer { linkedIdentities { id } } }").await;
    let id = format!("(id: \"{}\")", linked.text("/viewer/linkedIdentities/0/id"));
    let removed = send(&client, "unlinkOidcIdentity", &id, "identities { id }").await;
    assert_eq!(removed, json!({ "identities": [], "userErrors": [] }));

    let refused = app.anonymous().complete_login(&older, "recoveryCode", &codes[1]).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    assert_eq!(used_recovery_codes(&app).await, 1);
    assert_eq!(links(&app).await, [0, 1, 1]);
    // A sign-in that begins later can link the identity again.
    let newer = issuer.challenge(&app, SUBJECT, ASHA).await;
    let completed = app.anonymous().complete_login(&newer, "recoveryCode", &codes[1]).await;
    assert!(is_signed_in(&completed), "{completed}");
    assert_eq!(links(&app).await, [1, 2, 2]);
}

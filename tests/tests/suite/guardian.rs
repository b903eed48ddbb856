//! The consent of guardians.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::user::Role;
use jishu_tests::{Client, MailServer, TestApp};
use serde_json::{Value, json};

use crate::account_links::{request_reset, reset};
use crate::mail::{ACCOUNT_DELETED, GUARDIAN_CONSENT, GUARDIAN_CONSENTED, RESET, with_mail_server};
use crate::personal_data::{World, consent_of, register, send};

with_mail_server!(&["--minimum-age-without-consent=18"];
    a_minor_needs_a_consent_that_the_guardian_can_revoke,
    a_guardian_has_the_account_deleted,
    an_account_without_a_year_is_asked_at_the_next_purchase,
    links_of_guardians_work_once,
    a_guardian_whom_a_stranger_named_has_no_power_over_the_owner,
);

mod by_default {
    use super::nobody_is_asked_by_default;

    jishu_tests::on_each_database!(nobody_is_asked_by_default);
}

const ASHA: &str = "asha@example.com";
const GUARDIAN: &str = "parent@example.com";

/// Returns the code of the first user error of a payload. Panics if the payload has no user error.
fn code(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or_else(|| panic!("no error: {payload}"))
}

async fn status(learner: &Client) -> String {
    learner
        .run("{ viewer { guardianConsent { status } } }")
        .await
        .text("/viewer/guardianConsent/status")
        .to_owned()
}

async fn ask(learner: &Client, guardian: &str) -> Value {
    send(learner, "requestGuardianConsent", &format!("(guardianEmail: \"{guardian}\")"), "done").await
}

async fn revoke(app: &TestApp, token: &str, more: &str) -> Value {
    let arguments = format!("(token: \"{token}\"{more})");
    send(&app.anonymous(), "revokeGuardianConsent", &arguments, "revoked accountDeleted").await
}

async fn a_minor_needs_a_consent_that_the_guardian_can_revoke(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let world = World::new(&app).await;
    let learner = register(&app, ASHA, 2015).await;
    let before = app.row_counts().await;
    let refused = learner.buy(world.course.subject(0)).await;
    assert_eq!(refused.refusal().code, "GUARDIAN_CONSENT_REQUIRED");
    assert_eq!(app.row_counts().await, before);
    assert_eq!(status(&learner).await, "MISSING");
    for address in [ASHA, "nonsense"] {
        assert_eq!(code(&ask(&learner, address).await), "EMAIL_INVALID");
    }
    consent_of(&learner, &app.anonymous(), &mail, GUARDIAN).await;
    let asked = mail.newest(GUARDIAN, GUARDIAN_CONSENT).await;
    assert!(
        asked.text.contains(ASHA),
        "the mail does not tell the guardian whose account it is: {}",
        asked.text
    );
    assert_eq!(status(&learner).await, "GIVEN");
    assert_eq!(code(&ask(&learner, GUARDIAN).await), "GUARDIAN_CONSENT_NOT_NEEDED");
    let bought = learner.buy(world.course.subject(0)).await;
    let cards: Vec<String> = bought.cards().edges.iter().map(|edge| edge.node.id.clone()).collect();
    let open = learner.start_session(&cards[0]).await;

    let token = mail.newest(GUARDIAN, GUARDIAN_CONSENTED).await.token().to_owned();
    assert_eq!(code(&revoke(&app, "jlt_nonsense", "").await), "LINK_INVALID");
    for _ in 0..2 {
        let revoked = revoke(&app, &token, "").await;
        assert_eq!(revoked, json!({ "revoked": true, "accountDeleted": false, "userErrors": [] }));
    }
    assert_eq!(status(&learner).await, "REVOKED");
    assert_eq!(learner.buy(world.course.subject(1)).await.refusal().code, "GUARDIAN_CONSENT_REQUIRED");
    assert_eq!(learner.start_session(&cards[1]).await.error().code, "GUARDIAN_CONSENT_REQUIRED");
    // The revoked consent does not end the open sitting. The learner resumes and submits it.
    assert_eq!(learner.start_session(&cards[0]).await.id(), open.id());
    assert_eq!(learner.submit_session(open.id(), None).await.session().status, "SUBMITTED");
    // After the revocation, the learner cannot ask another guardian. The same guardian can consent again with a new
    // link.
    assert_eq!(code(&ask(&learner, "friend@example.com").await), "GUARDIAN_CONSENT_REVOKED");
    consent_of(&learner, &app.anonymous(), &mail, GUARDIAN).await;
    let _ = learner.buy(world.course.subject(1)).await.purchase();
    let events = "SELECT action FROM audit_events WHERE action LIKE 'guardian.%' ORDER BY id";
    let events = jishu_tests::rows(app.connection(), events).await.concat();
    let expected =
        ["asked", "consented", "revoked", "asked", "consented"].map(|name| format!("guardian.{name}"));
    assert_eq!(events, expected);

    // A learner who was born in 2015 is of age from the first day of 2034. Then no consent is needed, and the
    // guardian's link no longer works.
    app.clock.advance(TimeDelta::days(366 * 8));
    assert_eq!(learner_after(&app).await, "NOT_NEEDED");
    let token = mail.newest(GUARDIAN, GUARDIAN_CONSENTED).await.token().to_owned();
    assert_eq!(code(&revoke(&app, &token, ", deleteAccount: true").await), "LINK_INVALID");
}

/// A stranger registers the address of the owner, and has a friend consent. The owner then takes the account over by a
/// new password.
async fn a_guardian_whom_a_stranger_named_has_no_power_over_the_owner(
    app: Arc<TestApp>,
    mail: Arc<MailServer>,
) {
    let stranger = register(&app, ASHA, 2015).await;
    consent_of(&stranger, &app.anonymous(), &mail, GUARDIAN).await;
    app.execute("UPDATE users SET email_verified_at = NULL").await;
    let before = app.row_counts().await;
    assert_eq!(code(&ask(&stranger, GUARDIAN).await), "EMAIL_NOT_VERIFIED");
    assert_eq!(app.row_counts().await, before);
    let revocation = mail.newest(GUARDIAN, GUARDIAN_CONSENTED).await.token().to_owned();
    request_reset(&app, ASHA).await;
    let link = mail.newest(ASHA, RESET).await;
    let taken = reset(&app, link.token(), "another horse").await;
    let owner = app.with_token(taken.text("/resetPassword/tokens/accessToken"));
    assert_eq!(status(&owner).await, "MISSING");
    assert_eq!(code(&revoke(&app, &revocation, ", deleteAccount: true").await), "LINK_INVALID");
    consent_of(&owner, &app.anonymous(), &mail, GUARDIAN).await;
    assert_eq!(status(&owner).await, "GIVEN");
}

/// Signs the learner in again, because the old token has expired. Returns the status of the guardian's consent.
async fn learner_after(app: &TestApp) -> String {
    let token = app.anonymous().login(ASHA, "correct horse battery").await.access_token().to_owned();
    status(&app.with_token(&token)).await
}

async fn a_guardian_has_the_account_deleted(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let learner = register(&app, ASHA, 2015).await;
    consent_of(&learner, &app.anonymous(), &mail, GUARDIAN).await;
    let token = mail.newest(GUARDIAN, GUARDIAN_CONSENTED).await.token().to_owned();
    let deleted = revoke(&app, &token, ", deleteAccount: true").await;
    assert_eq!(deleted, json!({ "revoked": true, "accountDeleted": true, "userErrors": [] }));
    mail.newest(ASHA, ACCOUNT_DELETED).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM guardian_consents").await, 0);
    assert_eq!(learner.fail("{ viewer { name } }", Value::Null).await.0, "UNAUTHENTICATED");
    assert_eq!(code(&revoke(&app, &token, "").await), "LINK_INVALID");
}

async fn an_account_without_a_year_is_asked_at_the_next_purchase(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let world = World::new(&app).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let buy = async || learner.buy(world.course.subject(0)).await;
    let refused = buy().await;
    let error = refused.refusal();
    assert_eq!(error.code, "BIRTH_YEAR_REQUIRED");
    assert!(error.message.contains("updateProfile"), "{}", error.message);
    assert_eq!(status(&learner).await, "BIRTH_YEAR_MISSING");
    assert_eq!(code(&ask(&learner, GUARDIAN).await), "BIRTH_YEAR_REQUIRED");
    let year = async |year: i32| {
        let arguments = format!("(input: {{ birthYear: {year} }})");
        send(&learner, "updateProfile", &arguments, "user { birthYear }").await
    };
    for wrong in [1899, 2100] {
        assert_eq!(code(&year(wrong).await), "BIRTH_YEAR_INVALID");
    }
    assert_eq!(year(1990).await["user"]["birthYear"], 1990);
    assert_eq!(year(1990).await["userErrors"], json!([]), "the same year was refused the second time");
    assert_eq!(code(&year(1980).await), "BIRTH_YEAR_FIXED");
    assert_eq!(code(&ask(&learner, GUARDIAN).await), "GUARDIAN_CONSENT_NOT_NEEDED");
    let _ = buy().await.purchase();
    // Staff can grant a purchase to a minor without a consent. The minor cannot start a sitting of it without a
    // consent.
    let minor = register(&app, "minor@example.com", 2015).await;
    let user = minor.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let granted = format!(
        "mutation {{ grantPurchase(input: {{ userId: \"{user}\", reason: \"A prize\", selection: {{ courseId: \"{}\", \
         purchaseType: SINGLE_SUBJECT, subjectIds: [\"{}\"] }} }}) {{ testCards(first: 1) {{ edges {{ node {{ id }} }} }} }} }}",
        world.course.id, world.course.subjects[0]
    );
    let granted = world.support.run(&granted).await;
    let card = granted.text("/grantPurchase/testCards/edges/0/node/id").to_owned();
    assert_eq!(minor.start_session(&card).await.error().code, "GUARDIAN_CONSENT_REQUIRED");
}

async fn links_of_guardians_work_once(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let learner = register(&app, ASHA, 2015).await;
    assert_eq!(ask(&learner, "first@example.com").await["done"], true);
    let first = mail.newest("first@example.com", GUARDIAN_CONSENT).await.token().to_owned();
    assert_eq!(ask(&learner, GUARDIAN).await["done"], true);
    assert_eq!(status(&learner).await, "REQUESTED");
    let token = mail.newest(GUARDIAN, GUARDIAN_CONSENT).await.token().to_owned();
    let give = async |token: &str| {
        send(&app.anonymous(), "giveGuardianConsent", &format!("(token: \"{token}\")"), "done").await
    };
    assert_eq!(
        code(&give(&first).await),
        "LINK_INVALID",
        "the link works although another guardian was asked since"
    );
    assert_eq!(code(&give("").await), "LINK_INVALID");
    let (one, other) = tokio::join!(give(&token), give(&token));
    assert_eq!([one, other].iter().filter(|given| given["done"] == true).count(), 1);
    // The link for a consent cannot set a new password.
    let reset = format!("(token: \"{token}\", password: \"another horse\")");
    assert_eq!(code(&send(&app.anonymous(), "resetPassword", &reset, "user { id }").await), "LINK_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_uses_up_no_mail() {
    let flags = ["--minimum-age-without-consent=18", "--mails-per-receiver-per-hour=1"];
    crate::mail::run(jishu_tests::Backend::Sqlite, &flags, async |app, mail| {
        let learner = register(&app, ASHA, 2015).await;
        app.execute("UPDATE users SET email_verified_at = NULL").await;
        for _ in 0..2 {
            assert_eq!(code(&ask(&learner, GUARDIAN).await), "EMAIL_NOT_VERIFIED");
        }
        app.execute("UPDATE users SET email_verified_at = created_at").await;
        // This request uses up the only mail of the guardian. A refused request still gets its own code.
        consent_of(&learner, &app.anonymous(), &mail, GUARDIAN).await;
        assert_eq!(code(&ask(&learner, GUARDIAN).await), "GUARDIAN_CONSENT_NOT_NEEDED");
        let token = mail.newest(GUARDIAN, GUARDIAN_CONSENTED).await.token().to_owned();
        assert_eq!(revoke(&app, &token, "").await["revoked"], true);
        for _ in 0..2 {
            assert_eq!(code(&ask(&learner, "friend@example.com").await), "GUARDIAN_CONSENT_REVOKED");
        }
    })
    .await;
}

async fn nobody_is_asked_by_default(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let learner = app.learner("Asha").await;
    let _ = learner.buy(world.course.subject(0)).await.purchase();
    assert_eq!(status(&learner).await, "NOT_NEEDED");
    assert_eq!(code(&ask(&learner, GUARDIAN).await), "GUARDIAN_CONSENT_NOT_NEEDED");
}

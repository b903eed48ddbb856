//! Second factors of staff: the flag that requires them, and their reset by an admin.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::user::Role;
use jishu_service::account::{self, Registration};
use jishu_service::clock::Clock;
use jishu_tests::{Client, MailServer, TestApp};
use serde_json::{Value, json};

use super::{PASSWORD, refusal};
use crate::mail::with_mail_server;
use crate::roles::guarded_fields;

with_mail_server!(&["--require-staff-second-factor"];
    staff_without_a_factor_may_only_set_it_up,
    an_admin_resets_the_factor_of_another,
);

const RESET_FACTOR: &str = "mutation ($user: ID!) { resetSecondFactor(userId: $user) {
    user { name } userErrors { code path } } }";

/// Makes a member of staff with a verified address, and signs in. Returns the client and the address.
async fn staff(app: &TestApp, name: &str, role: Role) -> (Client, String) {
    let email = format!("{}@example.com", name.to_lowercase());
    let registration = Registration {
        name: name.to_owned(),
        email: email.clone(),
        password: PASSWORD.to_owned(),
        role,
        birth_year: None,
    };
    account::create(&app.services, registration).await.unwrap();
    (app.with_token(app.anonymous().login(&email, PASSWORD).await.access_token()), email)
}

async fn staff_without_a_factor_may_only_set_it_up(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let (admin, email) = staff(&app, "Ada", Role::Admin).await;
    for field in guarded_fields() {
        let answer = admin.send(&field.document, Value::Null).await;
        let error = &answer.body["errors"][0];
        assert_eq!(
            error["extensions"]["code"], "SECOND_FACTOR_REQUIRED",
            "{}: {:#}",
            field.name, answer.body
        );
        assert!(error["message"].as_str().unwrap().contains("beginTwoFactor"), "{error}");
    }
    // A learner gets the code `FORBIDDEN`, not `SECOND_FACTOR_REQUIRED`. Staff without a second factor can still read
    // their own data.
    let learner = app.learner("Asha").await;
    assert_eq!(learner.fail("{ users { totalCount } }", Value::Null).await.0, "FORBIDDEN");
    admin.run("{ viewer { name role cart { subjects { id } } } }").await;

    let (phone, _) = admin.set_up_second_factor(PASSWORD, app.clock.now()).await;
    admin.run("{ users { totalCount } }").await;
    // With a new second factor, the next request may use fields for staff. After the factor is switched off, the same
    // tokens may no longer use them.
    app.clock.advance(TimeDelta::seconds(30));
    let challenge = app.anonymous().challenge(&email, PASSWORD).await;
    let completed = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    let again = app.with_token(completed["tokens"]["accessToken"].as_str().unwrap());
    again.run("{ users { totalCount } }").await;
    app.clock.advance(TimeDelta::seconds(30));
    let input = json!({ "password": PASSWORD, "code": phone.code(app.clock.now()) });
    admin.run_with(super::DISABLE, json!({ "input": input })).await;
    assert_eq!(again.fail("{ users { totalCount } }", Value::Null).await.0, "SECOND_FACTOR_REQUIRED");
}

async fn an_admin_resets_the_factor_of_another(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let (admin, _) = staff(&app, "Ada", Role::Admin).await;
    admin.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let (support, email) = staff(&app, "Sam", Role::Support).await;
    support.set_up_second_factor(PASSWORD, app.clock.now()).await;
    let id = async |client: &Client| client.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let (of_admin, of_support) = (id(&admin).await, id(&support).await);

    let before = app.row_counts().await;
    let (code, _) = support.fail(RESET_FACTOR, json!({ "user": of_admin })).await;
    assert_eq!(code, "FORBIDDEN");
    for (user, expected) in [(of_admin.as_str(), "OWN_ACCOUNT"), ("x", "USER_NOT_FOUND")] {
        let refused = admin.run_with(RESET_FACTOR, json!({ "user": user })).await;
        assert_eq!(refused.text("/resetSecondFactor/userErrors/0/code"), expected);
    }
    assert_eq!(app.row_counts().await, before);

    let challenge = app.anonymous().challenge(&email, PASSWORD).await;
    let reset = admin.run_with(RESET_FACTOR, json!({ "user": of_support })).await;
    assert_eq!(*reset.at("/resetSecondFactor/userErrors"), json!([]));
    mail.newest(&email, "Your second factor was removed").await;
    assert_eq!(support.send("{ viewer { name } }", Value::Null).await.status, 401);
    let late = app.anonymous().complete_login(&challenge, "code", "000000").await;
    assert_eq!(refusal(&late), "CHALLENGE_INVALID");
    let again = app.with_token(app.anonymous().login(&email, PASSWORD).await.access_token());
    assert_eq!(again.fail("{ users { totalCount } }", Value::Null).await.0, "SECOND_FACTOR_REQUIRED");
    // A second reset changes nothing.
    admin.run_with(RESET_FACTOR, json!({ "user": of_support })).await;
    let resets = "SELECT COUNT(*) FROM audit_events e JOIN users u ON u.id = e.actor_id \
        WHERE u.name = 'Ada' AND e.action = 'user.second_factor_reset'";
    assert_eq!(app.number(resets).await, 1);
}

//! Second factors: setting up, signing in, recovering and switching off, and the encryption of their secrets.

mod identities;
mod issuer;
mod staff;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use jishu_service::account;
use jishu_service::auth::KeyRing;
use jishu_service::clock::Clock;
use jishu_tests::{Client, GraphqlResponse, MailServer, TestApp, wait_until};
use serde_json::{Value, json};

use crate::mail::{RESET, register, with_mail_server};

with_mail_server!(&[];
    a_factor_is_set_up_used_and_switched_off,
    one_code_signs_in_once,
    a_challenge_ends,
    what_is_not_proved_changes_nothing,
    a_new_password_ends_a_set_up,
    a_secret_is_sealed_and_survives_a_rotation,
);

const ASHA: &str = "asha@example.com";
const PASSWORD: &str = "correct horse";

const DISABLE: &str = "mutation ($input: ChangeTwoFactorInput!) { disableTwoFactor(input: $input) {
    disabled userErrors { code path } } }";
const REGENERATE: &str = "mutation ($input: ChangeTwoFactorInput!) { regenerateRecoveryCodes(input: $input) {
    recoveryCodes userErrors { code path } } }";

/// Registers Asha with a verified address, and returns her client.
async fn asha(app: &TestApp) -> Client {
    let registered = register(app, ASHA).await;
    app.execute("UPDATE users SET email_verified_at = created_at").await;
    app.with_token(registered.access_token())
}

/// Moves the clock by 30 seconds, so that the authenticator shows its next code.
fn next_code(app: &TestApp) {
    app.clock.advance(TimeDelta::seconds(30));
}

fn code<'a>(answer: &'a GraphqlResponse, field: &str) -> &'a str {
    answer.text(&format!("/{field}/userErrors/0/code"))
}

fn refusal(payload: &Value) -> &str {
    assert_eq!(payload["tokens"], Value::Null, "{payload}");
    payload["userErrors"][0]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("the sign-in was not refused: {payload}"))
}

fn is_signed_in(payload: &Value) -> bool {
    payload["tokens"]["accessToken"].is_string() && payload["userErrors"] == json!([])
}

async fn actions(app: &TestApp) -> Vec<String> {
    let actions = "SELECT action FROM audit_events WHERE action LIKE 'user.%' ORDER BY id";
    jishu_tests::rows(app.connection(), actions).await.concat()
}

async fn a_factor_is_set_up_used_and_switched_off(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let client = asha(&app).await;
    let other = app.anonymous().login(ASHA, PASSWORD).await;
    let (phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    assert_eq!(codes.len(), 10);
    let status = client.run("{ viewer { secondFactor { since recoveryCodesLeft } } }").await;
    assert_eq!(*status.at("/viewer/secondFactor/recoveryCodesLeft"), json!(10));
    mail.newest(ASHA, "Your second factor is on").await;
    // Switching the second factor on ends the other session, which began without a second factor.
    assert_eq!(app.anonymous().refresh(other.refresh_token()).await.refusal(), "REFRESH_TOKEN_INVALID");
    client.run("{ viewer { name } }").await;

    // The code that switched the second factor on cannot be used again to sign in.
    let challenge = app.anonymous().challenge(ASHA, PASSWORD).await;
    let used = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    assert_eq!(refusal(&used), "SECOND_FACTOR_CODE_INVALID");
    next_code(&app);
    let spaced = phone.code(app.clock.now());
    let spaced = format!("{} {}", &spaced[..3], &spaced[3..]);
    let completed = app.anonymous().complete_login(&challenge, "code", &spaced).await;
    assert!(is_signed_in(&completed), "{completed}");
    app.with_token(completed["tokens"]["accessToken"].as_str().unwrap()).run("{ viewer { name } }").await;
    next_code(&app);
    let met = app.anonymous().complete_login(&challenge, "code", &phone.code(app.clock.now())).await;
    assert_eq!(refusal(&met), "CHALLENGE_INVALID");

    // A recovery code signs in once.
    let challenge = app.anonymous().challenge(ASHA, PASSWORD).await;
    let recovered =
        app.anonymous().complete_login(&challenge, "recoveryCode", &codes[0].to_uppercase()).await;
    assert!(is_signed_in(&recovered), "{recovered}");
    mail.newest(ASHA, "A recovery code was used").await;
    let challenge = app.anonymous().challenge(ASHA, PASSWORD).await;
    let again = app.anonymous().complete_login(&challenge, "recoveryCode", &codes[0]).await;
    let made_up = app.anonymous().complete_login(&challenge, "recoveryCode", "0000-1111-2222-3333").await;
    let wrong = app.anonymous().complete_login(&challenge, "code", "000000").await;
    assert_eq!(again, made_up);
    assert_eq!(again["userErrors"][0]["message"], wrong["userErrors"][0]["message"]);

    // New recovery codes replace the old recovery codes.
    let client = app.with_token(recovered["tokens"]["accessToken"].as_str().unwrap());
    next_code(&app);
    let input = json!({ "password": PASSWORD, "code": phone.code(app.clock.now()) });
    let replaced = client.run_with(REGENERATE, json!({ "input": input })).await;
    let new = replaced.list("/regenerateRecoveryCodes/recoveryCodes").to_vec();
    assert!(new.len() == 10 && !new.contains(&json!(codes[1])));
    mail.newest(ASHA, "You have new recovery codes").await;
    let old = app.anonymous().complete_login(&challenge, "recoveryCode", &codes[1]).await;
    assert_eq!(refusal(&old), "SECOND_FACTOR_CODE_INVALID");

    // A new password that is set with a link leaves the second factor on.
    let ask = "mutation ($email: String!) { requestPasswordReset(email: $email) { requested } }";
    app.anonymous().run_with(ask, json!({ "email": ASHA })).await;
    let token = mail.newest(ASHA, RESET).await.token().to_owned();
    let reset = "mutation ($token: String!) { resetPassword(token: $token, password: \"another horse\") {
        tokens { accessToken } secondFactor { challenge } userErrors { code } } }";
    let answer = app.anonymous().run_with(reset, json!({ "token": token })).await;
    assert_eq!(code(&answer, "resetPassword"), "SECOND_FACTOR_REQUIRED");
    assert_eq!(*answer.at("/resetPassword/tokens"), Value::Null);
    let challenge = answer.text("/resetPassword/secondFactor/challenge");
    let completed = app.anonymous().complete_login(challenge, "recoveryCode", new[0].as_str().unwrap()).await;
    let client = app.with_token(completed["tokens"]["accessToken"].as_str().unwrap());

    // Within ten minutes after the sign-in, the second factor can be switched off without the password.
    let input = json!({ "recoveryCode": new[1] });
    let disabled = client.run_with(DISABLE, json!({ "input": input })).await;
    assert_eq!(*disabled.at("/disableTwoFactor"), json!({ "disabled": true, "userErrors": [] }));
    mail.newest(ASHA, "Your second factor is off").await;
    assert!(!app.anonymous().login(ASHA, "another horse").await.is_refused());
    assert_eq!(app.number("SELECT COUNT(*) FROM recovery_codes").await, 0);
    let expected = [
        "user.registered",
        "user.second_factor_on",
        "user.recovery_code_used",
        "user.recovery_codes_replaced",
        "user.password_reset",
        "user.recovery_code_used",
        "user.recovery_code_used",
        "user.second_factor_off",
    ];
    assert_eq!(actions(&app).await, expected);
}

async fn one_code_signs_in_once(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let client = asha(&app).await;
    let (phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    next_code(&app);
    for (field, code) in [("code", phone.code(app.clock.now())), ("recoveryCode", codes[0].clone())] {
        let challenges =
            join_all((0..8).map(async |_| app.anonymous().challenge(ASHA, PASSWORD).await)).await;
        let sessions = "SELECT COUNT(*) FROM refresh_tokens WHERE revoked_at IS NULL";
        let before = app.number(sessions).await;
        let answers = join_all(
            challenges
                .iter()
                .map(async |challenge| app.anonymous().complete_login(challenge, field, &code).await),
        )
        .await;
        let winners = answers.iter().filter(|answer| is_signed_in(answer)).count();
        assert_eq!(winners, 1, "{field}");
        assert_eq!(app.number(sessions).await - before, 1, "{field}");
        let mut refused = answers.iter().filter(|answer| !is_signed_in(answer));
        assert!(refused.all(|answer| refusal(answer) == "SECOND_FACTOR_CODE_INVALID"), "{field}");
    }
    // One challenge signs in once, even with four right recovery codes at once.
    next_code(&app);
    let challenge = app.anonymous().challenge(ASHA, PASSWORD).await;
    let answers = join_all(
        codes[1..5]
            .iter()
            .map(async |code| app.anonymous().complete_login(&challenge, "recoveryCode", code).await),
    )
    .await;
    assert_eq!(answers.iter().filter(|answer| is_signed_in(answer)).count(), 1);
    let used = "SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL";
    assert_eq!(app.number(used).await, 2);
    wait_until("a mail for each used code", async || {
        let mails = mail.mails_to(ASHA);
        mails.iter().filter(|mail| mail.header("Subject") == "A recovery code was used").count() == 2
    })
    .await;
    // Six concurrent requests that confirm with the same code make one set of recovery codes.
    let binod = register(&app, "binod@example.com").await;
    app.execute("UPDATE users SET email_verified_at = created_at").await;
    let binod = app.with_token(binod.access_token());
    let begun = binod.run("mutation { beginTwoFactor { secret userErrors { code } } }").await;
    let phone = jishu_tests::Authenticator::new(begun.text("/beginTwoFactor/secret"));
    let code = phone.code(app.clock.now());
    let answers = join_all((0..6).map(async |_| binod.confirm_second_factor(&code).await)).await;
    let on = answers.iter().filter(|answer| answer.list("/confirmTwoFactor/userErrors").is_empty()).count();
    assert_eq!((on, app.number("SELECT COUNT(*) FROM recovery_codes").await), (1, 20));
}

async fn a_challenge_ends(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let client = asha(&app).await;
    let (phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    next_code(&app);
    // After five wrong codes the challenge has ended, so the right code is refused.
    let challenge = app.anonymous().challenge(ASHA, PASSWORD).await;
    for _ in 0..5 {
        let wrong = app.anonymous().complete_login(&challenge, "code", "12345").await;
        assert_eq!(refusal(&wrong), "SECOND_FACTOR_CODE_INVALID");
    }
    let right = phone.code(app.clock.now());
    let late = app.anonymous().complete_login(&challenge, "code", &right).await;
    assert_eq!(refusal(&late), "CHALLENGE_INVALID");
    // The server does not accept a challenge as a token, or a token as a challenge.
    assert_eq!(app.with_token(&challenge).send("{ viewer { name } }", Value::Null).await.status, 401);
    assert_eq!(app.anonymous().refresh(&challenge).await.refusal(), "REFRESH_TOKEN_INVALID");
    for other in ["", "x", client.token(), &format!("jct_{}", "A".repeat(43))] {
        let refused = app.anonymous().complete_login(other, "code", &right).await;
        assert_eq!(refusal(&refused), "CHALLENGE_INVALID", "{other}");
    }
    for input in [
        json!({ "challenge": challenge }),
        json!({ "challenge": challenge, "code": "1", "recoveryCode": "2" }),
    ] {
        let (code, _) = app.anonymous().fail(jishu_tests::COMPLETE_LOGIN, json!({ "input": input })).await;
        assert_eq!(code, "BAD_USER_INPUT");
    }
    // A challenge ends when the user changes the password, when the account is deactivated, and after five minutes.
    let challenge = app.anonymous().challenge(ASHA, PASSWORD).await;
    let change = "mutation { changePassword(current: \"correct horse\", password: \"another horse\") {
        tokens { accessToken } userErrors { code } } }";
    client.run(change).await;
    let refused = app.anonymous().complete_login(&challenge, "code", &right).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    let challenge = app.anonymous().challenge(ASHA, "another horse").await;
    app.clock.advance(TimeDelta::minutes(5));
    let refused = app.anonymous().complete_login(&challenge, "recoveryCode", &codes[0]).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    let challenge = app.anonymous().challenge(ASHA, "another horse").await;
    app.execute("UPDATE users SET status = 'deactivated'").await;
    let refused = app.anonymous().complete_login(&challenge, "recoveryCode", &codes[0]).await;
    assert_eq!(refusal(&refused), "CHALLENGE_INVALID");
    assert_eq!(app.number("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL").await, 0);
    // Challenges are erased after their end.
    app.clock.advance(TimeDelta::minutes(5));
    account::erase_old(&app.services).await.unwrap();
    assert_eq!(app.number("SELECT COUNT(*) FROM sign_in_challenges").await, 0);
}

async fn what_is_not_proved_changes_nothing(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let registered = register(&app, ASHA).await;
    let client = app.with_token(registered.access_token());
    let begin = async |password: Value| {
        let begin = "mutation ($password: String) { beginTwoFactor(password: $password) {
            secret userErrors { code path } } }";
        client.run_with(begin, json!({ "password": password })).await
    };
    // A user without a verified address cannot set up a second factor. Otherwise a stranger could register with
    // somebody's address and lock the owner out.
    assert_eq!(code(&begin(json!(PASSWORD)).await, "beginTwoFactor"), "EMAIL_NOT_VERIFIED");
    app.execute("UPDATE users SET email_verified_at = created_at").await;
    assert_eq!(code(&begin(json!("wrong horse")).await, "beginTwoFactor"), "INVALID_CREDENTIALS");
    app.clock.advance(TimeDelta::minutes(9));
    assert!(
        begin(Value::Null).await.at("/beginTwoFactor/secret").is_string(),
        "a password was required soon after the sign-in"
    );
    // Ten minutes after the sign-in, the password is required again. The schema and the message name this time.
    app.clock.advance(TimeDelta::minutes(1));
    let late = begin(Value::Null).await;
    assert_eq!(
        *late.at("/beginTwoFactor/userErrors"),
        json!([{ "code": "RECENT_SIGN_IN_REQUIRED", "path": ["password"] }])
    );
    // A secret that is not confirmed is not required at a sign-in, and expires.
    assert!(!app.anonymous().login(ASHA, PASSWORD).await.is_refused());
    let begun = begin(json!(PASSWORD)).await;
    let phone = jishu_tests::Authenticator::new(begun.text("/beginTwoFactor/secret"));
    let before = app.row_counts().await;
    let wrong = client.confirm_second_factor("000000").await;
    assert_eq!(code(&wrong, "confirmTwoFactor"), "SECOND_FACTOR_CODE_INVALID");
    for document in [DISABLE, REGENERATE] {
        let input = json!({ "password": PASSWORD, "code": phone.code(app.clock.now()) });
        let answer = client.run_with(document, json!({ "input": input })).await;
        assert!(answer.body.to_string().contains("SECOND_FACTOR_NOT_ON"), "{:#}", answer.body);
    }
    assert_eq!(app.row_counts().await, before);
    app.clock.advance(TimeDelta::minutes(61));
    let session = app.anonymous().login(ASHA, PASSWORD).await;
    let client = app.with_token(session.access_token());
    let expired = client.confirm_second_factor(&phone.code(app.clock.now())).await;
    assert_eq!(code(&expired, "confirmTwoFactor"), "SECOND_FACTOR_NOT_BEGUN");

    let (phone, codes) = client.set_up_second_factor(PASSWORD, app.clock.now()).await;
    next_code(&app);
    let before = app.row_counts().await;
    let again = client.run("mutation { beginTwoFactor { secret userErrors { code } } }").await;
    assert_eq!(code(&again, "beginTwoFactor"), "SECOND_FACTOR_ALREADY_ON");
    for input in [
        json!({ "password": "wrong horse", "code": phone.code(app.clock.now()) }),
        json!({ "password": PASSWORD, "code": "000000" }),
        json!({ "password": PASSWORD, "recoveryCode": "x" }),
    ] {
        let answer = client.run_with(DISABLE, json!({ "input": input })).await;
        assert_eq!(*answer.at("/disableTwoFactor/disabled"), json!(false), "{input}");
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(app.number("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL").await, 0);
    drop(codes);
}

/// Writes a new signing key in front of the keys in the key file of an app. Returns a file that has only the new key.
pub(crate) fn rotate_keys(app: &TestApp) -> PathBuf {
    let file = app.key_file();
    let old = std::fs::read_to_string(&file).unwrap();
    let new_file = file.with_extension("new");
    KeyRing::load_or_create(&new_file).unwrap();
    let new = std::fs::read_to_string(&new_file).unwrap();
    std::fs::write(&file, format!("{new}{old}")).unwrap();
    new_file
}

/// Somebody who knew the old password may have begun to set up a second factor, and has its secret.
async fn a_new_password_ends_a_set_up(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let client = asha(&app).await;
    let begin = "mutation ($password: String) { beginTwoFactor(password: $password) { secret } }";
    let begun = client.run_with(begin, json!({ "password": PASSWORD })).await;
    let phone = jishu_tests::Authenticator::new(begun.text("/beginTwoFactor/secret"));
    let change = "mutation ($current: String!, $password: String!) {
        changePassword(current: $current, password: $password) { tokens { accessToken } } }";
    let changed = client.run_with(change, json!({ "current": PASSWORD, "password": "another horse" })).await;
    let client = app.with_token(changed.text("/changePassword/tokens/accessToken"));
    let confirmed = client.confirm_second_factor(&phone.code(app.clock.now())).await;
    assert_eq!(code(&confirmed, "confirmTwoFactor"), "SECOND_FACTOR_NOT_BEGUN");
}

async fn a_secret_is_sealed_and_survives_a_rotation(app: Arc<TestApp>, _mail: Arc<MailServer>) {
    let client = asha(&app).await;
    let begun = client.run("mutation { beginTwoFactor { secret otpauthUrl } }").await;
    let secret = begun.text("/beginTwoFactor/secret");
    assert!(begun.text("/beginTwoFactor/otpauthUrl").contains(secret));
    let phone = jishu_tests::Authenticator::new(secret);
    let confirmed = client.confirm_second_factor(&phone.code(app.clock.now())).await;
    let recovery = confirmed.text("/confirmTwoFactor/recoveryCodes/0").to_owned();
    let stored = async || {
        jishu_tests::rows(app.connection(), "SELECT secret, sealed_by FROM second_factors").await.concat()
    };
    let before = stored().await;
    assert!(!before[0].contains(secret), "{before:?}");
    let hashes = jishu_tests::rows(app.connection(), "SELECT code_hash FROM recovery_codes").await.concat();
    assert!(hashes.iter().all(|hash| hash.len() == 64 && !hash.contains(&recovery)));

    // The key file gets a new key in front of the old key. The secret is then encrypted again, with the new key.
    let new_file = rotate_keys(&app);
    let mut rotated = app.services.clone();
    rotated.secrets = Arc::new(KeyRing::from_pem_file(&app.key_file()).unwrap().secrets());
    assert_eq!(account::reseal_second_factors(&rotated, 10).await.unwrap(), 1);
    assert_eq!(account::reseal_second_factors(&rotated, 10).await.unwrap(), 0);
    assert_ne!(stored().await, before);
    // Without the old key, the codes of the authenticator still sign in.
    rotated.secrets = Arc::new(KeyRing::from_pem_file(&new_file).unwrap().secrets());
    next_code(&app);
    let challenge = app.anonymous().challenge(ASHA, PASSWORD).await;
    let proof = account::SecondFactorProof::Code(phone.code(app.clock.now()));
    let address = jishu_service::limit::ClientAddress::new([127, 0, 0, 1].into());
    account::complete_login(&rotated, address.into(), &challenge, proof).await.unwrap();
}

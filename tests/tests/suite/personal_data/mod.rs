//! Personal data: the export of a person's data, and the deletion of an account.

mod columns;
mod deletion;
mod export;
mod life;
mod newer_columns;
mod orders;
mod races;
mod refusals;

use std::collections::BTreeMap;

use jishu_entity::user::Role;
use jishu_tests::{
    Client, GraphqlResponse, MailServer, RefundInput, TestApp, TestCourse, Tries, answer, wait_until,
};
use sea_orm::DbBackend;
use serde_json::{Value, json};

use crate::mail::GUARDIAN_CONSENT;

/// A mark in the name and the addresses of the person, and in texts about the person. No other text contains the mark,
/// not even a random value in base64, because base64 has no dot.
pub(crate) const MARK: &str = "qx.zv";
const PASSWORD: &str = "correct horse battery";

/// Returns all tables of the database, each with the names of its columns.
pub(crate) async fn tables(app: &TestApp) -> BTreeMap<String, Vec<String>> {
    let text = match app.services.database.backend() {
        DbBackend::Postgres => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns \
             WHERE table_schema = 'public' ORDER BY 1, ordinal_position"
        }
        DbBackend::MySql => {
            "SELECT CAST(TABLE_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR) FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION"
        }
        _ => {
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table' \
             AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY 1, c.cid"
        }
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mut row in jishu_tests::rows(app.connection(), text).await {
        let column = row.remove(1);
        tables.entry(row.remove(0)).or_default().push(column);
    }
    tables
}

/// Returns the rows of all tables as text, each with the name of its table.
pub(crate) async fn dump(app: &TestApp) -> Vec<String> {
    let backend = app.services.database.backend();
    let (kind, quote) = if backend == DbBackend::MySql { ("CHAR", '`') } else { ("TEXT", '"') };
    let mut dump = Vec::new();
    for (table, columns) in tables(app).await {
        let values = columns.iter().map(|name| format!("COALESCE(CAST({quote}{name}{quote} AS {kind}), '')"));
        let text = format!("SELECT {} FROM {quote}{table}{quote}", values.collect::<Vec<_>>().join(", "));
        let rows = jishu_tests::rows(app.connection(), &text).await;
        dump.extend(rows.into_iter().map(|row| format!("{table}: {}", row.join(" | "))));
    }
    dump
}

/// Returns the rows of all tables that contain a text in lower or upper case. The argument must be in lower case.
pub(crate) async fn mentions(app: &TestApp, text: &str) -> Vec<String> {
    dump(app).await.into_iter().filter(|row| row.to_lowercase().contains(text)).collect()
}

/// Sends a mutation with these arguments, which also selects `userErrors`, and returns its payload.
pub(crate) async fn send(client: &Client, field: &str, arguments: &str, selection: &str) -> Value {
    let document = format!("mutation {{ {field}{arguments} {{ {selection} userErrors {{ code path }} }} }}");
    client.run(&document).await.at(&format!("/{field}")).clone()
}

/// Sends `deleteAccount` with this password, and returns the response.
pub(crate) async fn delete(client: &Client, password: &str) -> GraphqlResponse {
    let document = "mutation ($password: String!) { deleteAccount(password: $password) { deleted
        userErrors { code path message } } }";
    client.run_with(document, json!({ "password": password })).await
}

/// Returns the row id of the user with this address.
pub(crate) async fn row_of(app: &TestApp, email: &str) -> i64 {
    app.number(&format!("SELECT id FROM users WHERE email = '{email}'")).await
}

/// Requests `/me/export` with this token. Returns the status and the body.
pub(crate) async fn export_of(app: &TestApp, token: &str) -> (reqwest::StatusCode, String) {
    let response = app.http().get(app.url("/me/export")).bearer_auth(token).send().await.expect("a response");
    (response.status(), response.text().await.expect("a text"))
}

/// A course with three subjects and questions, a member of support and an admin.
pub(crate) struct World {
    pub(crate) course: TestCourse,
    pub(crate) support: Client,
    pub(crate) admin: Client,
}

impl World {
    pub(crate) async fn new(app: &TestApp) -> Self {
        let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(2).create(app).await;
        for subject in &course.subject_rows {
            app.bank(*subject, 12).await;
        }
        Self {
            course,
            support: app.staff("Sam", Role::Support).await,
            admin: app.staff("Ada", Role::Admin).await,
        }
    }

    /// Makes rows of a learner: a purchase, a grant that is refunded, an allowance, a sitting that ends, a sitting that
    /// stays open, extra time, and a cart. Returns the id of the purchase that is not refunded.
    pub(crate) async fn fill(&self, learner: &Client) -> String {
        let Self { course, support, .. } = self;
        let user = learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
        let bought = learner.buy(course.subject(0)).await;
        let cards: Vec<String> = bought.cards().edges.iter().map(|edge| edge.node.id.clone()).collect();
        // A second purchase request, with a key, finds that the learner owns the subject already.
        learner.buy(course.subject(0).key("0d6e1b2c-3f4a-4b5c-8d6e-7f8091a2b3c4")).await;
        let granted = format!(
            "mutation {{ grantPurchase(input: {{ userId: \"{user}\", reason: \"{MARK} had no luck\", selection: {{ \
             courseId: \"{}\", purchaseType: SINGLE_SUBJECT, subjectIds: [\"{}\"] }} }}) {{ purchase {{ id }} \
             userErrors {{ code }} }} }}",
            course.id, course.subjects[1]
        );
        let granted = support.run(&granted).await;
        let refund = granted.text("/grantPurchase/purchase/id").to_owned();
        support.refund(RefundInput::whole(&refund).reason(&format!("Asked for by {MARK}"))).await;
        // A second refund request, with another key, finds the refund that was made.
        let again = RefundInput::whole(&refund).key("0d6e1b2c-3f4a-4b5c-8d6e-7f8091a2b3c5");
        assert_eq!(support.refund(again).await.outcome(), "EXISTING");
        learner.add_to_cart(&[&course.subjects[2]]).await;

        let started = learner.start_session(&cards[0]).await;
        let answers: Value =
            started.questions().iter().map(|question| answer(question, Tries::Right)).collect();
        learner.submit_session(started.id(), Some((1, answers))).await;
        let open = learner.start_session(&cards[1]).await;
        let answers: Value = open.questions().iter().map(|question| answer(question, Tries::Wrong)).collect();
        learner.save_answers(open.id(), 1, answers).await;
        for (field, input) in [
            (
                "grantAllowance",
                format!("userId: \"{user}\", extraSeconds: 60, reason: \"{MARK} reads slowly\""),
            ),
            ("grantExtraTime", format!("mockTestAttemptId: \"{}\", extraSeconds: 60", cards[1])),
        ] {
            let selection = if field == "grantAllowance" { "sittingsExtended" } else { "__typename" };
            let payload = send(support, field, &format!("(input: {{ {input} }})"), selection).await;
            assert_eq!(payload["userErrors"], json!([]), "{field}: {payload}");
        }
        bought.purchase().id.clone()
    }
}

/// Inserts a second factor, a recovery code, a challenge, an identity and a begun sign-in at an issuer, for a user.
pub(crate) async fn add_sign_in_ways(app: &TestApp, user: i64) {
    let hash = |place: char| std::iter::repeat_n(place, 64).collect::<String>();
    let now = format!("(SELECT created_at FROM users WHERE id = {user})");
    for text in [
        format!(
            "INSERT INTO second_factors (user_id, secret, sealed_by, created_at) VALUES ({user}, '{MARK}', '', {now})"
        ),
        format!(
            "INSERT INTO recovery_codes (user_id, code_hash, created_at) VALUES ({user}, '{}', {now})",
            hash('a')
        ),
        format!(
            "INSERT INTO sign_in_challenges (user_id, token_hash, created_at, expires_at, pending_issuer, \
             pending_subject) VALUES ({user}, '{}', {now}, {now}, 'https://id.example.com', '{MARK}')",
            hash('b')
        ),
        format!(
            "INSERT INTO oidc_identities (user_id, issuer, subject, created_at) VALUES ({user}, 'https://id.example.com', \
             '{MARK}', {now})"
        ),
        format!(
            "INSERT INTO oidc_logins (user_id, state_hash, browser_hash, nonce, code_verifier, redirect_uri, created_at, \
             expires_at) VALUES ({user}, '{0}', '{0}', 'n', 'v', 'https://app.example.com/{MARK}', {now}, {now})",
            hash('c')
        ),
    ] {
        app.execute(&text).await;
    }
}

/// Registers a user who was born in this year, and marks the address as verified. Returns a client that is signed in as
/// the user.
pub(crate) async fn register(app: &TestApp, email: &str, birth_year: i32) -> Client {
    let input = json!({ "name": format!("Asha {MARK}"), "email": email, "password": PASSWORD,
        "birthYear": birth_year });
    let answer = app.anonymous().run_with(jishu_tests::REGISTER, json!({ "input": input })).await;
    let verified = format!("UPDATE users SET email_verified_at = created_at WHERE email = '{email}'");
    app.execute(&verified).await;
    app.with_token(answer.text("/register/tokens/accessToken"))
}

/// Asks a guardian for the consent to a minor's account, and gives the consent with the link in the mail. Returns after
/// the guardian has received the mail that confirms the consent.
pub(crate) async fn consent_of(learner: &Client, stranger: &Client, mail: &MailServer, guardian: &str) {
    let known = mail.mails_to(guardian).len();
    let arguments = format!("(guardianEmail: \"{guardian}\")");
    let asked = send(learner, "requestGuardianConsent", &arguments, "done").await;
    assert_eq!(asked["done"], true, "{asked}");
    wait_until("the mail that asks the guardian", async || mail.mails_to(guardian).len() > known).await;
    let link = mail.newest(guardian, GUARDIAN_CONSENT).await;
    let arguments = format!("(token: \"{}\")", link.token());
    let given = send(stranger, "giveGuardianConsent", &arguments, "done").await;
    assert_eq!(given["done"], true, "{given}");
    wait_until("the mail about the consent", async || mail.mails_to(guardian).len() > known + 1).await;
}

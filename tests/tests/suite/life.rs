//! The life of a platform, from an empty database to expired purchases. Every change goes through the API or a function
//! that the command line calls, and none through SQL.

use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use jishu_entity::user::Role;
use jishu_service::account;
use jishu_service::account::Registration;
use jishu_service::catalogue_file::{self, ApplyMode};
use jishu_service::clock::Clock;
use jishu_tests::{Client, PurchaseInput, TestApp, on_each_database, rows, wait_until};
use serde_json::{Value, json};

on_each_database!(a_platform_lives_without_changes_by_sql);

/// The catalogue that the admin has made through the API, and Chemistry as a new subject.
const FILE: &str = "\
courses:
  - code: neet
    name: NEET
    currency: INR
    validityDays: 30
    subjects:
      - code: physics
        name: Physics
        listPrice: 500.00
        totalMockTests: 3
        markingScheme: { questionsPerTest: 2, timeLimitSeconds: 600 }
      - code: chemistry
        name: Chemistry
        listPrice: 300.00
        totalMockTests: 2
        markingScheme: { questionsPerTest: 2, timeLimitSeconds: 600 }
";

const QUESTIONS: &str = "// [id:one]\nOne is {=1 ~2}.\n\n// [id:two]\nTwo is {=2 ~1}.\n";
/// A time that is longer than the grace time, in which the server accepts answers after a deadline.
const TIME_BEYOND_GRACE: TimeDelta = TimeDelta::seconds(6);
const PASSWORD: &str = "a long password of staff";

/// Makes an account of staff as `jishu user create` does, and signs in.
async fn staff(app: &TestApp, name: &str, role: Role) -> Client {
    let email = format!("{}@example.com", name.to_lowercase());
    let registration = Registration {
        name: name.to_owned(),
        email: email.clone(),
        password: PASSWORD.to_owned(),
        role,
        birth_year: None,
    };
    account::create(&app.services, registration).await.expect("an account");
    sign_in(app, &email).await
}

async fn sign_in(app: &TestApp, email: &str) -> Client {
    app.with_token(app.anonymous().login(email, PASSWORD).await.access_token())
}

/// Sends a mutation with one input. Returns its payload, and panics if the payload has user errors.
async fn mutate(client: &Client, field: &str, kind: &str, selection: &str, input: Value) -> Value {
    let document = format!(
        "mutation ($input: {kind}!) {{ {field}(input: $input) {{ {selection} userErrors {{ code }} }} }}"
    );
    let payload =
        client.run_with(&document, json!({ "input": input })).await.at(&format!("/{field}")).clone();
    assert_eq!(payload["userErrors"], json!([]), "{field}: {payload}");
    payload
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

/// The course and its subjects, by their global ids.
struct Shop {
    course: String,
    physics: String,
    chemistry: String,
}

/// Makes a course with Physics through the API, adds Chemistry with a catalogue file, and imports two questions into
/// each subject.
async fn open_shop(app: &TestApp, admin: &Client) -> Shop {
    let course = json!({ "code": "neet", "name": "NEET", "currency": "INR", "validityDays": 30 });
    let course = text(
        &mutate(admin, "createCourse", "CreateCourseInput", "course { id }", course).await["course"]["id"],
    );
    let physics = json!({
        "courseId": course, "code": "physics", "name": "Physics", "listPrice": "500.00", "totalMockTests": 3,
        "markingScheme": { "questionsPerTest": 2, "timeLimitSeconds": 600 },
    });
    let physics = mutate(admin, "createSubject", "CreateSubjectInput", "subject { id }", physics).await;
    let report =
        catalogue_file::apply(&app.services.database, app.clock.now(), FILE, ApplyMode::default()).await;
    assert_eq!(report.expect("the file is applied").changes.len(), 1, "the file must add only Chemistry");
    app.services.catalog.reload().await.expect("the catalogue can be read");
    let subjects =
        "query ($id: ID!) { node(id: $id) { ... on Course { subjects { edges { node { id code } } } } } }";
    let found = admin.run_with(subjects, json!({ "id": course })).await;
    let chemistry =
        found.list("/node/subjects/edges").iter().find(|edge| edge["node"]["code"] == "chemistry");
    let chemistry = text(&chemistry.expect("Chemistry")["node"]["id"]);
    let physics = text(&physics["subject"]["id"]);
    for subject in [&physics, &chemistry] {
        let import = json!({ "subjectId": subject, "text": QUESTIONS, "format": "GIFT" });
        let imported = mutate(admin, "importQuestions", "ImportQuestionsInput", "createdCount", import).await;
        assert_eq!(imported["createdCount"], 2);
    }
    Shop { course, physics, chemistry }
}

/// Puts both subjects into the cart, raises the price of Physics, and buys both at the new price. Returns the ids of
/// the purchase and of its cards.
async fn first_sale(shop: &Shop, admin: &Client, learner: &Client) -> (String, Vec<String>) {
    learner.add_to_cart(&[&shop.physics, &shop.chemistry]).await;
    let quote = "{ viewer { cart { quotes { total { amount } } changes { kind price { amount } } } } }";
    let shown = learner.run(quote).await;
    assert_eq!(shown.text("/viewer/cart/quotes/0/total/amount"), "800.00");
    assert_eq!(*shown.at("/viewer/cart/changes"), json!([]));

    let edit = json!({ "id": shop.physics, "version": 1, "listPrice": "600.00" });
    mutate(admin, "updateSubject", "UpdateSubjectInput", "subject { version }", edit.clone()).await;
    let stale = "mutation ($input: UpdateSubjectInput!) { updateSubject(input: $input) {
        userErrors { code ... on StaleEditError { version subject { listPrice { amount } } } } } }";
    let stale =
        admin.run_with(stale, json!({ "input": edit })).await.at("/updateSubject/userErrors/0").clone();
    assert_eq!(
        stale,
        json!({ "code": "STALE_EDIT", "version": 2, "subject": { "listPrice": { "amount": "600.00" } } })
    );
    let changes = learner.run(quote).await.at("/viewer/cart/changes").clone();
    assert_eq!(changes, json!([{ "kind": "PRICE_CHANGED", "price": { "amount": "600.00" } }]));

    let both = || PurchaseInput::new(&shop.course, "MULTIPLE_SUBJECTS", &[&shop.physics, &shop.chemistry]);
    let refused = learner.buy(both().cost("800.00")).await;
    assert_eq!(refused.refusal().code, "PRICE_CHANGED");
    let bought = learner.buy(both().cost("900.00")).await;
    assert_eq!(bought.outcome(), ("CREATED", 5, 5));
    let cards = bought.cards().nodes().map(|card| card.id.clone()).collect();
    (bought.purchase().id.clone(), cards)
}

async fn session_of(learner: &Client, id: &str) -> Value {
    let document =
        "query ($id: ID!) { node(id: $id) { ... on TestSession { status endReason result { correct } } } }";
    learner.run_with(document, json!({ "id": id })).await.at("/node").clone()
}

async fn refusal_of_start(learner: &Client, card: &str) -> String {
    learner.start_session(card).await.error().code.clone()
}

/// Refunds Physics while the learner sits one of its tests. Sends the refund twice; the second response is `EXISTING`.
async fn refund_in_mid_sitting(shop: &Shop, support: &Client, learner: &Client, purchase: &str, card: &str) {
    let started = learner.start_session(card).await;
    let question = &started.questions()[0];
    let number = if question.stem.starts_with("One") { "1" } else { "2" };
    let right = question.options.iter().find(|option| option.text == number).expect("the correct option");
    let answers = json!([{ "slot": question.slot, "optionIds": [right.id] }]);
    learner.save_answers(started.id(), 1, answers).await;
    let refund = json!({
        "purchaseId": purchase, "subjectIds": [shop.physics], "reason": "bought by mistake",
        "idempotencyKey": "0b0e7b54-4f0f-4b8e-9c1e-0a6a4f5d2c11",
    });
    let selection = "outcome refund { amount { amount } status } purchase { status }";
    for outcome in ["CREATED", "EXISTING"] {
        let payload =
            mutate(support, "refundPurchase", "RefundPurchaseInput", selection, refund.clone()).await;
        assert_eq!(payload["outcome"], outcome);
        assert_eq!(payload["refund"], json!({ "amount": { "amount": "600.00" }, "status": "SETTLED" }));
        assert_eq!(
            payload["purchase"]["status"], "ACTIVE",
            "the purchase is not active although Chemistry is still owned"
        );
    }
    let closed = session_of(learner, started.id()).await;
    assert_eq!(
        closed,
        json!({ "status": "AUTO_SUBMITTED", "endReason": "REFUNDED", "result": { "correct": 1 } })
    );
    assert_eq!(refusal_of_start(learner, card).await, "ENTITLEMENT_ENDED");
}

/// Starts a sitting shortly before the end of the term, and waits until the end of the term closes the sitting. Returns
/// a client of the learner with a new token.
async fn expiry_in_mid_sitting(app: &TestApp, card: &str) -> Client {
    let term = TimeDelta::days(30);
    app.clock.advance(term - TimeDelta::minutes(5));
    let learner = app.learner_again("Asha").await;
    let started = learner.start_session(card).await;
    app.clock.advance(TimeDelta::minutes(5) + TIME_BEYOND_GRACE);
    wait_until("the end of the term", async || {
        app.number("SELECT COUNT(*) FROM audit_events WHERE action = 'purchase.expired'").await == 2
    })
    .await;
    wait_until("the end of the sitting", async || {
        session_of(&learner, started.id()).await["status"] == "ABANDONED"
    })
    .await;
    assert_eq!(session_of(&learner, started.id()).await["endReason"], "EXPIRED");
    assert_eq!(refusal_of_start(&learner, card).await, "ENTITLEMENT_ENDED");
    learner
}

/// Returns the actions of the newest 100 audit events, oldest first.
async fn actions(admin: &Client) -> Vec<String> {
    let trail = admin.run("{ auditEvents(first: 100) { edges { node { action } } } }").await;
    let edges = trail.list("/auditEvents/edges").iter().rev();
    edges.map(|edge| text(&edge["node"]["action"])).collect()
}

async fn a_platform_lives_without_changes_by_sql(app: Arc<TestApp>) {
    let admin = staff(&app, "Ada", Role::Admin).await;
    let support = staff(&app, "Sam", Role::Support).await;
    let from = app.clock.now();
    let shop = open_shop(&app, &admin).await;
    let learner = app.learner("Asha").await;
    let (purchase, cards) = first_sale(&shop, &admin, &learner).await;
    refund_in_mid_sitting(&shop, &support, &learner, &purchase, &cards[0]).await;

    let again = learner.buy(PurchaseInput::new(&shop.course, "SINGLE_SUBJECT", &[&shop.physics])).await;
    assert_eq!(again.outcome(), ("CREATED", 3, 3));
    assert_ne!(again.purchase().id, purchase);
    let new_card = again.cards().edges[0].node.id.clone();
    assert!(!cards.contains(&new_card));
    let history = "{ viewer { mockTestAttempts(filter: { entitled: false }) { totalCount } } }";
    assert_eq!(learner.run(history).await.number("/viewer/mockTestAttempts/totalCount"), 3);
    let learner = expiry_in_mid_sitting(&app, &new_card).await;
    assert_eq!(learner.run(history).await.number("/viewer/mockTestAttempts/totalCount"), 8);

    let admin = sign_in(&app, "ada@example.com").await;
    let told = actions(&admin).await;
    for (action, count) in [
        ("course.created", 1),
        ("subject.created", 2),
        ("questions.imported", 2),
        ("subject.updated", 1),
        ("purchase.created", 2),
        ("test_session.started", 2),
        ("purchase.refunded", 1),
        ("test_session.closed", 2),
        ("purchase.expired", 2),
    ] {
        assert_eq!(told.iter().filter(|told| *told == action).count(), count, "{action}: {told:?}");
    }

    let rfc3339 = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let report = "query ($from: DateTime!, $to: DateTime!) { salesReport(from: $from, to: $to) {
        rows { currency purchases charged { amount } refunds { count amount { amount } } net { amount } } } }";
    let to = app.clock.now() + TimeDelta::days(1);
    let report = admin.run_with(report, json!({ "from": rfc3339(from), "to": rfc3339(to) })).await;
    assert_eq!(
        *report.at("/salesReport/rows"),
        json!([{
            "currency": "INR", "purchases": 2, "charged": { "amount": "1500.00" },
            "refunds": { "count": 1, "amount": { "amount": "600.00" } }, "net": { "amount": "900.00" },
        }])
    );
    let sum = async |column: &str| -> i64 {
        let rows = rows(app.connection(), column).await;
        rows.iter().map(|row| row[0].parse::<i64>().expect("an amount")).sum()
    };
    assert_eq!(
        (sum("SELECT cost FROM purchases").await, sum("SELECT amount FROM refunds").await),
        (1500_00, 600_00)
    );
}

//! Before a sitting is over, no response of the API reveals a key of its questions. Also checks when the review of a
//! sitting shows the keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use jishu_tests::{
    Backend, Client, EXPLANATION, KEY_FIELDS, NUMBER, SittingPayload, TEXT, TOLERANCE, TestApp,
    on_each_database,
};
use serde_json::{Value, json};

use super::{World, accepted, answers, id, questions};
use crate::stranger::{FLAGS, INTROSPECTION, Schema};

on_each_database!(
    a_review_waits_for_every_open_sitting_with_the_question,
    a_review_comes_when_the_subject_lets_it,
);

/// Fields that only a review may show. Everywhere else they must be null.
const SECRET_FIELDS: [&str; 8] = {
    let [options, value, tolerance, texts, case, explanation, marks] = KEY_FIELDS;
    [options, value, tolerance, texts, case, explanation, marks, "verdict"]
};
/// Fields with results. They must be null while no sitting of the learner is over.
const RESULTS: [&str; 6] = ["result", "latestScore", "latestPercentage", "firstScore", "bestScore", "grade"];

/// Adds to `found` the fields with these names that have a value anywhere in a response. A field below an interface has
/// the alias `Type_field`.
fn revealed(answer: &Value, names: &[&str], found: &mut BTreeSet<String>) {
    match answer {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = key.rsplit('_').next().unwrap_or(key);
                if names.contains(&name) && !value.is_null() {
                    found.insert(name.to_owned());
                }
                revealed(value, names, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| revealed(item, names, found)),
        _ => {}
    }
}

/// Sends queries for every field of the schema, and returns the secrets that the responses revealed.
async fn scan(client: &Client, schema: &Schema, ids: &[&str], names: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for document in schema.operations("query", ids) {
        let answer = client.send(&document, Value::Null).await.body;
        revealed(&answer["data"], names, &mut found);
        let text = answer.to_string();
        for secret in [EXPLANATION, NUMBER, TOLERANCE, TEXT] {
            if text.contains(secret) {
                found.insert(secret.to_owned());
            }
        }
    }
    found
}

/// Tries the whole schema, found by introspection. The learner, another learner and a client that is not signed in send
/// queries. The other learner also sends mutations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_response_gives_a_key_away_before_the_end() {
    if !Backend::Sqlite.is_selected() {
        return;
    }
    let app = Arc::new(TestApp::start_with(Backend::Sqlite, FLAGS).await);
    let schema = Schema::read(&app.anonymous().run(INTROSPECTION).await);
    let world = World::new(&app, 8).await;
    let asha = &world.learner;
    let started = asha.start_session(&world.card).await;
    asha.save_answers(&id(&started), 1, answers(&started, 6, 2)).await;
    let subject = world.course.subjects[0].clone();
    let user = asha.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let binod = app.learner("Binod").await;

    let session = id(&started);
    let all: Vec<&str> = SECRET_FIELDS.into_iter().chain(RESULTS).collect();
    let ids = [session.as_str(), &world.card, &subject, &user, &world.course.id];
    for client in [asha, &binod, &app.anonymous()] {
        assert_eq!(
            scan(client, &schema, &ids, &all).await,
            BTreeSet::new(),
            "a secret is shown while the first sitting is open"
        );
    }
    for document in schema.operations("mutation", &ids) {
        let answer = binod.send(&document, Value::Null).await.body.to_string();
        assert!(
            ![EXPLANATION, NUMBER, TOLERANCE, TEXT].iter().any(|secret| answer.contains(secret)),
            "{document}\n{answer}"
        );
    }

    accepted(&asha.submit_session(&session, None).await);
    let secrets: BTreeSet<String> =
        SECRET_FIELDS.into_iter().chain([EXPLANATION, NUMBER, TOLERANCE, TEXT]).map(str::to_owned).collect();
    let shown = scan(asha, &schema, &ids, &SECRET_FIELDS).await;
    assert_eq!(
        shown, secrets,
        "the owner does not see every secret after the end, so the documents do not select every field"
    );
    for client in [&binod, &app.anonymous()] {
        assert_eq!(scan(client, &schema, &ids, &all).await, BTreeSet::new(), "another client sees a secret");
    }

    let second = asha.start_session(&world.card).await;
    let session = id(&second);
    let ids = [ids[0], session.as_str(), &world.card, &user];
    assert_eq!(
        scan(asha, &schema, &ids, &SECRET_FIELDS).await,
        BTreeSet::new(),
        "the review of the first sitting shows the keys of questions that the open sitting asks"
    );
    Arc::into_inner(app).unwrap().stop().await;
}

async fn reviewed(learner: &Client, session: &str) -> BTreeSet<String> {
    let document =
        "query ($id: ID!) { node(id: $id) { ... on TestSession { questions { stem explanation marks } } } }";
    let answer = learner.run_with(document, json!({ "id": session })).await;
    let questions = answer.list("/node/questions").iter();
    let reviewed =
        questions.filter(|question| !question["explanation"].is_null() && !question["marks"].is_null());
    reviewed.map(|question| question["stem"].as_str().unwrap().to_owned()).collect()
}

/// The bank has only six questions, so two papers of four questions share two questions. The review of a shared
/// question waits until no open sitting asks this question.
async fn a_review_waits_for_every_open_sitting_with_the_question(app: Arc<TestApp>) {
    let world = World::new(&app, 6).await;
    world.set(&app, "questions_per_test", "4").await;
    let card = |test_number: i32| {
        let app = Arc::clone(&app);
        async move {
            let sql = format!("SELECT id FROM mock_test_attempts WHERE test_number = {test_number}");
            app.global("MockTestAttempt", app.number(&sql).await)
        }
    };
    let stems = |payload: &SittingPayload| -> BTreeSet<String> {
        questions(payload).iter().map(|question| question.stem.clone()).collect()
    };
    let first = world.learner.start_session(&card(1).await).await;
    world.learner.submit_session(&id(&first), None).await;
    assert_eq!(reviewed(&world.learner, &id(&first)).await, stems(&first));
    let other = world.learner.start_session(&card(2).await).await;
    let shared: BTreeSet<String> = stems(&first).intersection(&stems(&other)).cloned().collect();
    assert_eq!(shared.len(), 2);
    let left: BTreeSet<String> = stems(&first).difference(&shared).cloned().collect();
    assert_eq!(reviewed(&world.learner, &id(&first)).await, left);
    world.learner.submit_session(&id(&other), None).await;
    assert_eq!(reviewed(&world.learner, &id(&first)).await, stems(&first));
}

async fn a_review_comes_when_the_subject_lets_it(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    world.set(&app, "review_policy", "'after_last_attempt'").await;
    app.execute("UPDATE mock_test_attempts SET max_attempts = 2").await;
    let first = world.learner.start_session(&world.card).await;
    let submitted = world.learner.submit_session(&id(&first), Some((1, answers(&first, 4, 0)))).await;
    assert_eq!(submitted.result().score, "16.00", "the result of the first sitting is not shown");
    assert_eq!(reviewed(&world.learner, &id(&first)).await.len(), 0);
    let second = world.learner.start_session(&world.card).await;
    assert_eq!(
        reviewed(&world.learner, &id(&first)).await.len(),
        0,
        "a review is shown while the last sitting is open"
    );
    world.learner.submit_session(&id(&second), None).await;
    assert_eq!(reviewed(&world.learner, &id(&first)).await.len(), 4);
    // The subject is bought again, which gives another card of the same paper.
    app.execute("UPDATE entitlements SET ended_at = granted_at").await;
    app.cards(&world.learner, &world.course).await;
    assert_eq!(
        reviewed(&world.learner, &id(&first)).await.len(),
        0,
        "a review is shown although the test can be sat again"
    );
    app.execute("UPDATE entitlements SET ended_at = granted_at").await;
    assert_eq!(
        reviewed(&world.learner, &id(&first)).await.len(),
        4,
        "no review is shown although the test cannot be sat again"
    );
    world.set(&app, "review_policy", "'never'").await;
    assert_eq!(reviewed(&world.learner, &id(&first)).await.len(), 0);
}

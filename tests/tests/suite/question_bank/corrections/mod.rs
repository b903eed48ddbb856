//! Corrected keys: which sittings take the corrected key, which sittings keep the old key, and refused corrections.

mod imports;
mod many;
mod retries;

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{Client, Node, Question, SittingPayload, TestApp, TestCourse, on_each_database};
use serde_json::{Value, json};

use super::rows;

on_each_database!(
    a_corrected_key_reaches_new_sittings_of_a_fixed_test,
    a_correction_that_cannot_be_changes_nothing,
    only_authors_and_admins_correct_and_archive,
);

const CORRECT: &str = "mutation ($input: CorrectQuestionKeyInput!) { correctQuestionKey(input: $input) {
    question { id current { number explanation correctValue options { id text correct } } fixedTests
      fixedTestsWithOtherKey versions { number correctValue options { text correct } }
      corrections { fromVersion toVersion correctedBy reason } }
    correctedTests userErrors { code message path } } }";
pub(super) const QUESTIONS: &str = "query ($subject: ID!, $search: String, $archived: Boolean! = false) {
    questions(subjectId: $subject, search: $search, archived: $archived) { totalCount edges { node {
      id externalId archivedAt fixedTests fixedTestsWithOtherKey subject { id }
      current { number topic kind stem options { id text correct } correctValue tolerance explanation } } } } }";

/// Two questions: one asks for a number, and one has options.
const BANK: &str = "// [id:k1]\nHow many? {#54:1 #### There are 54.}\n\n// [id:k2]\nWhich gas? {=Oxygen ~Neon ~Argon #### It burns.}\n";

/// A subject whose tests ask both questions of its bank, and its author.
pub(super) struct World {
    pub(super) course: TestCourse,
    pub(super) subject: String,
    pub(super) author: Client,
}

impl World {
    pub(super) async fn new(app: &TestApp) -> Self {
        let course = app.course(&["Physics"]).cards(3).create(app).await;
        let subject = course.subjects[0].clone();
        let author = app.staff("Meera", Role::Author).await;
        assert_eq!(author.import(&subject, BANK).await.counts(), [2, 0, 0, 0]);
        app.execute("UPDATE subjects SET questions_per_test = 2").await;
        app.services.catalog.reload().await.unwrap();
        Self { course, subject, author }
    }

    /// Creates a learner, and returns the client and the first card.
    async fn learner(&self, app: &TestApp, name: &str) -> (Client, String) {
        let learner = app.learner(name).await;
        let card = app.cards(&learner, &self.course).await.remove(0);
        (learner, card)
    }

    pub(super) async fn question(&self, external_id: &str) -> Value {
        let found =
            self.author.run_with(QUESTIONS, json!({ "subject": self.subject, "search": external_id })).await;
        found.at("/questions/edges/0/node").clone()
    }

    async fn correct(&self, external_id: &str, key: Value) -> Value {
        let mut input =
            json!({ "questionId": self.question(external_id).await["id"], "reason": "The book says so." });
        for (name, value) in key.as_object().unwrap() {
            input[name] = value.clone();
        }
        self.author.run_with(CORRECT, json!({ "input": input })).await.at("/correctQuestionKey").clone()
    }
}

fn session(started: &SittingPayload) -> String {
    assert_eq!(started.user_errors, [], "{started:#?}");
    started.id().to_owned()
}

fn slots(payload: &SittingPayload) -> &[Question] {
    payload.questions()
}

/// Returns the answers to both questions: the number, and the option with this text.
fn answers(started: &SittingPayload, number: &str, option: &str) -> Value {
    let answer = |question: &Question| match question.kind.as_str() {
        "NUMERIC" => json!({ "slot": question.slot, "numericValue": number }),
        _ => {
            let chosen = question.options.iter().find(|it| it.text == option).unwrap();
            json!({ "slot": question.slot, "optionIds": [chosen.id] })
        }
    };
    slots(started).iter().map(answer).collect()
}

/// Returns the two keys in a review with their explanations: first the number, then the option.
fn taught(payload: &SittingPayload) -> [String; 2] {
    let of = |numeric: bool| {
        let question = slots(payload).iter().find(|it| (it.kind == "NUMERIC") == numeric).unwrap();
        let keys = question.correct_option_ids.as_deref().unwrap_or_default();
        let options = question.options.iter().filter(|option| keys.contains(&option.id));
        let texts = options.map(|option| option.text.as_str());
        let key = question.correct_value.clone();
        let key = key.unwrap_or_else(|| texts.collect::<Vec<_>>().join("+"));
        format!("{key}: {}", question.explanation.as_deref().unwrap_or("-"))
    };
    [of(true), of(false)]
}

/// Starts, answers and submits a sitting. Returns the score and the keys in the review.
async fn sit(learner: &Client, card: &str, number: &str, option: &str) -> (String, [String; 2]) {
    let started = learner.start_session(card).await;
    let last = Some((1, answers(&started, number, option)));
    let submitted = learner.submit_session(&session(&started), last).await;
    (submitted.result().score.clone(), taught(&submitted))
}

fn at(node: &Node, client: &Client, app: &TestApp) -> Client {
    Client::new(app.http().clone(), node.url("/graphql"), Some(client.token().to_owned()))
}

async fn a_corrected_key_reaches_new_sittings_of_a_fixed_test(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (asha, card) = world.learner(&app, "Asha").await;
    let node = app.second_node().await;
    let asha_there = at(&node, &asha, &app);
    let old = ["54: There are 54.".to_owned(), "Oxygen: It burns.".to_owned()];
    let first = asha.start_session(&card).await;
    let submitted = asha.submit_session(&session(&first), Some((1, answers(&first, "56", "Neon")))).await;
    assert_eq!((submitted.result().score.as_str(), taught(&submitted)), ("-2.00", old.clone()));
    let (chitra, of_chitra) = world.learner(&app, "Chitra").await;
    let open = chitra.start_session(&of_chitra).await;

    let neon = |question: &Value| question["current"]["options"][1]["id"].clone();
    let number = world.correct("k1", json!({ "correctValue": "56", "explanation": "There are 56." })).await;
    assert_eq!((&number["userErrors"], &number["correctedTests"]), (&json!([]), &json!(1)), "{number:#}");
    assert_eq!(number["question"]["current"]["correctValue"], "56");
    let question = world.question("k2").await;
    let option = world.correct("k2", json!({ "correctOptionIds": [neon(&question)] })).await;
    assert_eq!(option["correctedTests"], 1, "{option:#}");
    let new = ["56: There are 56.".to_owned(), "Neon: It burns.".to_owned()];

    // Sittings that start now take the corrected versions, on each node.
    assert_eq!(sit(&asha_there, &card, "56.5", "Neon").await, ("8.00".to_owned(), new.clone()));
    let (binod, of_binod) = world.learner(&app, "Binod").await;
    assert_eq!(sit(&binod, &of_binod, "54", "Oxygen").await, ("-2.00".to_owned(), new.clone()));
    // Open and finished sittings keep the versions of the questions with which they started.
    let resumed = chitra.start_session(&of_chitra).await;
    assert_eq!((resumed.resumed, slots(&resumed)), (true, slots(&open)));
    let ended = at(&node, &chitra, &app)
        .submit_session(&session(&open), Some((1, answers(&open, "54", "Oxygen"))))
        .await;
    assert_eq!((ended.result().score.as_str(), taught(&ended)), ("8.00", old.clone()));
    let again = asha_there.submit_session(&session(&first), None).await;
    assert_eq!(again.session, submitted.session);

    let shown = world.author.run_with(
        "query ($id: ID!) { node(id: $id) { ... on AuthoredQuestion { fixedTests fixedTestsWithOtherKey
           versions { number correctValue } corrections { fromVersion toVersion correctedBy reason } } } }",
        json!({ "id": number["question"]["id"] }),
    );
    assert_eq!(
        *shown.await.at("/node"),
        json!({ "fixedTests": 1, "fixedTestsWithOtherKey": 0,
            "versions": [{ "number": 2, "correctValue": "56" }, { "number": 1, "correctValue": "54" }],
            "corrections": [{ "fromVersion": 1, "toVersion": 2, "correctedBy": "Meera", "reason": "The book says so." }] })
    );
    let events =
        "SELECT COUNT(*) FROM audit_events WHERE action = 'question.key_corrected' AND actor_id IS NOT NULL";
    assert_eq!(app.number(events).await, 2);
    // A test that is made after the corrections has the corrected keys, too.
    let second = app.number("SELECT MIN(id) FROM mock_test_attempts WHERE test_number = 2").await;
    let second = app.global("MockTestAttempt", second);
    assert_eq!(sit(&asha, &second, "56", "Neon").await, ("8.00".to_owned(), new));
    node.stop().await;
}

async fn a_correction_that_cannot_be_changes_nothing(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (asha, card) = world.learner(&app, "Asha").await;
    asha.start_session(&card).await;
    let (number, choice) = (world.question("k1").await, world.question("k2").await);
    let option = |at: usize| choice["current"]["options"][at]["id"].clone();
    let mine = "Another? {=a ~b}";
    assert_eq!(world.author.import(&world.subject, mine).await.counts(), [1, 0, 0, 0]);
    let other = world.question("auto-").await["current"]["options"][0]["id"].clone();
    let before = (rows(&app).await, app.number("SELECT COUNT(*) FROM question_corrections").await);
    let long = "a".repeat(1_001);
    for (id, key, code, named) in [
        (&world.subject, json!({ "correctValue": "1" }), "QUESTION_NOT_FOUND", "no such question"),
        (
            &app.global("AuthoredQuestion", 999),
            json!({ "correctValue": "1" }),
            "QUESTION_NOT_FOUND",
            "no such",
        ),
        (&k(&number), json!({ "correctValue": "54" }), "QUESTION_KEY_UNCHANGED", "already"),
        (&k(&number), json!({ "correctValue": "54", "tolerance": "1" }), "QUESTION_KEY_UNCHANGED", "already"),
        (&k(&number), json!({ "correctValue": "54", "tolerance": "-1" }), "QUESTION_KEY_INVALID", "negative"),
        (&k(&number), json!({ "correctOptionIds": [option(0)] }), "QUESTION_KEY_INVALID", "with a number"),
        (&k(&number), json!({}), "QUESTION_KEY_INVALID", "Give"),
        (&k(&choice), json!({ "correctValue": "1" }), "QUESTION_KEY_INVALID", "has options"),
        (
            &k(&choice),
            json!({ "correctValue": "1", "correctOptionIds": [] }),
            "QUESTION_KEY_INVALID",
            "only one of",
        ),
        (&k(&choice), json!({ "correctOptionIds": [option(0)] }), "QUESTION_KEY_UNCHANGED", "already"),
        (&k(&choice), json!({ "correctOptionIds": [] }), "QUESTION_KEY_INVALID", "exactly one"),
        (
            &k(&choice),
            json!({ "correctOptionIds": [option(1), option(2)] }),
            "QUESTION_KEY_INVALID",
            "exactly one",
        ),
        (&k(&choice), json!({ "correctOptionIds": [other] }), "QUESTION_KEY_INVALID", "belong"),
        (&k(&choice), json!({ "correctOptionIds": ["nonsense"] }), "QUESTION_KEY_INVALID", "belong"),
        (
            &k(&choice),
            json!({ "correctOptionIds": [option(1)], "reason": " \u{200b}" }),
            "REASON_INVALID",
            "1 to 1000",
        ),
        (
            &k(&choice),
            json!({ "correctOptionIds": [option(1)], "reason": long }),
            "REASON_INVALID",
            "1 to 1000",
        ),
        (
            &k(&choice),
            json!({ "correctOptionIds": [option(1)], "explanation": "a\u{7}b" }),
            "EXPLANATION_INVALID",
            "control",
        ),
    ] {
        let mut input = json!({ "questionId": id, "reason": "So it is." });
        for (name, value) in key.as_object().unwrap() {
            input[name] = value.clone();
        }
        let answer = world.author.run_with(CORRECT, json!({ "input": input })).await;
        let error = &answer.list("/correctQuestionKey/userErrors")[0];
        assert!(
            error["code"] == code && error["message"].as_str().unwrap().contains(named),
            "{input} {error}"
        );
        let field =
            if key.get("tolerance").is_some() && code == "QUESTION_KEY_INVALID" { "tolerance" } else { "" };
        assert!(error["path"][1].as_str().unwrap().contains(field), "{input} {error}");
        assert_eq!(*answer.at("/correctQuestionKey/question"), Value::Null);
    }
    assert_eq!((rows(&app).await, app.number("SELECT COUNT(*) FROM question_corrections").await), before);
    assert_eq!(app.number("SELECT revision FROM papers").await, 1);
    // An import has made a new version after the author read the options, so the server refuses the correction.
    let edited = BANK.replace("~Argon", "~Xenon");
    world.author.import(&world.subject, &edited).await;
    let stale = world.correct("k2", json!({ "correctOptionIds": [option(1)] })).await;
    assert_eq!(stale["userErrors"][0]["code"], "QUESTION_OUTDATED");
}

fn k(question: &Value) -> String {
    question["id"].as_str().unwrap().to_owned()
}

async fn only_authors_and_admins_correct_and_archive(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let question = world.question("k1").await["id"].clone();
    let correct = json!({ "input": { "questionId": question, "correctValue": "1", "reason": "Because." } });
    let archive = json!({ "input": { "questionId": question, "archived": true } });
    let list = json!({ "subject": world.subject });
    let node = json!({ "id": question });
    let (learner, support) = (app.learner("Asha").await, app.staff("Sana", Role::Support).await);
    let before = rows(&app).await;
    for (client, code) in
        [(&learner, "FORBIDDEN"), (&support, "FORBIDDEN"), (&app.anonymous(), "UNAUTHENTICATED")]
    {
        for (document, variables) in
            [(CORRECT, &correct), (super::archive::ARCHIVE, &archive), (QUESTIONS, &list)]
        {
            assert_eq!(client.fail(document, variables.clone()).await.0, code);
        }
        let found = client.run_with("query ($id: ID!) { node(id: $id) { id } }", node.clone()).await;
        assert_eq!(*found.at("/node"), Value::Null);
    }
    assert_eq!(rows(&app).await, before);
    let admin = app.staff("Ila", Role::Admin).await;
    assert_eq!(admin.run_with(CORRECT, correct).await.number("/correctQuestionKey/correctedTests"), 0);
}

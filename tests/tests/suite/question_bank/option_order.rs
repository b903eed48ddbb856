//! Options that keep their positions: in imports, in sittings and in exports.

use std::collections::BTreeSet;
use std::sync::Arc;

use jishu_tests::{Client, Imported, PurchaseInput, SittingPayload, TestApp, on_each_database};
use serde_json::{Value, json};

use super::World;

on_each_database!(
    each_format_keeps_the_order_and_so_do_sittings,
    options_that_point_at_others_keep_their_order_and_the_report_says_so,
    a_changed_order_is_a_version_and_a_correction_keeps_it,
);

/// Three questions. The first shuffles all options, the second keeps their order, and the third fixes options B and E.
const BANK: &str = "// [id:free]\nWhich is red? {=r0 ~r1 ~r2 ~r3}\n\n\
                    // [id:kept] [tag:options:kept]\nWhich is green? {~g0 =g1 ~g2 ~g3}\n\n\
                    // [id:fixed] [tag:options:fixed:BE]\nWhich are blue? {~%50%b0 ~%50%b1 ~b2 ~b3 ~b4}\n";

/// Number of tests of each subject. A learner sits each of them, with an order of options of its own.
const SITTINGS: usize = 12;

/// Buys a subject, and starts a sitting of each of its cards. Returns the sittings.
async fn start_all(learner: &Client, course: &str, subject: &str) -> Vec<SittingPayload> {
    let bought = learner.buy(PurchaseInput::new(course, "SINGLE_SUBJECT", &[&subject.to_owned()])).await;
    let mut started = Vec::new();
    for edge in &bought.cards().edges {
        let payload = learner.start_session(&edge.node.id).await;
        assert_eq!(payload.user_errors, []);
        started.push(payload);
    }
    assert_eq!(started.len(), SITTINGS);
    started
}

/// Returns the texts of the options, in the shown order, of the question with this word in its text.
fn shown(payload: &SittingPayload, word: &str) -> Vec<String> {
    let question = payload.questions().iter().find(|question| question.stem.contains(word)).unwrap();
    question.options.iter().map(|option| option.text.clone()).collect()
}

/// Answers all questions correctly, by the texts of the options. Returns the number of correct answers.
async fn submit(learner: &Client, payload: &SittingPayload) -> i64 {
    let right = ["r0", "g1", "b0", "b1"];
    let answers: Vec<Value> = payload
        .questions()
        .iter()
        .map(|question| {
            let chosen = question.options.iter().filter(|option| right.contains(&option.text.as_str()));
            let ids: Vec<&String> = chosen.map(|option| &option.id).collect();
            json!({ "slot": question.slot, "optionIds": ids })
        })
        .collect();
    learner.submit_session(payload.id(), Some((1, json!(answers)))).await.result().correct
}

async fn each_format_keeps_the_order_and_so_do_sittings(app: Arc<TestApp>) {
    let course = app.course(&["One", "Two", "Three"]).cards(12).create(&app).await;
    let author = app.staff("Meera", jishu_entity::user::Role::Author).await;
    let [gift, moodle, qti] = &course.subjects[..] else { panic!("three subjects") };
    let imported = author.import(gift, BANK).await;
    assert_eq!((imported.counts(), other_remarks(&imported)), ([3, 0, 0, 0], Vec::new()));
    for (format, to) in [("MOODLE_XML", moodle), ("QTI", qti)] {
        let exported = author.export(gift, format).await;
        let imported = author.import(to, &exported.text).await;
        assert_eq!((imported.counts(), other_remarks(&imported)), ([3, 0, 0, 0], Vec::new()), "{format}");
    }
    app.execute("UPDATE subjects SET questions_per_test = 3").await;
    app.services.catalog.reload().await.unwrap();
    let learner = app.learner("Asha").await;
    for subject in &course.subjects {
        let (mut free, mut moved) = (BTreeSet::new(), BTreeSet::new());
        for payload in start_all(&learner, &course.id, subject).await {
            assert_eq!(shown(&payload, "green"), ["g0", "g1", "g2", "g3"]);
            let fixed = shown(&payload, "blue");
            assert_eq!((fixed[1].as_str(), fixed[4].as_str()), ("b1", "b4"), "{fixed:?}");
            moved.insert(fixed);
            free.insert(shown(&payload, "red"));
            // A resumed sitting shows the options in the same order.
            let again = learner.start_session(&card_of(&learner, payload.id()).await).await;
            assert_eq!((again.resumed, shown(&again, "blue")), (true, shown(&payload, "blue")));
            assert_eq!(submit(&learner, &payload).await, 3);
        }
        assert!(free.len() > 4 && moved.len() > 2, "the other options do not move: {free:?} {moved:?}");
    }
    // The exports of all three banks are equal, whatever format their questions came in.
    for subject in &course.subjects {
        for format in ["GIFT", "MOODLE_XML", "QTI"] {
            let exported = author.export(subject, format).await;
            assert_eq!(exported.losses, [], "{format}");
            assert_eq!(exported.text, author.export(gift, format).await.text, "{format}");
            assert_eq!(author.import(subject, &exported.text).await.counts(), [0, 0, 3, 0], "{format}");
        }
        let aiken = author.export(subject, "AIKEN").await;
        let told = aiken.losses.iter().filter(|loss| loss.text.contains("the order of its options")).count();
        assert_eq!(told, 1, "{:?}", aiken.losses);
    }
}

/// Returns the losses of an import, except losses about the marks for each option in a question with several right
/// options.
fn other_remarks(imported: &Imported) -> Vec<&str> {
    let texts = imported.losses.iter().map(|remark| remark.text.as_str());
    texts.filter(|text| !text.contains("marks for each option")).collect()
}

async fn card_of(learner: &Client, session: &str) -> String {
    let document = "query ($id: ID!) { node(id: $id) { ... on TestSession { mockTestAttempt { id } } } }";
    learner.run_with(document, json!({ "id": session })).await.text("/node/mockTestAttempt/id").to_owned()
}

async fn options_that_point_at_others_keep_their_order_and_the_report_says_so(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["One", "Two"]).await;
    let aiken = "Who wrote it?\nA. Both B and C\nB. Asha\nC. Ravi\nD. All of the above\nANSWER: A\n";
    let gift = "// [id:w]\nWho wrote it? {=Both B and C ~Asha ~Ravi ~All of the above}\n";
    for (subject, text) in course.subjects.iter().zip([aiken, gift]) {
        let imported = author.import(subject, text).await;
        assert_eq!(imported.counts(), [1, 0, 0, 0]);
        let [loss] = &imported.losses[..] else { panic!("{imported:?}") };
        assert!(loss.text.contains("keep their order in each sitting, because option A"), "{loss:?}");
        let stored = author.run_with(ORDERS, json!({ "subject": subject })).await;
        let version = stored.at("/questions/edges/0/node/current");
        assert_eq!(version["keepsOptionOrder"], true);
        assert!(version["options"].as_array().unwrap().iter().all(|option| option["keepsPosition"] == true));
        let exported = author.export(subject, "GIFT").await;
        assert_eq!(author.import(subject, &exported.text).await.counts(), [0, 0, 1, 0]);
    }
}

const ORDERS: &str = "query ($subject: ID!, $search: String) { questions(subjectId: $subject, search: $search) {
    edges { node { id externalId current { number keepsOptionOrder options { id text correct keepsPosition } } } } } }";

async fn a_changed_order_is_a_version_and_a_correction_keeps_it(app: Arc<TestApp>) {
    let course = app.course(&["One"]).cards(12).create(&app).await;
    let author = app.staff("Meera", jishu_entity::user::Role::Author).await;
    let subject = &course.subjects[0];
    let free = BANK.replace(" [tag:options:kept]", "").replace(" [tag:options:fixed:BE]", "");
    assert_eq!(author.import(subject, &free).await.counts(), [3, 0, 0, 0]);
    app.execute("UPDATE subjects SET questions_per_test = 3").await;
    app.services.catalog.reload().await.unwrap();
    let learner = app.learner("Asha").await;
    let before = start_all(&learner, &course.id, subject).await;
    let orders = |payload: &SittingPayload| ["red", "green", "blue"].map(|word| shown(payload, word));
    assert!(before.iter().map(orders).collect::<BTreeSet<_>>().len() > 6, "the options are hardly shuffled");

    assert_eq!(author.import(subject, BANK).await.counts(), [0, 2, 1, 0]);
    assert_eq!(author.import(subject, BANK).await.counts(), [0, 0, 3, 0]);
    let read = async || {
        let found = author.run_with(ORDERS, json!({ "subject": subject, "search": "fixed" })).await;
        found.at("/questions/edges/0/node").clone()
    };
    let fixed = read().await;
    let kept = |question: &Value| -> Vec<bool> {
        let options = question["current"]["options"].as_array().unwrap().iter();
        options.map(|option| option["keepsPosition"].as_bool().unwrap()).collect()
    };
    assert_eq!(
        (&fixed["current"]["number"], kept(&fixed)),
        (&json!(2), vec![false, true, false, false, true])
    );
    let correct = "mutation ($input: CorrectQuestionKeyInput!) { correctQuestionKey(input: $input) {
        correctedTests userErrors { code message } } }";
    let key = json!([fixed["current"]["options"][0]["id"], fixed["current"]["options"][2]["id"]]);
    let input = json!({ "questionId": fixed["id"], "correctOptionIds": key, "reason": "Misprint." });
    let corrected = author.run_with(correct, json!({ "input": input })).await;
    assert_eq!(*corrected.at("/correctQuestionKey/userErrors"), json!([]));
    assert_eq!(*corrected.at("/correctQuestionKey/correctedTests"), json!(SITTINGS));
    let after = read().await;
    assert_eq!((&after["current"]["number"], kept(&after)), (&json!(3), kept(&fixed)));

    // Open sittings still show all options in their old order. New sittings of the same papers show the corrected
    // question with its fixed options B and E.
    for (at, payload) in before.iter().enumerate() {
        let card = card_of(&learner, payload.id()).await;
        let resumed = learner.start_session(&card).await;
        assert_eq!(orders(&resumed), orders(payload));
        if at < 3 {
            learner.submit_session(payload.id(), None).await;
            let new = learner.start_session(&card).await;
            let fixed = shown(&new, "blue");
            assert_eq!((fixed[1].as_str(), fixed[4].as_str()), ("b1", "b4"));
        }
    }
}

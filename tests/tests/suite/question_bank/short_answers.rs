//! Short answers: their files, their sittings, their keys and their constraints.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_service::integrity;
use jishu_tests::{Client, SittingPayload, TestApp, on_each_database};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::World;

on_each_database!(
    short_answers_go_through_each_format_that_can_hold_them,
    a_short_answer_is_sat_scored_and_reviewed,
    a_corrected_key_of_texts_reaches_new_sittings,
    rows_that_contradict_the_kind_are_refused,
);

/// Three questions: one accepts two spellings, one distinguishes capitals, and one has a wildcard.
const BANK: &str = "$CATEGORY: Rivers\n\n// [id:river]\nWhich river? {=Kaveri =Cauvery #### It rises in Kodagu.}\n\n\
                    $CATEGORY: Chemistry\n\n// [id:sodium] [tag:case:sensitive]\nThe symbol of sodium is {=Na}.\n\n\
                    // [id:colour]\n[html]<b>Name</b> 2*3 shades. {=gr*y =2\\*3}\n";

async fn short_answers_go_through_each_format_that_can_hold_them(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["One", "Two", "Three"]).await;
    let [from, moodle, qti] = &course.subjects[..] else { panic!("three subjects") };
    let imported = author.import(from, BANK).await;
    assert_eq!((imported.counts(), imported.losses), ([3, 0, 0, 0], Vec::new()));
    let exported = author.export(from, "MOODLE_XML").await;
    assert!(
        exported.losses.is_empty() && exported.text.contains("<usecase>1</usecase>"),
        "{}",
        exported.text
    );
    assert_eq!(author.import(moodle, &exported.text).await.counts(), [3, 0, 0, 0]);
    assert_eq!(author.import(from, &exported.text).await.counts(), [0, 0, 3, 0]);
    assert_eq!(author.export(moodle, "GIFT").await.text, author.export(from, "GIFT").await.text);
    // QTI cannot store wildcards, and Aiken cannot store questions that are answered with a text.
    let exported = author.export(from, "QTI").await;
    let [loss] = &exported.losses[..] else { panic!("{:?}", exported.losses) };
    assert!(loss.external_id.as_deref() == Some("colour") && loss.text.contains("no wildcard"), "{loss:?}");
    let imported = author.import(qti, &exported.text).await;
    assert_eq!((imported.counts(), imported.losses), ([2, 0, 0, 0], Vec::new()));
    assert_eq!(author.import(from, &exported.text).await.counts(), [0, 0, 2, 0]);
    let aiken = author.export(from, "AIKEN").await;
    assert!(aiken.text.is_empty() && aiken.losses.len() == 3, "{aiken:?}");

    let long = format!("Which? {{={}}}", "x".repeat(501));
    let many = format!("Which? {{{}}}", (0..101).map(|number| format!("=x{number} ")).collect::<String>());
    for (bad, told) in [
        ("Which? {=*}", "accepts every text"),
        ("Which? {=%50%a}", "None of its texts has full marks"),
        ("Match. {=a -> 1 =b -> 2 =c -> 3}", "matching question"),
        (long.as_str(), "more than 500 characters"),
        (many.as_str(), "101 accepted texts"),
    ] {
        let refused = author.import(from, bad).await;
        assert_eq!(refused.counts(), [0, 0, 0, 1], "{bad}");
        assert!(refused.refused[0].text.contains(told), "{:?}", refused.refused);
    }
    let cloze = "<quiz><question type=\"cloze\"><questiontext><text>{1:SHORTANSWER:=a}</text></questiontext></question></quiz>";
    let refused = author.import(from, cloze).await;
    assert!(refused.refused[0].text.contains("It is a cloze"), "{:?}", refused.refused);
    assert_eq!(app.number("SELECT COUNT(*) FROM accepted_texts").await, 5 + 5 + 3);
}

/// Imports the bank, and starts a sitting of all its questions. Returns the world, the learner, the card and the
/// sitting.
async fn started(app: &TestApp) -> (World, Client, String, SittingPayload) {
    let course = app.course(&["Physics"]).cards(3).create(app).await;
    let author = app.staff("Meera", Role::Author).await;
    assert_eq!(author.import(&course.subjects[0], BANK).await.counts(), [3, 0, 0, 0]);
    app.execute("UPDATE subjects SET questions_per_test = 3").await;
    app.services.catalog.reload().await.unwrap();
    let learner = app.staff("Asha", Role::Learner).await;
    let card = app.cards(&learner, &course).await.remove(0);
    let payload = learner.start_session(&card).await;
    assert_eq!(payload.user_errors, []);
    (World { course, author }, learner, card, payload)
}

/// Returns answers with these texts to the questions about the river, sodium and the colour. A null removes an answer.
fn answers(payload: &SittingPayload, texts: [Value; 3]) -> Value {
    let [river, sodium, colour] = texts;
    let answer = |question: &jishu_tests::Question| {
        let text = match question.stem.as_str() {
            stem if stem.contains("river") => &river,
            stem if stem.contains("sodium") => &sodium,
            _ => &colour,
        };
        json!({ "slot": question.slot, "text": text })
    };
    payload.questions().iter().map(answer).collect()
}

async fn a_short_answer_is_sat_scored_and_reviewed(app: Arc<TestApp>) {
    let (_, learner, card, payload) = started(&app).await;
    let session = payload.id();
    for question in payload.questions() {
        assert_eq!((question.kind.as_str(), question.options.len()), ("SHORT_ANSWER", 0));
        assert_eq!((&question.correct_texts, question.case_sensitive), (&None, None));
    }
    // Answers are stored as they were typed, with their spaces, capitals and Unicode form.
    let typed = ["  cAUVERY ", "NA", "Gre\u{301}y  stone, gray"].map(|text| json!(text));
    let saved = learner.save_answers(session, 1, answers(&payload, typed.clone())).await;
    assert_eq!(saved.user_errors, []);
    let stored: Vec<Value> = saved
        .questions()
        .iter()
        .map(|question| json!({ "slot": question.slot, "text": question.answer.as_ref().unwrap().text }))
        .collect();
    assert_eq!(json!(stored), answers(&payload, typed));
    // A second batch with the same sequence is superseded. A blank text or a null removes the stored answer.
    let again =
        learner.save_answers(session, 1, answers(&payload, ["x", "y", "z"].map(|text| json!(text)))).await;
    assert_eq!(again.superseded.len(), 3);
    let cleared =
        learner.save_answers(session, 2, answers(&payload, [json!("\u{a0}"), json!(null), json!("")])).await;
    assert!(cleared.questions().iter().all(|question| question.answer.is_none()));
    assert_eq!(app.number("SELECT COUNT(*) FROM test_answers WHERE text IS NOT NULL").await, 0);
    let last = answers(&payload, [json!("CAUVERY"), json!("NA"), json!("a gray grey")]);
    let over = learner.submit_session(session, Some((3, last))).await;
    let result = over.result();
    assert_eq!((result.correct, result.wrong, result.unanswered), (1, 2, 0));
    for question in over.questions() {
        let texts = question.correct_texts.as_deref().expect("the review is open");
        let case = question.case_sensitive;
        match question.stem.as_str() {
            stem if stem.contains("river") => {
                assert_eq!((texts.join("|"), case), ("Kaveri|Cauvery".to_owned(), Some(false)));
            }
            stem if stem.contains("sodium") => {
                assert_eq!((texts.join("|"), case), ("Na".to_owned(), Some(true)));
            }
            _ => assert_eq!((texts.join("|"), case), ("gr*y|2\\*3".to_owned(), Some(false))),
        }
        assert_eq!((&question.correct_option_ids, &question.correct_value), (&None, &None));
    }
    let progress = "{ viewer { progress { bySubject { byTopic { topic correct wrong unanswered } } } } }";
    let progress = learner.run(progress).await;
    let mut topics: Vec<String> = progress
        .list("/viewer/progress/bySubject/0/byTopic")
        .iter()
        .map(|topic| format!("{} {} {}", topic["topic"].as_str().unwrap(), topic["correct"], topic["wrong"]))
        .collect();
    topics.sort();
    assert_eq!(topics, ["Chemistry 0 2", "Rivers 1 0"]);

    // In two more sittings of the card, all answers are right. The answer about the colour matches the wildcard in the
    // first of these sittings, and the literal asterisk in the second.
    let second = learner.start_session(&card).await;
    assert!(second.questions().iter().all(|question| question.correct_texts.is_none()));
    let right = answers(&second, [json!("KAVERI"), json!(" Na"), json!("GReEENISH y")]);
    assert_eq!(learner.submit_session(second.id(), Some((1, right))).await.result().correct, 3);
    let third = learner.start_session(&card).await;
    let right = answers(&third, [json!("kaveri\u{2003}"), json!("Na"), json!("2*3")]);
    assert_eq!(learner.submit_session(third.id(), Some((1, right))).await.result().correct, 3);
}

const QUESTION: &str =
    "query ($subject: ID!, $search: String) { questions(subjectId: $subject, search: $search) {
    edges { node { id fixedTestsWithOtherKey current { number kind options { text } correctValue correctTexts
      caseSensitive } } } } }";
const CORRECT: &str = "mutation ($input: CorrectQuestionKeyInput!) { correctQuestionKey(input: $input) {
    correctedTests question { current { number correctTexts caseSensitive } } userErrors { code message path } } }";

async fn a_corrected_key_of_texts_reaches_new_sittings(app: Arc<TestApp>) {
    let (World { course, author }, learner, card, payload) = started(&app).await;
    let find = async |search: &str| {
        let found =
            author.run_with(QUESTION, json!({ "subject": course.subjects[0], "search": search })).await;
        found.at("/questions/edges/0/node").clone()
    };
    let sodium = find("sodium").await;
    assert_eq!(
        sodium["current"],
        json!({ "number": 1, "kind": "SHORT_ANSWER", "options": [], "correctValue": null, "correctTexts": ["Na"],
                "caseSensitive": true })
    );
    let correct = async |key: Value| {
        let mut input = json!({ "questionId": sodium["id"], "reason": "Both are taught." });
        input.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        author.run_with(CORRECT, json!({ "input": input })).await.at("/correctQuestionKey").clone()
    };
    let texts = |texts: &[&str]| json!({ "correctTexts": texts });
    let events = app.number("SELECT COUNT(*) FROM audit_events").await;
    for (key, code, at, told) in [
        (json!({ "correctValue": "1" }), "QUESTION_KEY_INVALID", "correctValue", "answered with a text"),
        (
            json!({ "correctOptionIds": [] }),
            "QUESTION_KEY_INVALID",
            "correctOptionIds",
            "answered with a text",
        ),
        (
            json!({ "correctTexts": ["Na"], "correctValue": "1" }),
            "QUESTION_KEY_INVALID",
            "correctTexts",
            "only one of",
        ),
        (texts(&[]), "QUESTION_KEY_INVALID", "correctTexts", "0 accepted texts"),
        (texts(&["Na", " "]), "QUESTION_KEY_INVALID", "correctTexts", "text 2 is blank"),
        (texts(&["Na", "**"]), "QUESTION_KEY_INVALID", "correctTexts", "every text"),
        (texts(&["a\u{0}"]), "QUESTION_KEY_INVALID", "correctTexts", "control character"),
        (texts(&[" Na "]), "QUESTION_KEY_UNCHANGED", "questionId", "already has this key"),
    ] {
        let refused = correct(key.clone()).await;
        let error = &refused["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!(code), &json!(["input", at])), "{key}");
        assert!(error["message"].as_str().unwrap().contains(told), "{error}");
    }
    let author_of_options =
        json!({ "questionId": find("river").await["id"], "reason": "No.", "correctValue": "1" });
    let refused = author.run_with(CORRECT, json!({ "input": author_of_options })).await;
    assert_eq!(refused.text("/correctQuestionKey/userErrors/0/code"), "QUESTION_KEY_INVALID");
    assert_eq!(app.number("SELECT COUNT(*) FROM audit_events").await, events);

    let corrected = correct(json!({ "correctTexts": ["Na", "Na+", "na"], "caseSensitive": false })).await;
    assert_eq!(corrected["userErrors"], json!([]));
    assert_eq!(corrected["correctedTests"], 1);
    assert_eq!(
        corrected["question"]["current"],
        json!({ "number": 2, "correctTexts": ["Na", "Na+"], "caseSensitive": false })
    );
    // The open sitting keeps the old key, and a new sitting has the corrected key.
    let given = |payload: &SittingPayload| answers(payload, [json!("-"), json!("NA+"), json!("-")]);
    let old = learner.submit_session(payload.id(), Some((1, given(&payload)))).await;
    assert_eq!(old.result().correct, 0);
    let new = learner.start_session(&card).await;
    assert_eq!(learner.submit_session(new.id(), Some((1, given(&new)))).await.result().correct, 1);
    // An old file does not undo the correction, and a file with the same texts in another order changes no key.
    assert_eq!(author.import(&course.subjects[0], BANK).await.counts(), [0, 0, 2, 1]);
    let reordered = BANK.replace("=Kaveri =Cauvery", "=cauvery =KAVERI");
    let reordered = reordered.replace("[tag:case:sensitive]", "").replace("{=Na}", "{=na+ =NA}");
    assert_eq!(author.import(&course.subjects[0], &reordered).await.counts(), [0, 2, 1, 0]);
    assert_eq!(find("sodium").await["fixedTestsWithOtherKey"], 0);
}

async fn rows_that_contradict_the_kind_are_refused(app: Arc<TestApp>) {
    let (_, learner, _, payload) = started(&app).await;
    learner.save_answers(payload.id(), 1, answers(&payload, [json!("a"), json!("b"), json!("c")])).await;
    for (sql, check) in [
        ("UPDATE test_answers SET chosen = 1", "check_test_answers_text"),
        ("UPDATE test_answers SET numeric_value = '1'", "check_test_answers_text"),
        ("UPDATE question_versions SET kind = 'short'", "check_question_versions_kind"),
        (
            "UPDATE question_versions SET keeps_options = NOT keeps_options, fixed_options = 2",
            "check_question_versions_fixed_options",
        ),
        ("UPDATE question_versions SET fixed_options = -1", "check_question_versions_fixed_options"),
        (
            "UPDATE question_versions SET kind = 'single_choice' WHERE is_case_sensitive",
            "check_question_versions_case",
        ),
    ] {
        let refused = app.connection().execute_unprepared(sql).await.expect_err(sql).to_string();
        assert!(refused.contains(check), "{sql}: {refused}");
    }
    assert_eq!(integrity::examine(app.connection()).await.unwrap(), []);
    app.execute("DELETE FROM accepted_texts WHERE text = 'Na'").await;
    let found = integrity::examine(app.connection()).await.unwrap();
    assert!(found.len() == 1 && found[0].to_string().contains("has no accepted text"), "{found:?}");
}

//! Requests about sittings that are refused: each gets an error and changes nothing.

use std::sync::Arc;

use jishu_tests::{Question, TestApp, on_each_database};
use serde_json::{Value, json};

use super::{World, id, questions, refusal};

on_each_database!(
    cards_that_cannot_be_sat_are_refused,
    answers_that_cannot_be_are_refused,
    sittings_of_others_do_not_exist,
    a_bank_with_too_few_questions_is_reported,
);

async fn cards_that_cannot_be_sat_are_refused(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let binod = app.learner("Binod").await;
    let before = app.row_counts().await;
    for card in
        [world.card.as_str(), "nonsense", &app.global("MockTestAttempt", 999), &app.global("Subject", 1)]
    {
        assert_eq!(refusal(&binod.start_session(card).await), "MOCK_TEST_ATTEMPT_NOT_FOUND", "{card}");
    }
    let (code, _) = app
        .anonymous()
        .fail("mutation { startTestSession(input: { mockTestAttemptId: \"x\" }) { resumed } }", Value::Null)
        .await;
    assert_eq!(code, "UNAUTHENTICATED");
    app.execute("UPDATE entitlements SET ended_at = granted_at").await;
    assert_eq!(refusal(&world.learner.start_session(&world.card).await), "ENTITLEMENT_ENDED");
    assert_eq!(app.number("SELECT COUNT(*) FROM papers").await, 0, "a refused start made a paper");
    app.execute("UPDATE entitlements SET ended_at = NULL").await;
    app.execute("UPDATE users SET status = 'deactivated'").await;
    assert_eq!(refusal(&world.learner.start_session(&world.card).await), "ACCOUNT_INACTIVE");
    assert_eq!(app.row_counts().await, before);
}

async fn answers_that_cannot_be_are_refused(app: Arc<TestApp>) {
    let world = World::new(&app, 8).await;
    let started = world.learner.start_session(&world.card).await;
    let session = id(&started);
    let of = |kind: &str| questions(&started).iter().find(|question| question.kind == kind).unwrap();
    let (single, multiple, numeric) = (of("SINGLE_CHOICE"), of("MULTIPLE_CHOICE"), of("NUMERIC"));
    let text = of("SHORT_ANSWER");
    let option = |question: &Question, at: usize| question.options[at].id.clone();
    let answer = |question: &Question, more: Value| {
        let mut answer = json!({ "slot": question.slot });
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    };
    let before = app.row_counts().await;
    let good = answer(single, json!({ "optionIds": [option(single, 0)] }));
    for (bad, said) in [
        (json!({ "slot": 0, "optionIds": [] }), "no slot 0; its slots are 1 to 8"),
        (json!({ "slot": 9, "optionIds": [] }), "no slot 9"),
        (json!({ "slot": -2_147_483_648, "optionIds": [] }), "no slot"),
        (answer(single, json!({ "flagged": true })), "Use `optionIds`, `numericValue` or `text`"),
        (answer(single, json!({ "optionIds": [option(single, 0), option(single, 1)] })), "takes one option"),
        (answer(single, json!({ "optionIds": [option(multiple, 0)] })), "options of this slot"),
        (answer(single, json!({ "optionIds": ["1"] })), "options of this slot"),
        (answer(single, json!({ "numericValue": "1" })), "Give `optionIds`"),
        (answer(multiple, json!({ "text": "a" })), "Give `optionIds`"),
        (answer(numeric, json!({ "text": "1" })), "Give `numericValue`"),
        (answer(text, json!({ "numericValue": "1" })), "Give `text`"),
        (answer(text, json!({ "optionIds": [option(single, 0)] })), "Give `text`"),
        (answer(text, json!({ "text": "é".repeat(501) })), "at most 500 characters. Shorten `text`"),
        (answer(text, json!({ "text": "a\u{0}" })), "control character"),
        (answer(text, json!({ "text": "a\u{7f}b" })), "control character"),
        (answer(numeric, json!({ "optionIds": [option(single, 0)] })), "Give `numericValue`"),
        (answer(numeric, json!({ "numericValue": "-" })), "is a number of at most 28 digits"),
        (answer(numeric, json!({ "numericValue": "1_000" })), "is a number"),
        (answer(numeric, json!({ "numericValue": "12x" })), "is a number"),
        (answer(numeric, json!({ "numericValue": "1e99" })), "is a number"),
        (answer(numeric, json!({ "numericValue": "9".repeat(40) })), "is a number"),
        // The number has too many decimal places. The server does not round it.
        (answer(numeric, json!({ "numericValue": format!("0.{}1", "0".repeat(28)) })), "is a number"),
        (answer(single, json!({ "optionIds": [], "timeSpentSeconds": -1 })), "Correct `timeSpentSeconds`"),
    ] {
        let saved = world.learner.save_answers(&session, 1, json!([good, bad])).await;
        assert_eq!(refusal(&saved), "ANSWER_INVALID", "{bad}");
        let error = saved.error();
        assert!(error.message.contains(said), "{error:?}");
        assert_eq!(
            (error.path.join("."), &error.more["slots"]),
            ("input.answers".to_owned(), &json!([bad["slot"]]))
        );
        let submitted = world.learner.submit_session(&session, Some((1, json!([bad])))).await;
        assert_eq!(refusal(&submitted), "ANSWER_INVALID");
        assert_eq!(submitted.session().status, "IN_PROGRESS");
    }
    for sequence in [0, -1, 1_000_001, i64::from(i32::MAX)] {
        let saved = world.learner.save_answers(&session, sequence, json!([good])).await;
        assert_eq!(refusal(&saved), "ANSWER_INVALID");
        assert_eq!(saved.error().path, ["input", "sequence"]);
    }
    for count in [0, 201] {
        let saved = world.learner.save_answers(&session, 1, json!(vec![&good; count])).await;
        assert!(saved.error().message.contains("1 to 200 answers"));
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(app.number("SELECT COUNT(*) FROM test_answers").await, 0);
}

async fn sittings_of_others_do_not_exist(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let session = id(&started);
    let answers = super::answers(&started, 2, 0);
    let binod = app.learner("Binod").await;
    let before = app.row_counts().await;
    for id in [session.as_str(), "nonsense", &app.global("TestSession", 99), &app.global("Subject", 1)] {
        for payload in [
            binod.save_answers(id, 1, answers.clone()).await,
            binod.submit_session(id, None).await,
            binod.submit_session(id, Some((1, answers.clone()))).await,
        ] {
            assert_eq!(refusal(&payload), "TEST_SESSION_NOT_FOUND", "{id}");
            assert_eq!(payload.session, None);
        }
    }
    assert_eq!(app.row_counts().await, before);
}

async fn a_bank_with_too_few_questions_is_reported(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    world.set(&app, "questions_per_test", "5").await;
    let before = app.row_counts().await;
    let started = world.learner.start_session(&world.card).await;
    assert_eq!(refusal(&started), "TOO_FEW_QUESTIONS");
    let message = &started.error().message;
    assert!(message.contains("has 4 of 5 questions"), "{message}");
    assert_eq!(app.row_counts().await, before);
    let card = world.card().await;
    assert_eq!((&card["status"], &card["attemptsUsed"]), (&json!("AVAILABLE"), &json!(0)));
}

//! `updateTestSettings`: who may use it, which values it refuses, and the settings that a subject then shows.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_service::account::{self, Registration};
use jishu_tests::{Client, TestApp, on_each_database};
use serde_json::{Value, json};

use super::{World, id, questions};

on_each_database!(authors_change_the_settings_of_tests, settings_that_cannot_be_are_refused, others_may_not);

const UPDATE: &str = "mutation ($input: UpdateTestSettingsInput!) { updateTestSettings(input: $input) {
    subject { markingScheme { correct wrong unanswered questionsPerTest timeLimitSeconds maxAttempts gradingMethod review
      blueprint { topic difficulty questions } } }
    userErrors { code message path } } }";

async fn signed_in(app: &TestApp, role: Role) -> Client {
    let name = format!("{role:?}");
    let registration = Registration {
        email: format!("{}@example.com", name.to_lowercase()),
        name: name.clone(),
        password: "correct horse battery".to_owned(),
        role,
        birth_year: None,
    };
    account::create(&app.services, registration).await.unwrap();
    app.learner_again(&name).await
}

async fn authors_change_the_settings_of_tests(app: Arc<TestApp>) {
    let world = World::new(&app, 12).await;
    let author = signed_in(&app, Role::Author).await;
    let subject = &world.course.subjects[0];
    let input = json!({ "subjectId": subject, "correct": "3", "wrong": "-0.75", "timeLimitSeconds": 600, "maxAttempts": 5,
        "gradingMethod": "AVERAGE", "review": "NEVER", "blueprint": [
            { "topic": "Optics", "questions": 2 }, { "difficulty": "MEDIUM", "questions": 3 }] });
    let answer = author.run_with(UPDATE, json!({ "input": input })).await;
    assert_eq!(
        *answer.at("/updateTestSettings"),
        json!({ "userErrors": [], "subject": { "markingScheme": {
            "correct": "3.00", "wrong": "-0.75", "unanswered": "0.00", "questionsPerTest": 5, "timeLimitSeconds": 600,
            "maxAttempts": 5, "gradingMethod": "AVERAGE", "review": "NEVER", "blueprint": [
                { "topic": "Optics", "difficulty": null, "questions": 2 },
                { "topic": null, "difficulty": "MEDIUM", "questions": 3 }] } } })
    );
    let started = world.learner.start_session(&world.card).await;
    assert_eq!(questions(&started).len(), 5);
    let last = Some((1, super::answers(&started, 1, 1)));
    let submitted = world.learner.submit_session(&id(&started), last).await;
    assert_eq!(submitted.result().score, "2.25");
    assert!(questions(&submitted).iter().all(|question| question.marks.is_none()), "never");

    let input = json!({ "subjectId": subject, "blueprint": [], "questionsPerTest": 7 });
    let answer = author.run_with(UPDATE, json!({ "input": input })).await;
    let scheme = answer.at("/updateTestSettings/subject/markingScheme");
    assert_eq!((&scheme["questionsPerTest"], &scheme["blueprint"]), (&json!(7), &json!([])));
    assert_eq!(scheme["wrong"], "-0.75", "a mark that was not given has changed");
    let audited = "SELECT COUNT(*) FROM audit_events WHERE action = 'subject.test_settings_changed'";
    assert_eq!(app.number(audited).await, 2);
}

async fn settings_that_cannot_be_are_refused(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let author = signed_in(&app, Role::Admin).await;
    let before = app.row_counts().await;
    for (change, argument) in [
        (json!({}), "subjectId"),
        (json!({ "correct": "4.001" }), "correct"),
        (json!({ "wrong": "-1000.01" }), "wrong"),
        (json!({ "unanswered": "79228162514264337593543950335" }), "unanswered"),
        // A right answer must earn more than 0 marks, more than a wrong answer, and more than no answer.
        (json!({ "correct": "-4", "wrong": "-5", "unanswered": "-6" }), "correct"),
        (json!({ "correct": "0", "wrong": "-1", "unanswered": "-1" }), "correct"),
        (json!({ "correct": "1", "unanswered": "1" }), "correct"),
        (json!({ "wrong": "4" }), "correct"),
        (json!({ "unanswered": "4.01" }), "correct"),
        (json!({ "questionsPerTest": 0 }), "questionsPerTest"),
        (json!({ "questionsPerTest": 201 }), "questionsPerTest"),
        (json!({ "timeLimitSeconds": 9 }), "timeLimitSeconds"),
        (json!({ "timeLimitSeconds": 86_401 }), "timeLimitSeconds"),
        (json!({ "maxAttempts": 0 }), "maxAttempts"),
        (json!({ "blueprint": [{ "questions": 0 }] }), "blueprint.questions"),
        (json!({ "blueprint": [{ "questions": 101 }, { "questions": 100 }] }), "blueprint"),
        (json!({ "blueprint": [{ "topic": "Alchemy", "questions": 1 }] }), "blueprint"),
        (json!({ "blueprint": [{ "questions": 2 }], "questionsPerTest": 3 }), "questionsPerTest"),
    ] {
        let mut input = json!({ "subjectId": world.course.subjects[0] });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = author.run_with(UPDATE, json!({ "input": input })).await;
        let error = answer.at("/updateTestSettings/userErrors/0");
        assert_eq!(
            (&error["code"], &error["path"]),
            (&json!("TEST_SETTINGS_INVALID"), &json!(["input", argument])),
            "{change}"
        );
        assert_eq!(*answer.at("/updateTestSettings/subject"), Value::Null);
    }
    let answer = author
        .run_with(UPDATE, json!({ "input": { "subjectId": app.global("Subject", 99), "maxAttempts": 2 } }))
        .await;
    assert_eq!(answer.text("/updateTestSettings/userErrors/0/code"), "SUBJECT_NOT_FOUND");
    assert_eq!(app.row_counts().await, before);
    let scheme = "{ courses { edges { node { subjects { edges { node { markingScheme { correct questionsPerTest } } } } } } } }";
    let shown = world.learner.run(scheme).await;
    let scheme = shown.at("/courses/edges/0/node/subjects/edges/0/node/markingScheme");
    assert_eq!(*scheme, json!({ "correct": "4.00", "questionsPerTest": 4 }));
}

async fn others_may_not(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let support = signed_in(&app, Role::Support).await;
    let variables = json!({ "input": { "subjectId": world.course.subjects[0], "maxAttempts": 9 } });
    for (client, expected) in
        [(&world.learner, "FORBIDDEN"), (&support, "FORBIDDEN"), (&app.anonymous(), "UNAUTHENTICATED")]
    {
        let (code, _) = client.fail(UPDATE, variables.clone()).await;
        assert_eq!(code, expected);
    }
    assert_eq!(app.number("SELECT MAX(max_attempts) FROM subjects").await, 3);
}

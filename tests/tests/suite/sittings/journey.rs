//! Sittings from their start to their result, the grade of a card, and lists of sittings.

use std::sync::Arc;

use chrono::TimeDelta;
use insta::{allow_duplicates, assert_debug_snapshot};
use jishu_service::clock::Clock;
use jishu_tests::{EXPLANATION, NUMBER, SittingPayload, TOLERANCE, TestApp, on_each_database};
use serde_json::{Value, json};

use super::{World, accepted, answers, id, questions, refusal};

on_each_database!(
    a_test_is_sat_from_start_to_result,
    three_sittings_and_no_fourth,
    a_card_is_graded_in_four_ways,
    an_average_is_read_for_a_whole_page_at_once,
    lists_of_sittings_have_pages,
);

async fn a_test_is_sat_from_start_to_result(app: Arc<TestApp>) {
    let world = World::new(&app, 8).await;
    let asha = &world.learner;
    let started = asha.start_session(&world.card).await;
    accepted(&started);
    let session = started.session();
    assert_eq!((session.status.as_str(), session.attempt_number), ("IN_PROGRESS", 1));
    assert_eq!((started.resumed, session.answer_sequence), (false, 0));
    assert_eq!(session.started_at, time(app.clock.now()));
    assert_eq!(session.expires_at, time(app.clock.now() + TimeDelta::hours(1)));
    assert_eq!((&session.submitted_at, &session.result), (&None, &None));
    assert_eq!(questions(&started).len(), 8);

    let resumed = asha.start_session(&world.card).await;
    assert!(resumed.resumed);
    assert_eq!(resumed.session(), session, "the resumed sitting differs from the one that was started");
    assert_eq!(world.card().await["status"], "IN_PROGRESS");
    assert_eq!(world.card().await["openSession"]["id"], session.id);

    app.clock.advance(TimeDelta::minutes(10));
    let saved = asha.save_answers(&id(&started), 1, answers(&started, 5, 2)).await;
    accepted(&saved);
    assert_eq!((saved.superseded.len(), saved.session().answer_sequence), (0, 1));
    assert!(questions(&saved)[6].answer.is_some() && questions(&saved)[7].answer.is_none());

    app.clock.advance(TimeDelta::minutes(5));
    let submitted = asha.submit_session(&id(&started), None).await;
    accepted(&submitted);
    let session = submitted.session();
    assert_eq!((session.status.as_str(), &session.submitted_at), ("SUBMITTED", &Some(time(app.clock.now()))));
    // The test runs once for each database, so it asserts the same snapshot several times.
    allow_duplicates! {
        assert_debug_snapshot!(submitted.result(), @r#"
        SessionResult {
            score: "18.00",
            max_score: "32.00",
            percentage: "56.25",
            correct: 5,
            wrong: 2,
            unanswered: 1,
            time_taken_seconds: 900,
        }
        "#);
    }
    let marks: Vec<_> =
        questions(&submitted).iter().map(|question| question.marks.as_deref().unwrap()).collect();
    assert_eq!(marks, ["4.00", "4.00", "4.00", "4.00", "4.00", "-1.00", "-1.00", "0.00"]);
    for question in questions(&submitted) {
        let number = question.stem.trim_start_matches("Question ");
        assert_eq!(question.explanation, Some(format!("{EXPLANATION} {number}")));
        if question.kind == "NUMERIC" {
            assert_eq!(question.correct_value, Some(format!("{number}{NUMBER}")));
            assert_eq!(question.tolerance.as_deref(), Some(TOLERANCE));
        } else if question.kind == "SHORT_ANSWER" {
            assert_eq!(question.correct_option_ids, None);
            assert!(question.correct_texts.as_ref().is_some_and(|texts| !texts.is_empty()));
        } else if question.slot <= 5 {
            let given = question.answer.as_ref().map(|answer| &answer.option_ids);
            assert_eq!(
                question.correct_option_ids.as_ref(),
                given,
                "the review shows other correct options than the right answer has"
            );
        }
    }

    let again = asha.submit_session(&id(&started), None).await;
    assert_eq!(again, submitted, "the repeated submission has another result");
    let late = asha.save_answers(&id(&started), 2, answers(&started, 8, 0)).await;
    assert_eq!(refusal(&late), "TEST_SESSION_CLOSED");
    assert_eq!(late.session(), session);
    let card = world.card().await;
    assert_eq!(
        card,
        json!({ "status": "COMPLETED", "attemptsUsed": 1, "remainingAttempts": 2, "latestScore": "18.00",
                "latestPercentage": "56.25", "firstScore": "18.00", "bestScore": "18.00", "grade": "18.00",
                "openSession": null,
                "sessions": { "totalCount": 1, "edges": [{ "node": { "attemptNumber": 1, "status": "SUBMITTED" } }] } })
    );
}

fn time(at: chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// Sits a test with `right` right answers, and leaves the other questions unanswered.
async fn sit(world: &World, right: usize) -> SittingPayload {
    let started = world.learner.start_session(&world.card).await;
    accepted(&started);
    let submitted = world.learner.submit_session(&id(&started), Some((1, answers(&started, right, 0)))).await;
    accepted(&submitted);
    submitted
}

async fn three_sittings_and_no_fourth(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let mut stems = Vec::new();
    for (attempt, right) in (1..).zip(1..=3) {
        let submitted = sit(&world, right).await;
        assert_eq!(submitted.session().attempt_number, attempt);
        stems.push(questions(&submitted).iter().map(|question| question.stem.clone()).collect::<Vec<_>>());
    }
    assert!(stems.iter().all(|paper| *paper == stems[0]), "the paper has changed between sittings");
    let card = world.card().await;
    assert_eq!((&card["status"], &card["remainingAttempts"]), (&json!("EXHAUSTED"), &json!(0)));
    assert_eq!((&card["firstScore"], &card["bestScore"]), (&json!("4.00"), &json!("12.00")));
    let before = app.row_counts().await;
    let fourth = world.learner.start_session(&world.card).await;
    assert_eq!(refusal(&fourth), "ATTEMPTS_EXHAUSTED");
    assert_eq!(fourth.error().more["maxAttempts"], 3);
    assert_eq!(fourth.session, None);
    assert_eq!(app.row_counts().await, before);
}

async fn a_card_is_graded_in_four_ways(app: Arc<TestApp>) {
    let world = World::new(&app, 8).await;
    assert_eq!(world.card().await["grade"], Value::Null);
    for right in [3, 8, 2] {
        sit(&world, right).await;
    }
    for (method, grade) in
        [("latest", "8.00"), ("highest", "32.00"), ("first", "12.00"), ("average", "17.33")]
    {
        world.set(&app, "grading_method", &format!("'{method}'")).await;
        assert_eq!(world.card().await["grade"], grade, "{method}");
    }
}

async fn an_average_is_read_for_a_whole_page_at_once(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    world.set(&app, "grading_method", "'average'").await;
    let cards = "{ viewer { mockTestAttempts { edges { node { id grade openSession { id } } } } } }";
    let all = world.learner.run(cards).await;
    for card in all.list("/viewer/mockTestAttempts/edges") {
        let started = world.learner.start_session(card["node"]["id"].as_str().unwrap()).await;
        world.learner.submit_session(&id(&started), Some((1, answers(&started, 1, 0)))).await;
        world.learner.start_session(card["node"]["id"].as_str().unwrap()).await;
    }
    let all = world.learner.run(cards).await;
    let nodes = all.list("/viewer/mockTestAttempts/edges");
    assert_eq!(nodes.len(), 3);
    assert!(
        nodes
            .iter()
            .all(|card| card["node"]["grade"] == "4.00" && card["node"]["openSession"]["id"].is_string())
    );
    let is_of_cards = |sql: &str| sql.contains("mock_test_attempt");
    let statements = app
        .fewest_statements(3, is_of_cards, async || {
            world.learner.run(cards).await;
        })
        .await;
    assert_eq!(statements.len(), 3, "{statements:#?}");
}

async fn lists_of_sittings_have_pages(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    for right in 1..=3 {
        sit(&world, right).await;
    }
    let page = |arguments: &str| {
        format!(
            "{{ viewer {{ testSessions({arguments}) {{ totalCount pageInfo {{ hasNextPage hasPreviousPage endCursor }}
               edges {{ node {{ id attemptNumber result {{ score }} }} }} }} }} }}"
        )
    };
    let numbers = |answer: &jishu_tests::GraphqlResponse| -> Vec<i64> {
        let edges = answer.list("/viewer/testSessions/edges");
        edges.iter().map(|edge| edge["node"]["attemptNumber"].as_i64().unwrap()).collect()
    };
    let first = world.learner.run(&page("first: 2")).await;
    assert_eq!(numbers(&first), [3, 2], "the newest sitting is not the first");
    assert_eq!(first.number("/viewer/testSessions/totalCount"), 3);
    let cursor = first.text("/viewer/testSessions/pageInfo/endCursor");
    let rest = world.learner.run(&page(&format!("first: 2, after: {cursor:?}"))).await;
    assert_eq!(numbers(&rest), [1]);
    assert_eq!(rest.at("/viewer/testSessions/pageInfo/hasPreviousPage"), true);
    let node = first.text("/viewer/testSessions/edges/0/node/id");
    let document = "query ($id: ID!) { node(id: $id) { __typename id ... on TestSession {
        subject { name } mockTestAttempt { testNumber } serverTime
        paper { questions timeLimitSeconds correct wrong unanswered } } } }";
    let answer = world.learner.run_with(document, json!({ "id": node })).await;
    assert_eq!(answer.text("/node/subject/name"), "Physics");
    assert_eq!(answer.number("/node/mockTestAttempt/testNumber"), 1);
    assert_eq!(
        *answer.at("/node/paper"),
        json!({ "questions": 4, "timeLimitSeconds": 3600, "correct": "4.00", "wrong": "-1.00", "unanswered": "0.00" })
    );
    assert_eq!(*answer.at("/node/serverTime"), time(app.clock.now()));
    let stranger = app.learner("Binod").await;
    let answer = stranger.run_with(document, json!({ "id": node })).await;
    assert_eq!(*answer.at("/node"), Value::Null);
}

//! Deadlines of sittings, and how the server closes overdue ones.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_service::session::{self, OverdueReport};
use jishu_tests::{TestApp, on_each_database};
use sea_orm::DbBackend;
use serde_json::{Value, json};

use super::{World, accepted, answers, id, refusal};

on_each_database!(
    a_sitting_ends_at_its_deadline,
    a_late_submission_gets_what_was_saved_in_time,
    a_start_after_the_deadline_is_the_next_sitting,
    overdue_sittings_are_closed_once_by_two_workers,
);

async fn state(world: &World, session: &str) -> Value {
    let document = "query ($id: ID!) { node(id: $id) { ... on TestSession {
        status startedAt expiresAt submittedAt result { score correct unanswered timeTakenSeconds } } } }";
    world.learner.run_with(document, json!({ "id": session })).await.at("/node").clone()
}

/// Closes overdue sittings until no sitting is open. The server's own worker may close some of them.
async fn close_all(app: &TestApp) {
    while app.number("SELECT COUNT(*) FROM test_sessions WHERE open_marker = 1").await > 0 {
        session::close_overdue(&app.services).await.unwrap();
    }
}

async fn a_sitting_ends_at_its_deadline(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let session = id(&started);
    world.learner.save_answers(&session, 1, answers(&started, 3, 0)).await;
    app.clock.advance(TimeDelta::seconds(3_600 + 5));
    let report = session::close_overdue(&app.services).await.unwrap();
    assert_eq!(report, OverdueReport::default(), "a sitting was closed in its grace time");
    assert_eq!(state(&world, &session).await["status"], "IN_PROGRESS");
    app.clock.advance(TimeDelta::days(2));
    close_all(&app).await;
    let after = state(&world, &session).await;
    assert_eq!(after["status"], "AUTO_SUBMITTED");
    assert_eq!(after["submittedAt"], after["expiresAt"], "the sitting did not end at its deadline");
    assert_eq!(
        after["result"],
        json!({ "score": "12.00", "correct": 3, "unanswered": 1, "timeTakenSeconds": 3600 })
    );
    assert_eq!(world.card().await["status"], "COMPLETED");

    let second = world.learner.start_session(&world.card).await;
    app.clock.advance(TimeDelta::days(2));
    close_all(&app).await;
    let after = state(&world, &id(&second)).await;
    assert_eq!((&after["status"], &after["result"]["score"]), (&json!("ABANDONED"), &json!("0.00")));
    assert_eq!(world.card().await["attemptsUsed"], 2);
}

async fn a_late_submission_gets_what_was_saved_in_time(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    world.learner.save_answers(&id(&started), 1, answers(&started, 2, 0)).await;
    app.clock.advance(TimeDelta::hours(3));
    let submitted = world.learner.submit_session(&id(&started), Some((2, answers(&started, 4, 0)))).await;
    let code = refusal(&submitted);
    assert!(code == "TEST_SESSION_OVERDUE" || code == "TEST_SESSION_CLOSED", "{code}");
    assert_eq!(
        submitted.error().more["slots"],
        json!([3, 4]),
        "the error names other slots than those whose answers are not stored"
    );
    let session = submitted.session();
    assert_eq!((session.status.as_str(), submitted.result().score.as_str()), ("AUTO_SUBMITTED", "8.00"));
    assert_eq!(session.submitted_at.as_ref(), Some(&session.expires_at));
    for last in [None, Some((3, answers(&started, 2, 0)))] {
        let again = world.learner.submit_session(&id(&started), last).await;
        accepted(&again);
        assert_eq!(again.session(), session);
    }
}

async fn a_start_after_the_deadline_is_the_next_sitting(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    for (attempt, right) in (1..).zip(1..=3) {
        let started = world.learner.start_session(&world.card).await;
        accepted(&started);
        assert_eq!(started.session().attempt_number, attempt);
        world.learner.save_answers(&id(&started), 1, answers(&started, right, 0)).await;
        app.clock.advance(TimeDelta::hours(2));
    }
    let fourth = world.learner.start_session(&world.card).await;
    assert_eq!(refusal(&fourth), "ATTEMPTS_EXHAUSTED");
    let card = world.card().await;
    assert_eq!(
        (&card["status"], &card["latestScore"]),
        (&json!("EXHAUSTED"), &json!("12.00")),
        "the third sitting was not closed"
    );
    assert_eq!((&card["firstScore"], &card["sessions"]["totalCount"]), (&json!("4.00"), &json!(3)));
}

/// Opens `sittings` sittings, a multiple of 50, and saves 0 to 4 right answers in each. Returns the number of right
/// answers in each sitting.
async fn sit_many(app: &TestApp, sittings: usize) -> Vec<usize> {
    const SITTINGS_PER_LEARNER: usize = 50;
    let course = app.course(&["Physics"]).cards(50).create(app).await;
    app.bank(course.subject_rows[0], 4).await;
    let mut starting = Vec::new();
    for number in 0..(sittings / SITTINGS_PER_LEARNER) {
        let learner = app.learner(&format!("Learner{number}")).await;
        app.cards(&learner, &course).await;
        let cards = learner.run("{ viewer { mockTestAttempts(first: 50) { edges { node { id } } } } }").await;
        for card in cards.list("/viewer/mockTestAttempts/edges") {
            starting.push((
                learner.clone(),
                card["node"]["id"].as_str().unwrap().to_owned(),
                starting.len() % 5,
            ));
        }
    }
    for some in starting.chunks(8) {
        let each = some.iter().map(async |(learner, card, right)| {
            let started = learner.start_session(card).await;
            if *right > 0 {
                accepted(&learner.save_answers(&id(&started), 1, answers(&started, *right, 0)).await);
            }
        });
        futures_util::future::join_all(each).await;
    }
    starting.into_iter().map(|(_, _, right)| right).collect()
}

/// Two nodes close the same 200 overdue sittings at once, or as many as the variable `OVERDUE` says.
async fn overdue_sittings_are_closed_once_by_two_workers(app: Arc<TestApp>) {
    let sittings = std::env::var("OVERDUE").ok().and_then(|sittings| sittings.parse().ok()).unwrap_or(200);
    let right = sit_many(&app, sittings).await;
    let all = i64::try_from(right.len()).unwrap();
    let node = app.second_node().await;
    app.clock.advance(TimeDelta::days(1));
    let began = std::time::Instant::now();
    let workers = [&app.services, &node.services].map(session::close_overdue);
    let reports = futures_util::future::try_join_all(workers).await.unwrap();
    close_all(&app).await;
    eprintln!("{sittings} overdue sittings were closed in {:?}: {reports:?}", began.elapsed());
    // One node may have closed all sittings, because SQLite does not share its lock fairly.
    let were_due = |report: &OverdueReport| report.closed + report.settled_meanwhile > 0;
    assert!(
        reports.iter().all(were_due),
        "a node neither closed a sitting nor found a sitting that the other node had closed"
    );

    let count = async |what: &str| app.number(&format!("SELECT COUNT(*) FROM {what}")).await;
    assert_eq!(
        count("test_sessions WHERE submitted_at = expires_at AND time_taken_seconds = 3600").await,
        all
    );
    for number in 0..=4 {
        let status = if number == 0 { "abandoned" } else { "auto_submitted" };
        let scored = format!("score = {} AND correct = {number} AND status = '{status}'", number * 400);
        let due = right.iter().filter(|right| **right == number).count();
        assert_eq!(
            count(&format!("test_sessions WHERE {scored}")).await,
            i64::try_from(due).unwrap(),
            "{number}"
        );
    }
    assert_eq!(
        count("audit_events WHERE action = 'test_session.closed'").await,
        all,
        "not every sitting was closed exactly once"
    );
    assert_eq!(
        count("mock_test_attempts WHERE latest_score IS NOT NULL AND status = 'completed'").await,
        all
    );
    let whole = if app.services.database.backend() == DbBackend::MySql { "SIGNED" } else { "BIGINT" };
    let sum = async |what: &str, of: &str| {
        app.number(&format!("SELECT CAST(SUM({what}) AS {whole}) FROM {of}")).await
    };
    assert_eq!(
        sum("learners", "paper_scores").await,
        all,
        "a learner was not counted exactly once for each paper"
    );
    let marks = i64::try_from(right.iter().sum::<usize>()).unwrap() * 400;
    assert_eq!(sum("score", "topic_totals").await, marks);
    node.stop().await;
}

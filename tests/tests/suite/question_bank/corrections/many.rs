//! Corrections while sittings start, several corrections of a paper, a correction of many tests, overdue sittings of a
//! corrected test, and corrections in a schema that is migrated down and up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_tests::{Backend, TestApp, on_each_database};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use super::{CORRECT, World, answers, at, session, sit, taught};

on_each_database!(
    a_start_takes_either_version_whole,
    a_start_that_waited_takes_the_key_that_was_corrected_meanwhile,
    a_paper_takes_corrections_one_after_the_other,
    an_overdue_sitting_is_closed_by_the_key_it_started_with,
    the_schema_goes_down_and_up_with_corrections_in_it,
);

/// Starts sittings while a key is corrected. Each sitting has either the old key with its explanation, or the new key
/// with its explanation. Sittings that start after the response to the correction have the new key.
async fn a_start_takes_either_version_whole(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let mut learners = Vec::new();
    for number in 0..13 {
        learners.push(world.learner(&app, &format!("Learner{number}")).await);
    }
    let (first, rest) = learners.split_at(1);
    sit(&first[0].0, &first[0].1, "54", "Oxygen").await;
    let node = app.second_node().await;
    let question = world.question("k1").await;
    let input = json!({ "questionId": question["id"], "correctValue": "56", "explanation": "There are 56.",
        "reason": "Counted again." });
    let (now, after) = rest.split_at(8);
    let starts = now.iter().enumerate().map(|(number, (learner, card))| {
        let client = if number % 2 == 0 { learner.clone() } else { at(&node, learner, &app) };
        async move { client.start_session(card).await }
    });
    let (started, corrected) =
        futures_util::join!(join_all(starts), world.author.run_with(CORRECT, json!({ "input": input })));
    assert_eq!(corrected.number("/correctQuestionKey/correctedTests"), 1);
    let mut seen = BTreeSet::new();
    for ((learner, _), started) in now.iter().zip(&started) {
        let submitted =
            learner.submit_session(&session(started), Some((1, answers(started, "56", "Oxygen")))).await;
        let score = submitted.result().score.clone();
        seen.insert((taught(&submitted)[0].clone(), score));
    }
    let right = ("56: There are 56.".to_owned(), "8.00".to_owned());
    let possible = BTreeSet::from([("54: There are 54.".to_owned(), "3.00".to_owned()), right.clone()]);
    assert!(seen.is_subset(&possible), "{seen:?}");
    for (number, (learner, card)) in after.iter().enumerate() {
        let client = if number % 2 == 0 { learner.clone() } else { at(&node, learner, &app) };
        let (score, taught) = sit(&client, card, "56", "Oxygen").await;
        assert_eq!((taught[0].clone(), score), right);
    }
    node.stop().await;
}

/// Does nothing on SQLite. SQLite has one writer, so no correction can run while a start waits.
async fn a_start_that_waited_takes_the_key_that_was_corrected_meanwhile(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let world = World::new(&app).await;
    let (binod, of_binod) = world.learner(&app, "Binod").await;
    sit(&binod, &of_binod, "54", "Oxygen").await;
    let (asha, card) = world.learner(&app, "Asha").await;
    let holds = app.connection().begin().await.unwrap();
    let hold = "SELECT id FROM users WHERE email = 'asha@example.com' FOR UPDATE";
    holds.execute_unprepared(hold).await.unwrap();
    drop(app.take_statements());
    let started = tokio::spawn({
        let (asha, card) = (asha.clone(), card.clone());
        async move { asha.start_session(&card).await }
    });
    // Waits until the start tries to lock the row of its learner. By then, the start has read the paper.
    let began = Instant::now();
    while !app.take_statements().iter().any(|sql| sql.contains("NOWAIT")) {
        assert!(began.elapsed() < Duration::from_secs(10), "the start did not wait for the lock");
        tokio::task::yield_now().await;
    }
    let corrected =
        world.correct("k1", json!({ "correctValue": "56", "explanation": "There are 56." })).await;
    assert_eq!(corrected["correctedTests"], 1, "{corrected:#}");
    holds.rollback().await.unwrap();
    let started = started.await.unwrap();
    let submitted =
        asha.submit_session(&session(&started), Some((1, answers(&started, "56", "Oxygen")))).await;
    assert_eq!(taught(&submitted)[0], "56: There are 56.");
    assert_eq!(submitted.result().score, "8.00");
}

async fn a_paper_takes_corrections_one_after_the_other(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (asha, card) = world.learner(&app, "Asha").await;
    app.execute("UPDATE mock_test_attempts SET max_attempts = 100").await;
    let mut sat = vec![sit(&asha, &card, "54", "Oxygen").await];
    for value in ["1", "2", "3"] {
        let corrected = world.correct("k1", json!({ "correctValue": value, "explanation": value })).await;
        assert_eq!(corrected["userErrors"], json!([]));
        sat.push(sit(&asha, &card, value, "Oxygen").await);
    }
    let question = world.question("k1").await["id"].clone();
    let at_once = (10..16).map(|value| {
        let input =
            json!({ "questionId": question, "correctValue": value.to_string(), "reason": "Once more." });
        let author = world.author.clone();
        async move { author.run_with(CORRECT, json!({ "input": input })).await }
    });
    for corrected in join_all(at_once).await {
        assert_eq!(*corrected.at("/correctQuestionKey/userErrors"), json!([]));
    }
    assert_eq!(app.number("SELECT revision FROM papers").await, 10);
    assert!(sat.iter().all(|(score, _)| score == "8.00"), "{sat:?}");
    // The review of each sitting shows the key with which it was marked, also on a node with empty caches.
    let node = app.second_node().await;
    let document = "query ($id: ID!) { node(id: $id) { ... on MockTestAttempt { sessions { edges { node {
        attemptNumber questions { kind correctValue explanation marks } } } } } } }";
    let there = at(&node, &asha, &app).run_with(document, json!({ "id": card })).await;
    for sitting in there.list("/node/sessions/edges") {
        let attempt = usize::try_from(sitting["node"]["attemptNumber"].as_i64().unwrap()).unwrap();
        let questions = sitting["node"]["questions"].as_array().unwrap();
        let number = questions.iter().find(|it| it["kind"] == "NUMERIC").unwrap();
        assert_eq!(number["correctValue"], ["54", "1", "2", "3"][attempt - 1]);
        assert_eq!(number["marks"], "4.00");
    }
    node.stop().await;
}

async fn an_overdue_sitting_is_closed_by_the_key_it_started_with(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    // `staff` makes a token that is valid for longer than this test moves the clock.
    let asha = app.staff("Asha", Role::Learner).await;
    let card = app.cards(&asha, &world.course).await.remove(0);
    let first = asha.start_session(&card).await;
    asha.save_answers(&session(&first), 1, answers(&first, "54", "Oxygen")).await;
    world.correct("k1", json!({ "correctValue": "56" })).await;
    app.clock.advance(chrono::TimeDelta::hours(2));
    // The start closes the earlier sitting if the server's worker has not closed the sitting yet.
    let second = asha.start_session(&card).await;
    assert_ne!(session(&second), session(&first));
    let over = asha.submit_session(&session(&first), None).await;
    assert_eq!(over.result().score, "8.00", "{over:#?}");
    let submitted = asha.submit_session(&session(&second), Some((1, answers(&second, "56", "Oxygen")))).await;
    assert_eq!(submitted.result().score, "8.00");
}

/// Migrates the schema down to a version without corrections, and up again. The corrections are then gone, and every
/// sitting has the original paper.
async fn the_schema_goes_down_and_up_with_corrections_in_it(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (asha, card) = world.learner(&app, "Asha").await;
    sit(&asha, &card, "54", "Oxygen").await;
    world.correct("k1", json!({ "correctValue": "56" })).await;
    sit(&asha, &card, "56", "Oxygen").await;
    assert_eq!(app.number("SELECT MAX(paper_revision) FROM test_sessions").await, 2);
    let database = &app.services.database;
    let migrations = database.migrations().await.unwrap();
    let first = migrations.iter().position(|it| it.name.contains("_000006_")).unwrap();
    database.migrate_down(u32::try_from(migrations.len() - first).unwrap()).await.unwrap();
    app.execute("SELECT 1 FROM papers").await;
    database.migrate_up().await.unwrap();
    assert_eq!(app.number("SELECT COUNT(*) FROM test_sessions WHERE paper_revision = 1").await, 2);
    assert_eq!(app.number("SELECT revision FROM papers").await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_corrections").await, 0);
    // The bank keeps the corrected version, and the test can be corrected again.
    let second = app.second_node().await;
    assert_eq!(world.correct("k1", json!({ "correctValue": "56" })).await["correctedTests"], 1);
    let sat = sit(&at(&second, &asha, &app), &card, "56", "Oxygen").await;
    assert_eq!(sat.0, "8.00");
    second.stop().await;
}

/// An import corrects the keys of 200 questions in 35 fixed tests, which are 7,000 slots. One statement of SQLite can
/// insert at most 6,553 rows of `paper_revisions`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_corrects_more_slots_than_a_statement_can_insert() {
    TestApp::run(Backend::Sqlite, async |app: Arc<TestApp>| {
        let world = World::new(&app).await;
        let file = |first_key: i64| -> String {
            (1..=200)
                .map(|number| {
                    format!("// [id:many-{number}]\nWhat is {number}? {{#{}:0}}\n\n", first_key + number)
                })
                .collect()
        };
        assert_eq!(world.author.import(&world.subject, &file(100)).await.counts(), [200, 0, 0, 0]);
        app.execute(
            "INSERT INTO papers (subject_id, test_number, seed, marks_correct, marks_wrong, marks_unanswered, \
             time_limit_seconds, revision, created_at) \
             WITH RECURSIVE numbers (number) AS \
             (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 35) \
             SELECT subjects.id, numbers.number, 1, 400, -100, 0, 3600, 1, \
             (SELECT MIN(created_at) FROM questions) FROM subjects, numbers",
        )
        .await;
        app.execute(
            "INSERT INTO paper_questions (paper_id, slot, question_id, version_id) \
             SELECT p.id, ROW_NUMBER() OVER (PARTITION BY p.id ORDER BY q.id), q.id, v.id \
             FROM papers p CROSS JOIN questions q JOIN question_versions v ON v.question_id = q.id \
             WHERE q.external_id LIKE 'many-%'",
        )
        .await;
        assert_eq!(app.number("SELECT COUNT(*) FROM paper_questions").await, 7_000);

        let reason = json!({ "correctKeys": "The book says so." });
        let corrected = world.author.import(&world.subject, &file(300)).with(&reason).await;
        assert_eq!((corrected.counts(), corrected.corrected_count), ([0, 200, 0, 0], 200));
        assert_eq!(app.number("SELECT COUNT(*) FROM paper_revisions WHERE revision = 2").await, 7_000);
        assert_eq!(app.number("SELECT COUNT(*) FROM papers WHERE revision = 2").await, 35);
    })
    .await;
}

//! Many requests about sittings at once, and the rows of sittings that the database refuses.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use jishu_tests::{SittingPayload, TestApp, Tries, UserError, answer, on_each_database, only_error};
use sea_orm::{ConnectionTrait, DbBackend, SqlErr};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{World, accepted, answers, id, questions};

on_each_database!(
    sixteen_starts_at_once_open_one_sitting,
    sixteen_submissions_at_once_score_once,
    answers_acknowledged_while_a_sitting_ends_are_scored,
    learners_who_start_the_same_test_at_once_get_one_paper,
    batches_saved_together_get_their_own_responses,
    the_database_refuses_what_must_not_be,
);

/// Starts a card sixteen times at once, which must open one sitting. Repeats this for each of the three attempts, then
/// expects refusals. Tests 20 cards, or as many as the variable `ROUNDS` says.
async fn sixteen_starts_at_once_open_one_sitting(app: Arc<TestApp>) {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let course = app.course(&["Physics"]).cards(rounds).create(&app).await;
    app.bank(course.subject_rows[0], 4).await;
    let asha = app.learner("Asha").await;
    app.cards(&asha, &course).await;
    for round in 1..=rounds {
        let card =
            app.number(&format!("SELECT id FROM mock_test_attempts WHERE test_number = {round}")).await;
        let card = app.global("MockTestAttempt", card);
        for attempt in 1..=4 {
            let started = join_all((0..16).map(|_| asha.start_session(&card))).await;
            if attempt == 4 {
                assert!(started.iter().all(|it| it.error().code == "ATTEMPTS_EXHAUSTED"));
                break;
            }
            started.iter().for_each(accepted);
            let sessions: BTreeSet<String> = started.iter().map(id).collect();
            assert_eq!(sessions.len(), 1, "round {round}: the starts made several sittings");
            assert_eq!(
                started.iter().filter(|it| !it.resumed).count(),
                1,
                "not exactly one request started the sitting"
            );
            assert!(started.iter().all(|it| it.session().attempt_number == attempt));
            asha.submit_session(sessions.first().unwrap(), None).await;
        }
    }
    let sittings = app.number("SELECT COUNT(*) FROM test_sessions").await;
    assert_eq!(sittings, i64::from(rounds) * 3);
    let most = "SELECT MAX(sittings) FROM (SELECT COUNT(*) AS sittings FROM test_sessions \
                GROUP BY mock_test_attempt_id) counted";
    assert_eq!(app.number(most).await, 3);
}

async fn sixteen_submissions_at_once_score_once(app: Arc<TestApp>) {
    let world = World::new(&app, 6).await;
    for _ in 0..3 {
        let started = world.learner.start_session(&world.card).await;
        let last = || Some((1, answers(&started, 3, 2)));
        let session = id(&started);
        let submitted = join_all((0..16).map(|_| world.learner.submit_session(&session, last()))).await;
        submitted.iter().for_each(accepted);
        assert!(submitted.iter().all(|it| it.session == submitted[0].session), "{submitted:#?}");
        assert_eq!(submitted[0].result().score, "10.00");
    }
    let whole = if app.services.database.backend() == DbBackend::MySql { "SIGNED" } else { "BIGINT" };
    let counted = format!("SELECT CAST(SUM(correct + wrong) AS {whole}) FROM topic_totals");
    assert_eq!(app.number(&counted).await, 15);
    let learners = "SELECT learners FROM paper_scores WHERE score = 1000";
    assert_eq!(app.number(learners).await, 1, "not only first sittings are ranked");
}

/// Saves batches while the sitting is submitted. Each acknowledged batch must count in the result.
async fn answers_acknowledged_while_a_sitting_ends_are_scored(app: Arc<TestApp>) {
    let world = World::new(&app, 12).await;
    app.execute("UPDATE mock_test_attempts SET max_attempts = 100").await;
    let (mut taken, mut refused) = (0, 0);
    for round in 0..12 {
        let started = world.learner.start_session(&world.card).await;
        let session = id(&started);
        let answered = Semaphore::new(0);
        let saves = questions(&started).iter().zip(1..).map(async |(question, sequence)| {
            let batch = json!([answer(question, Tries::Right)]);
            let saved = world.learner.save_answers(&session, sequence, batch).await;
            answered.add_permits(1);
            saved.user_errors.is_empty()
        });
        // In each round, the submission waits for one more response to a save.
        let submission = async {
            let _permits = answered.acquire_many(round).await.unwrap();
            world.learner.submit_session(&session, None).await
        };
        let (saved, submitted) = futures_util::join!(join_all(saves), submission);
        let acknowledged = saved.iter().filter(|saved| **saved).count();
        assert_eq!(submitted.result().correct, i64::try_from(acknowledged).unwrap(), "round {round}");
        taken += acknowledged;
        refused += saved.len() - acknowledged;
    }
    eprintln!("{taken} batches were taken, {refused} came too late");
}

async fn learners_who_start_the_same_test_at_once_get_one_paper(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    app.bank(course.subject_rows[0], 30).await;
    app.execute("UPDATE subjects SET questions_per_test = 10").await;
    let mut cards = Vec::new();
    for name in ["Asha", "Binod", "Chitra", "Dev", "Esha", "Farid", "Gita", "Hari"] {
        let learner = app.learner(name).await;
        let card = app.cards(&learner, &course).await.remove(0);
        cards.push((learner, card));
    }
    let started = join_all(cards.iter().map(|(learner, card)| learner.start_session(card))).await;
    let stems = |it| questions(it).iter().map(|question| question.stem.clone()).collect();
    let papers: BTreeSet<Vec<String>> = started.iter().map(stems).collect();
    assert_eq!(papers.len(), 1);
    assert_eq!(papers.first().unwrap().len(), 10);
    let texts = |it: &SittingPayload| {
        let options = questions(it).iter().flat_map(|question| &question.options);
        options.map(|option| option.text.clone()).collect()
    };
    let orders: BTreeSet<Vec<String>> = started.iter().map(texts).collect();
    assert_eq!(orders.len(), 8, "two learners see the options in the same order");
    assert_eq!(app.number("SELECT COUNT(*) FROM papers").await, 1);
}

/// Writes rows by SQL, without the server's rules, and checks that constraints refuse rows that contradict each other.
async fn the_database_refuses_what_must_not_be(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let copy = |attempt: i32, marker: &str, status: &str| {
        format!(
            "INSERT INTO test_sessions (mock_test_attempt_id, user_id, subject_id, paper_id, attempt_number, seed, \
             status, open_marker, started_at, expires_at) SELECT mock_test_attempt_id, user_id, subject_id, paper_id, \
             {attempt}, 0, '{status}', {marker}, started_at, expires_at FROM test_sessions WHERE attempt_number = 1"
        )
    };
    let refused = async |sql: String, unique: bool| {
        let error = app.connection().execute_unprepared(&sql).await.expect_err(&sql);
        let is_unique = matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)));
        assert_eq!(is_unique, unique, "{sql}: {error}");
    };
    refused(copy(2, "1", "in_progress"), true).await;
    refused(copy(1, "1", "in_progress"), true).await;
    refused(copy(2, "NULL", "in_progress"), false).await;
    refused(copy(2, "1", "submitted"), false).await;
    refused(copy(2, "2", "in_progress"), false).await;
    refused("DELETE FROM papers".to_owned(), false).await;
    refused("UPDATE mock_test_attempts SET attempts_used = max_attempts + 1".to_owned(), false).await;
    world.learner.submit_session(&id(&started), None).await;
    refused("UPDATE test_sessions SET score = NULL".to_owned(), false).await;
}

/// The payload of `saveAnswers` without the sitting.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saved {
    superseded: Vec<i64>,
    user_errors: Vec<UserError>,
}

/// Many learners save two batches each at the same time, and some of their sittings are over. Each batch gets its own
/// response, and the answers with the greatest sequence are stored. The server needs fewer statements than batches.
async fn batches_saved_together_get_their_own_responses(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    app.bank(course.subject_rows[0], 8).await;
    let mut sittings = Vec::new();
    for number in 0..12 {
        let learner = app.learner(&format!("Learner{number}")).await;
        let card = app.cards(&learner, &course).await.remove(0);
        let started = learner.start_session(&card).await;
        if number % 4 == 3 {
            learner.submit_session(&id(&started), None).await;
        }
        sittings.push((learner, started));
    }
    let document = "mutation ($input: SaveAnswersInput!) { saveAnswers(input: $input) {
        superseded userErrors { code } } }";
    let _ = app.take_statements();
    let mut batches = 0;
    for round in 0..6 {
        let saves = sittings.iter().enumerate().flat_map(|(number, (learner, started))| {
            // Each learner sends two batches at once. The second batch has the lower sequence.
            [10 + round * 2, 10 + round * 2 - 1].map(|sequence| async move {
                let tries = if sequence % 2 == 0 { Tries::Right } else { Tries::Wrong };
                let asked = &questions(started)[..if number % 2 == 0 { 5 } else { 3 }];
                let answers: Vec<_> = asked.iter().map(|question| answer(question, tries)).collect();
                let input = json!({ "sessionId": id(started), "sequence": sequence, "answers": answers });
                let saved = learner.run_with(document, json!({ "input": input })).await;
                (number, sequence, answers.len(), saved.read::<Saved>("/saveAnswers"))
            })
        });
        for (number, sequence, answers, saved) in join_all(saves).await {
            batches += 1;
            if number % 4 == 3 {
                assert_eq!(only_error(&saved.user_errors).code, "TEST_SESSION_CLOSED", "{number} {sequence}");
                continue;
            }
            assert_eq!(saved.user_errors, [], "{number} {sequence}");
            let superseded = saved.superseded.len();
            // The batch with the lower sequence is superseded as a whole or not at all. The batch with the greater
            // sequence is never superseded.
            assert!(
                superseded == 0 || (sequence % 2 == 1 && superseded == answers),
                "{number} {sequence} {saved:?}"
            );
        }
    }
    let ours = |statement: &&String| statement.contains("INSERT INTO test_answers");
    let statements = app.take_statements().iter().filter(ours).count();
    eprintln!("{batches} batches in {statements} statements");
    assert!(statements < batches, "{statements} statements for {batches} batches");
    for (number, (learner, started)) in sittings.iter().enumerate() {
        let submitted = learner.submit_session(&id(started), None).await;
        let right = if number % 4 == 3 { 0 } else { [5, 3][number % 2] };
        let result = submitted.result();
        assert_eq!((result.correct, result.wrong), (right, 0), "{number}");
    }
}

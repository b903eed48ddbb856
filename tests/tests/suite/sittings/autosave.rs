//! Batches of answers. Repeated or reordered batches leave the same state as batches in order. Also checks superseded
//! answers, the grace time, flags, numbers as they are typed, and submissions with a batch.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_tests::{Client, Question, TestApp, Tries, answer, on_each_database};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{NO_SLOTS, World, accepted, id, questions, refusal};

on_each_database!(
    batches_leave_the_same_whatever_happens_to_them,
    a_batch_is_one_statement,
    another_tab_learns_what_was_not_kept,
    answers_are_taken_until_the_grace_is_over,
    the_later_of_two_answers_to_a_slot_counts,
    a_flag_is_no_answer,
    a_submission_that_would_drop_answers_ends_nothing,
    numbers_are_taken_as_they_are_typed,
);

/// Returns a random answer to a question.
fn random_answer(question: &Question, random: &mut impl Rng) -> Value {
    let mut answer = match random.random_range(0..4) {
        0 => answer(question, Tries::Right),
        1 => answer(question, Tries::Wrong),
        2 if question.kind == "NUMERIC" => json!({ "slot": question.slot, "numericValue": "-0.125" }),
        2 if question.kind == "SHORT_ANSWER" => {
            json!({ "slot": question.slot, "text": " Ampère\u{a0}\u{1f600}" })
        }
        2 => {
            let option = question.options.choose(random).unwrap();
            json!({ "slot": question.slot, "optionIds": [option.id] })
        }
        _ => json!({ "slot": question.slot, "optionIds": [] }),
    };
    answer["flagged"] = json!(random.random_bool(0.3));
    if random.random_bool(0.5) {
        answer["timeSpentSeconds"] = json!(random.random_range(0..500));
    }
    answer
}

/// Returns the state after each batch was saved once and in order: for each slot the answer, without its time.
fn expected(batches: &[(i64, Value)], questions: &[Question]) -> Vec<Value> {
    questions
        .iter()
        .map(|question| {
            let last = batches.iter().rev().find_map(|(_, answers)| {
                answers.as_array().unwrap().iter().rfind(|answer| answer["slot"] == question.slot)
            });
            let said = |name: &str| last.map_or(Value::Null, |answer| answer[name].clone());
            let mut options: Vec<Value> = said("optionIds").as_array().cloned().unwrap_or_default();
            options.sort_by_key(|id| question.options.iter().position(|option| id == option.id.as_str()));
            let number = said("numericValue");
            let text = said("text");
            let given = !options.is_empty() || !number.is_null() || !text.is_null();
            json!({
                "answer": if given { json!({ "optionIds": options, "numericValue": number, "text": text }) } else { Value::Null },
                "flagged": said("flagged") == json!(true),
                "timeSpentSeconds": said("timeSpentSeconds"),
            })
        })
        .collect()
}

async fn state(learner: &Client, session: &str) -> Vec<Value> {
    let document = "query ($id: ID!) { node(id: $id) { ... on TestSession {
        questions { answer { optionIds numericValue text } flagged timeSpentSeconds } } } }";
    let answer = learner.run_with(document, json!({ "id": session })).await;
    answer.list("/node/questions").to_vec()
}

/// Sends random batches, each one to three times, in any order and several at once. The final state must be the same as
/// if each batch had come once and in order.
async fn batches_leave_the_same_whatever_happens_to_them(app: Arc<TestApp>) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::new(&app, 6).await;
    app.execute("UPDATE mock_test_attempts SET max_attempts = 100").await;
    for _ in 0..12 {
        let started = world.learner.start_session(&world.card).await;
        accepted(&started);
        let (session, questions) = (id(&started), questions(&started));
        let batches: Vec<(i64, Value)> = (1..=random.random_range(2..10))
            .map(|sequence| {
                let answers = (0..random.random_range(1..5))
                    .map(|_| random_answer(questions.choose(&mut random).unwrap(), &mut random));
                (sequence, answers.collect())
            })
            .collect();
        let mut sent: Vec<_> =
            batches.iter().flat_map(|batch| vec![batch; random.random_range(1..4)]).collect();
        sent.shuffle(&mut random);
        let at_once = random.random_range(1..6);
        for wave in sent.chunks(at_once) {
            let saves = wave
                .iter()
                .map(|(sequence, answers)| world.learner.save_answers(&session, *sequence, answers.clone()));
            futures_util::future::join_all(saves).await.iter().for_each(accepted);
        }
        assert_eq!(state(&world.learner, &session).await, expected(&batches, questions), "SEED={seed}");
        world.learner.submit_session(&session, None).await;
    }
}

/// A batch takes one statement. MariaDB and MySQL need a second statement if the batch answers an empty slot: they do
/// not distinguish a new row from an unchanged row, so the server reads the rows.
async fn a_batch_is_one_statement(app: Arc<TestApp>) {
    let world = World::new(&app, 6).await;
    let started = world.learner.start_session(&world.card).await;
    let document = "mutation ($input: SaveAnswersInput!) { saveAnswers(input: $input) {
        superseded userErrors { message } } }";
    let save = async |sequence: i32, times: usize| {
        let answers: Vec<_> =
            questions(&started)[..times].iter().map(|it| answer(it, Tries::Right)).collect();
        let input = json!({ "sessionId": started.id(), "sequence": sequence, "answers": answers });
        let _ = app.take_statements();
        world.learner.run_with(document, json!({ "input": input })).await;
        let ours = |statement: &String| statement.contains("test_answers");
        app.take_statements().into_iter().filter(ours).count()
    };
    let is_mysql = app.services.database.backend() == sea_orm::DbBackend::MySql;
    for (sequence, times, has_new) in [(1, 5, true), (2, 5, false), (3, 6, true), (4, 1, false)] {
        assert_eq!(save(sequence, times).await, if is_mysql && has_new { 2 } else { 1 });
    }
}

async fn another_tab_learns_what_was_not_kept(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let (session, questions) = (id(&started), questions(&started));
    let save = async |sequence: i64, slot: usize, tries: Tries| {
        let saved =
            world.learner.save_answers(&session, sequence, json!([answer(&questions[slot], tries)])).await;
        accepted(&saved);
        saved
    };
    save(1, 0, Tries::Right).await;
    save(3, 1, Tries::Right).await;
    let late = save(2, 1, Tries::Wrong).await;
    assert_eq!(late.superseded, [2], "a batch overwrote the answer of a batch with a greater sequence");
    assert_eq!(late.session().answer_sequence, 3);
    let other = save(3, 1, Tries::Wrong).await;
    assert_eq!(other.superseded, [2], "a batch overwrote the answer of a batch with the same sequence");
    let replayed = save(3, 1, Tries::Right).await;
    assert_eq!(replayed.superseded, NO_SLOTS, "the replayed batch is superseded by its own answer");
    let elsewhere = save(2, 3, Tries::Wrong).await;
    assert_eq!(elsewhere.superseded, NO_SLOTS, "an answer for an empty slot is superseded");
    let again = save(4, 1, Tries::Wrong).await;
    assert_eq!(again.superseded, NO_SLOTS);
    assert_eq!(again.session().answer_sequence, 4);
}

async fn answers_are_taken_until_the_grace_is_over(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let session = id(&started);
    app.clock.advance(TimeDelta::seconds(3_600 + 5));
    let in_grace = world.learner.save_answers(&session, 1, super::answers(&started, 2, 0)).await;
    accepted(&in_grace);
    app.clock.advance(TimeDelta::microseconds(1));
    let late = world.learner.save_answers(&session, 2, super::answers(&started, 4, 0)).await;
    let code = refusal(&late);
    // The code depends on whether the server has closed the sitting by now.
    assert!(code == "TEST_SESSION_OVERDUE" || code == "TEST_SESSION_CLOSED", "{code}");
    assert_eq!(late.error().more["slots"], json!([1, 2, 3, 4]));
    assert_eq!(
        app.number("SELECT COUNT(*) FROM test_answers").await,
        2,
        "a part of the late batch was written"
    );
}

async fn the_later_of_two_answers_to_a_slot_counts(app: Arc<TestApp>) {
    let world = World::new(&app, 2).await;
    let started = world.learner.start_session(&world.card).await;
    let question = &questions(&started)[0];
    let twice = json!([answer(question, Tries::Wrong), answer(question, Tries::Right)]);
    accepted(&world.learner.save_answers(&id(&started), 1, twice).await);
    let submitted = world.learner.submit_session(&id(&started), None).await;
    let result = submitted.result();
    assert_eq!((result.correct, result.wrong, result.score.as_str()), (1, 0, "4.00"));
}

async fn a_flag_is_no_answer(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let flagged = json!([{ "slot": 1, "optionIds": null, "flagged": true, "timeSpentSeconds": 31 }]);
    let saved = world.learner.save_answers(&id(&started), 1, flagged).await;
    accepted(&saved);
    let question = &questions(&saved)[0];
    assert_eq!((&question.answer, question.flagged), (&None, true));
    let submitted = world.learner.submit_session(&id(&started), None).await;
    assert_eq!(submitted.result().unanswered, 4);
}

/// A second tab submits with a batch, but the first tab has answered the same slots in a batch with a greater sequence.
async fn a_submission_that_would_drop_answers_ends_nothing(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let (session, asked) = (id(&started), questions(&started));
    let batch = |tries| json!([answer(&asked[0], tries), answer(&asked[1], tries)]);
    accepted(&world.learner.save_answers(&session, 5, batch(Tries::Wrong)).await);
    let before = state(&world.learner, &session).await;
    for _ in 0..2 {
        let submitted = world.learner.submit_session(&session, Some((2, batch(Tries::Right)))).await;
        assert_eq!(refusal(&submitted), "ANSWERS_SUPERSEDED");
        assert_eq!(submitted.error().more["slots"], json!([1, 2]));
        let session = submitted.session();
        assert_eq!((session.status.as_str(), session.answer_sequence), ("IN_PROGRESS", 5));
    }
    assert_eq!(state(&world.learner, &session).await, before, "a refused submission saved something");
    let submitted = world.learner.submit_session(&session, Some((6, batch(Tries::Right)))).await;
    accepted(&submitted);
    assert_eq!(submitted.result().score, "8.00");
    let again = world.learner.submit_session(&session, Some((6, batch(Tries::Right)))).await;
    assert_eq!(again, submitted, "the repeated submission has another result");
}

async fn numbers_are_taken_as_they_are_typed(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let numeric = questions(&started).iter().find(|question| question.kind == "NUMERIC").unwrap();
    let slot = numeric.slot;
    for (sequence, (typed, kept)) in (1..).zip([
        ("4.5", "4.5"),
        (" 4.50 ", "4.5"),
        ("45e-1", "4.5"),
        ("-0", "0"),
        (".5", "0.5"),
        ("+7", "7"),
        ("1e20", "100000000000000000000"),
        ("-3.141592653589793238462643383", "-3.141592653589793238462643383"),
    ]) {
        let batch = json!([{ "slot": slot, "numericValue": typed }]);
        let saved = world.learner.save_answers(&id(&started), sequence, batch).await;
        accepted(&saved);
        let question = questions(&saved).iter().find(|question| question.slot == slot).unwrap();
        let number = question.answer.as_ref().and_then(|answer| answer.numeric_value.as_deref());
        assert_eq!(number, Some(kept), "{typed}");
    }
    for (sequence, cleared) in [(20, ""), (21, " ")] {
        let batch = json!([{ "slot": slot, "numericValue": cleared }]);
        let saved = world.learner.save_answers(&id(&started), sequence, batch).await;
        accepted(&saved);
        let question = questions(&saved).iter().find(|question| question.slot == slot).unwrap();
        assert_eq!(question.answer, None, "an empty field is stored as an answer");
    }
}

//! Saves answers while another transaction has locked sittings or answers. SQLite has one writer and no such locks, so
//! the tests do nothing there.

use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::{self, Either, join_all};
use jishu_entity::user::Role;
use jishu_tests::{Backend, Client, SittingPayload, TestApp, on_each_database, wait_until};
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use serde_json::json;

use super::{accepted, answers, id};

on_each_database!(
    held_sittings_hold_up_no_others,
    a_sitting_that_is_held_for_a_moment_waits_for_no_other,
    a_save_is_finished_when_its_client_leaves,
    a_late_batch_gains_nothing_from_the_batches_it_waits_with,
);

/// The beginning of each statement with which the server tries to save batches.
const ATTEMPT: &str = "INSERT INTO test_answers";

/// Starts a sitting for each of `count` learners. The rows of the sittings have the ids from 1 to `count`.
async fn sittings(app: &TestApp, count: usize) -> Vec<(Client, SittingPayload)> {
    let course = app.course(&["Physics"]).cards(1).create(app).await;
    app.bank(course.subject_rows[0], 4).await;
    let mut sittings = Vec::new();
    for number in 0..count {
        let learner = app.staff(&format!("Learner{number}"), Role::Learner).await;
        let card = app.cards(&learner, &course).await.remove(0);
        let started = learner.start_session(&card).await;
        sittings.push((learner, started));
    }
    sittings
}

/// Saves two right answers in a sitting, with this sequence.
async fn save(sitting: &(Client, SittingPayload), sequence: i64) -> SittingPayload {
    save_some(sitting, sequence, 2).await
}

async fn save_some(
    (learner, started): &(Client, SittingPayload),
    sequence: i64,
    right: usize,
) -> SittingPayload {
    learner.save_answers(&id(started), sequence, answers(started, right, 0)).await
}

/// Locks the rows of sittings, as a node does that hangs while it closes them.
async fn hold(app: &TestApp, ids: RangeInclusive<usize>) -> DatabaseTransaction {
    let holds = app.connection().begin().await.unwrap();
    for id in ids {
        let hold = format!("SELECT id FROM test_sessions WHERE id = {id} FOR UPDATE");
        holds.execute_unprepared(&hold).await.unwrap();
    }
    holds
}

/// Locks 20 sittings, more than there are connections to the database. The learners of three other sittings save in two
/// tabs each, and their saves do not wait for the locks.
async fn held_sittings_hold_up_no_others(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let sittings = sittings(&app, 23).await;
    let (held, others) = sittings.split_at(20);
    let holds = hold(&app, 1..=20).await;
    let held = join_all(held.iter().map(|sitting| save(sitting, 1)));
    let others = async {
        for sequence in [1, 3, 5, 7, 9] {
            let tabs =
                others.iter().flat_map(|sitting| [save(sitting, sequence), save(sitting, sequence + 1)]);
            join_all(tabs).await.iter().for_each(accepted);
        }
    };
    let Either::Right(((), held)) = future::select(Box::pin(held), Box::pin(others)).await else {
        panic!("answers were saved in sittings that are held");
    };
    holds.rollback().await.unwrap();
    held.await.iter().for_each(accepted);
    assert_eq!(app.number("SELECT COUNT(*) FROM test_answers").await, 46);
}

async fn a_sitting_that_is_held_for_a_moment_waits_for_no_other(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let sittings = sittings(&app, 5).await;
    let (holds, for_a_moment) = (hold(&app, 1..=4).await, hold(&app, 5..=5).await);
    let held = join_all(sittings[..4].iter().map(|sitting| save(sitting, 1)));
    let moment = async {
        app.wait_for_statements(4, ATTEMPT).await;
        let release = async {
            // After a statement that saved no answer, the server reads the stored answers to the slots of the batch.
            // Only the batch of the fifth sitting has three slots.
            let is_of_the_fifth = |sql: &str| {
                let slots =
                    sql.split_once("test_answers.slot IN (").and_then(|(_, rest)| rest.split_once(')'));
                slots.is_some_and(|(slots, _)| slots.split(',').count() == 3)
            };
            app.wait_for_statements_that(1, "an attempt to save in the fifth sitting", is_of_the_fifth).await;
            for_a_moment.rollback().await.unwrap();
        };
        accepted(&future::join(save_some(&sittings[4], 1, 3), release).await.0);
    };
    let Either::Right(((), held)) = future::select(Box::pin(held), Box::pin(moment)).await else {
        panic!("answers were saved in sittings that are held");
    };
    holds.rollback().await.unwrap();
    held.await.iter().for_each(accepted);
}

/// A learner closes the tab while the last batch waits for a lock. The server still saves the batch.
async fn a_save_is_finished_when_its_client_leaves(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let sittings = sittings(&app, 1).await;
    let holds = hold(&app, 1..=1).await;
    match future::select(Box::pin(save(&sittings[0], 1)), Box::pin(app.wait_for_statements(1, ATTEMPT))).await
    {
        Either::Left(_) => panic!("answers were saved in a sitting that is held"),
        // Drops the request and its connection, as a browser does when its tab is closed.
        Either::Right(_) => {}
    }
    app.wait_for_statements(3, ATTEMPT).await;
    holds.rollback().await.unwrap();
    wait_until("the answers of the client that left", async || {
        app.number("SELECT COUNT(*) FROM test_answers").await == 2
    })
    .await;
}

/// Three batches come in time: the first two wait for locks in the database. A late batch waits in the server together
/// with the third batch. The server must refuse the late batch.
async fn a_late_batch_gains_nothing_from_the_batches_it_waits_with(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let sittings = sittings(&app, 4).await;
    for sitting in &sittings[..2] {
        accepted(&save(sitting, 1).await);
    }
    let holds = app.connection().begin().await.unwrap();
    holds.execute_unprepared("SELECT slot FROM test_answers FOR UPDATE").await.unwrap();
    app.clock.advance(TimeDelta::seconds(3_600 + 5));
    // The second and the third save start only when the first save waits for its lock. So the statement of the first
    // save does not contain their batches.
    let in_time = async {
        let others = async {
            app.wait_for_lock_waits(1).await;
            future::join(save(&sittings[1], 2), save(&sittings[2], 2)).await
        };
        future::join(save(&sittings[0], 2), others).await
    };
    let late = async {
        app.wait_for_lock_waits(2).await;
        app.clock.advance(TimeDelta::microseconds(1));
        let (learner, started) = &sittings[3];
        let mut socket = app.socket_of(learner.token()).await;
        let document =
            "mutation ($input: SaveAnswersInput!) { saveAnswers(input: $input) { userErrors { code } } }";
        let input = json!({ "sessionId": id(started), "sequence": 1, "answers": answers(started, 2, 0) });
        let payload = json!({ "query": document, "variables": { "input": input } });
        socket.say(json!({ "id": "late", "type": "subscribe", "payload": payload })).await;
        // A pong shows that the server has accepted the messages before the ping.
        socket.say(json!({ "type": "ping" })).await;
        let mut heard = socket.hear().await;
        if heard["type"] == "pong" {
            holds.rollback().await.unwrap();
            heard = socket.hear().await;
        }
        socket.hang_up();
        heard["payload"]["data"]["saveAnswers"]["userErrors"][0]["code"].clone()
    };
    let (_, code) = future::join(in_time, late).await;
    assert!(code == "TEST_SESSION_OVERDUE" || code == "TEST_SESSION_CLOSED", "{code}");
    assert_eq!(app.number("SELECT COUNT(*) FROM test_answers WHERE session_id = 4").await, 0);
}

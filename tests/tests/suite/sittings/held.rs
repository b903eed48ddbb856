//! Saves while something else holds sittings or answers.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::{self, Either, join_all};
use jishu_entity::user::Role;
use jishu_tests::{Backend, Client, TestApp, on_each_database};
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use serde_json::Value;

use super::{accepted, answers, id, refusal};

on_each_database!(
    held_sittings_hold_up_no_others,
    one_that_is_held_for_a_moment_waits_for_no_other,
    what_a_client_sends_before_it_leaves_is_saved,
    a_late_batch_gains_nothing_by_those_it_goes_with,
);

/// Until a request has come to wait in the server: where it has not, the test shows less, and passes.
const WAIT: Duration = Duration::from_millis(150);

/// Sittings of as many learners, with ids from 1.
async fn sittings(app: &TestApp, count: usize) -> Vec<(Client, Value)> {
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

async fn save((learner, started): &(Client, Value), sequence: i64) -> Value {
    learner.save_answers(&id(started), sequence, answers(started, 2, 0)).await
}

/// As where a node hangs while it closes the first of them.
async fn hold(app: &TestApp, ids: RangeInclusive<usize>) -> DatabaseTransaction {
    let holds = app.connection().begin().await.unwrap();
    for id in ids {
        let hold = format!("SELECT id FROM test_sessions WHERE id = {id} FOR UPDATE");
        holds.execute_unprepared(&hold).await.unwrap();
    }
    holds
}

/// More than there are connections to the database; of the others, each has two tabs. SQLite has one writer.
async fn held_sittings_hold_up_no_others(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let sittings = sittings(&app, 23).await;
    let (of_held, others) = sittings.split_at(20);
    let holds = hold(&app, 1..=20).await;
    let held = join_all(of_held.iter().map(|sitting| save(sitting, 1)));
    let others = async {
        for sequence in [1, 3, 5, 7, 9] {
            let tabs =
                others.iter().flat_map(|sitting| [save(sitting, sequence), save(sitting, sequence + 1)]);
            join_all(tabs).await.iter().for_each(accepted);
        }
    };
    let Either::Right(((), held)) = future::select(Box::pin(held), Box::pin(others)).await else {
        panic!("those of held sittings cannot be saved");
    };
    holds.rollback().await.unwrap();
    held.await.iter().for_each(accepted);
    assert_eq!(app.number("SELECT COUNT(*) FROM test_answers").await, 46);
}

async fn one_that_is_held_for_a_moment_waits_for_no_other(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let sittings = sittings(&app, 5).await;
    let (holds, for_a_moment) = (hold(&app, 1..=4).await, hold(&app, 5..=5).await);
    let held = join_all(sittings[..4].iter().map(|sitting| save(sitting, 1)));
    let moment = async {
        tokio::time::sleep(WAIT).await;
        let release = async {
            tokio::time::sleep(WAIT).await;
            for_a_moment.rollback().await.unwrap();
        };
        accepted(&future::join(save(&sittings[4], 1), release).await.0);
    };
    let Either::Right(((), held)) = future::select(Box::pin(held), Box::pin(moment)).await else {
        panic!("those of held sittings cannot be saved");
    };
    holds.rollback().await.unwrap();
    held.await.iter().for_each(accepted);
}

/// As where a tab is closed with its last answers on their way.
async fn what_a_client_sends_before_it_leaves_is_saved(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let sittings = sittings(&app, 1).await;
    let holds = hold(&app, 1..=1).await;
    let left = tokio::time::timeout(WAIT, save(&sittings[0], 1)).await;
    left.expect_err("its sitting is held");
    tokio::time::sleep(WAIT).await;
    holds.rollback().await.unwrap();
    for _ in 0..200 {
        if app.number("SELECT COUNT(*) FROM test_answers").await == 2 {
            return;
        }
        tokio::time::sleep(WAIT / 3).await;
    }
    panic!("the answers are not saved");
}

/// One that came in time waits for the database, and one that comes too late waits with it.
async fn a_late_batch_gains_nothing_by_those_it_goes_with(app: Arc<TestApp>) {
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
    let in_time = join_all(sittings[..3].iter().map(|sitting| save(sitting, 2)));
    let late = async {
        tokio::time::sleep(WAIT).await;
        app.clock.advance(TimeDelta::microseconds(1));
        save(&sittings[3], 1).await
    };
    let release = async {
        tokio::time::sleep(2 * WAIT).await;
        holds.rollback().await.unwrap();
    };
    let (_, late, ()) = future::join3(in_time, late, release).await;
    let code = refusal(&late);
    assert!(code == "TEST_SESSION_OVERDUE" || code == "TEST_SESSION_CLOSED", "{code}");
    assert_eq!(app.number("SELECT COUNT(*) FROM test_answers WHERE session_id = 4").await, 0);
}

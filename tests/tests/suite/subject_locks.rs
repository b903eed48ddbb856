//! A purchase locks the rows of its subjects, so that a change of a subject waits until the purchase is committed. An
//! allowance for a course locks the row of the course.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{Backend, TestApp, TestCourse, on_each_database};
use sea_orm::{ConnectionTrait, Statement, TransactionTrait, Value as SqlValue};
use serde_json::json;

on_each_database!(
    a_purchase_holds_the_rows_of_its_subjects,
    a_bundle_passes_by_a_locked_subject_of_another_course,
    an_allowance_for_a_course_waits_until_its_subjects_are_added,
);

/// A grant of attempts locks the row of its subject. If a purchase locked only index entries, the purchase and the
/// grant would not wait for each other, and the new cards would lack the granted attempts.
async fn a_purchase_holds_the_rows_of_its_subjects(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        // SQLite has one writer, so it has no locks of rows.
        return;
    }
    // Tests a small table and a large table, because the database chooses different indexes for them.
    let small = app.course(&["Physics", "Chemistry"]).cards(1).create(&app).await;
    holds_the_rows_of(&app, &small).await;
    for number in 0..20 {
        app.course(&["A", "B", "C"]).named(&format!("Course {number}")).cards(1).create(&app).await;
    }
    let large = app.course(&["Botany", "Zoology"]).cards(1).create(&app).await;
    holds_the_rows_of(&app, &large).await;
}

/// The purchase of a bundle locks only the subjects of its course. An author who changes another course does not delay
/// the purchase.
async fn a_bundle_passes_by_a_locked_subject_of_another_course(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let (bought, other) = (
        app.course(&["Physics", "Chemistry"]).cards(1).create(&app).await,
        app.course(&["Botany"]).create(&app).await,
    );
    let learner = app.learner("Asha").await;
    let backend = app.connection().get_database_backend();
    let author = app.connection().begin().await.unwrap();
    let lock = format!("SELECT id FROM subjects WHERE id = {} FOR UPDATE", other.subject_rows[0].0);
    author.query_one_raw(Statement::from_string(backend, lock)).await.unwrap();
    learner.buy(bought.whole()).await;
    author.rollback().await.unwrap();
}

/// An author who adds a subject to a course locks the row of the course. If a grant did not lock this row, the first
/// purchase of the new subject could read the allowances before the commit of the grant, and its cards would lack the
/// granted attempts.
async fn an_allowance_for_a_course_waits_until_its_subjects_are_added(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    let support = app.staff("Sam", Role::Support).await;
    let backend = app.connection().get_database_backend();
    let author = app.connection().begin().await.unwrap();
    let lock = format!("SELECT id FROM courses WHERE id = {} FOR UPDATE", course.row.0);
    author.query_one_raw(Statement::from_string(backend, lock)).await.unwrap();
    let grant =
        "mutation ($input: GrantAllowanceInput!) { grantAllowance(input: $input) { userErrors { code } } }";
    let grant = support.run_with(grant, json!({ "input": { "courseId": course.id, "maxAttempts": 5 } }));
    let is_lock = |sql: &str| sql.contains("FROM courses") && sql.contains("UPDATE NOWAIT");
    let end = async {
        app.wait_for_statements_that(1, "an attempt to lock the course", is_lock).await;
        assert_eq!(app.number("SELECT COUNT(*) FROM allowances").await, 0);
        author.rollback().await.unwrap();
    };
    let (granted, ()) = tokio::join!(grant, end);
    assert_eq!(*granted.at("/grantAllowance/userErrors"), json!([]));
    assert_eq!(app.number("SELECT COUNT(*) FROM allowances").await, 1);
}

async fn holds_the_rows_of(app: &TestApp, course: &TestCourse) {
    let learner = app.learner(&format!("Buyer{}", course.row.0)).await;
    let user = app.number("SELECT MAX(id) FROM users").await;
    for (input, selected, subjects) in [
        (course.whole(), course.row.0, &course.subject_rows[..]),
        (course.subject(0), course.subject_rows[0].0, &course.subject_rows[..1]),
    ] {
        let _ = app.take_statements();
        learner.buy(input).await;
        let statements = app.take_statements();
        let lock =
            statements.iter().find(|sql| sql.contains("SELECT COUNT(max_attempts)")).expect("the lock");
        // On PostgreSQL, the lock statement for a whole course has the id of the course as two parameters.
        let selections = if lock.contains("BETWEEN") { 2 } else { 1 };
        let mut values = vec![SqlValue::from(selected); selections];
        values.push(SqlValue::from(user));
        let backend = app.connection().get_database_backend();
        let transaction = app.connection().begin().await.unwrap();
        let statement = Statement::from_sql_and_values(backend, lock.as_str(), values);
        transaction.query_one_raw(statement).await.unwrap().expect("the buyer");
        for subject in subjects {
            let other = format!("SELECT id FROM subjects WHERE id = {} FOR UPDATE NOWAIT", subject.0);
            let refused = app.connection().query_one_raw(Statement::from_string(backend, other)).await;
            assert!(refused.is_err(), "the row of subject {} is not locked by {lock}", subject.0);
        }
        transaction.rollback().await.unwrap();
    }
}

//! The schema of the database: up, down, and what it refuses by itself.

use std::sync::Arc;

use jishu_migration::{Migrator, MigratorTrait};
use jishu_tests::{TestApp, on_each_database};
use sea_orm::{ConnectionTrait, SqlErr};

on_each_database!(migrations_go_down_and_up_again, the_database_refuses_what_must_not_be);

async fn migrations_go_down_and_up_again(app: Arc<TestApp>) {
    Migrator::down(app.connection(), None).await.unwrap();
    app.connection().execute_unprepared("SELECT 1 FROM users").await.expect_err("the tables are gone");
    Migrator::up(app.connection(), None).await.unwrap();
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 0);
    Migrator::up(app.connection(), None).await.expect("again is no error");
}

/// With every rule of the server passed by.
async fn the_database_refuses_what_must_not_be(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    app.learner("Asha").await;
    let (user, physics) = (app.number("SELECT MAX(id) FROM users").await, course.subject_rows[0].0);
    let chemistry = course.subject_rows[1].0;
    let purchase = |id: i64, key: &str| {
        format!(
            "INSERT INTO purchases (id, user_id, course_id, purchase_type, cost, currency, status, idempotency_key, request_hash, created_at) \
         SELECT {id}, id, {}, 'single_subject', 0, 'INR', 'active', '{key}', '', created_at FROM users WHERE id = {user}",
            course.row
        )
    };
    let entitlement = |purchase: i64, subject: i64| {
        format!(
            "INSERT INTO entitlements (purchase_id, subject_id, user_id, price_paid, test_cards, granted_at) \
         SELECT {purchase}, {subject}, id, 0, 50, created_at FROM users WHERE id = {user}"
        )
    };
    let card = |purchase: i64, subject: i64, number: i64| {
        format!(
            "INSERT INTO mock_test_attempts (purchase_id, user_id, subject_id, test_number, status, max_attempts, attempts_used) \
         VALUES ({purchase}, {user}, {subject}, {number}, 'available', 3, 0)"
        )
    };
    for allowed in [
        purchase(101, "a"),
        purchase(102, "b"),
        entitlement(101, physics),
        entitlement(101, chemistry),
        card(101, physics, 1),
        card(101, chemistry, 1),
        card(101, physics, 2),
        // An ended right stands beside a live one.
        "UPDATE entitlements SET ended_at = granted_at WHERE purchase_id = 101".to_owned(),
        entitlement(102, physics),
    ] {
        app.execute(&allowed).await;
    }
    let refused = async |sql: String| {
        let error = app
            .connection()
            .execute_unprepared(&sql)
            .await
            .err()
            .unwrap_or_else(|| panic!("not refused: {sql}"));
        error.sql_err()
    };
    let is_unique = |error: Option<SqlErr>| matches!(error, Some(SqlErr::UniqueConstraintViolation(_)));
    let is_foreign = |error: Option<SqlErr>| matches!(error, Some(SqlErr::ForeignKeyConstraintViolation(_)));
    assert!(is_unique(refused(purchase(103, "a")).await), "a key used twice");
    assert!(is_unique(refused(card(101, physics, 1)).await), "a card twice");
    assert!(is_foreign(refused(card(102, chemistry, 1)).await), "a card without an entitlement");
    refused(card(102, physics, 0)).await;
    let both_live =
        format!("UPDATE entitlements SET ended_at = NULL WHERE purchase_id = 101 AND subject_id = {physics}");
    assert!(is_unique(refused(both_live).await), "a second live right");
    refused(format!("DELETE FROM users WHERE id = {user}")).await;
    refused("DELETE FROM purchases WHERE id = 101".to_owned()).await;
    refused("UPDATE mock_test_attempts SET attempts_used = 4".to_owned()).await;
}

//! The sales report on many purchases.
//!
//! Each run has 2,000 purchases. If `SALES_PURCHASES` is set, the run has that number of purchases, and prints the
//! times. For 200,000 purchases:
//! `SALES_PURCHASES=200000 tests/run report_at_scale -- --nocapture --test-threads 1`

use std::sync::Arc;
use std::time::Instant;

use jishu_tests::{Backend, TestApp, on_each_database};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use super::world::{Books, REPORT};

on_each_database!(report_at_scale);

/// Number of purchases that one statement creates.
const PURCHASES_PER_STATEMENT: i64 = 1_000;

/// Writes purchases that are spread over 2026. Each has two subjects.
async fn grow(app: &TestApp, purchases: i64) {
    let users = app.number("SELECT MIN(id) FROM users").await;
    let [course, first, second] = [
        app.number("SELECT MIN(id) FROM courses").await,
        app.number("SELECT MIN(id) FROM subjects").await,
        app.number("SELECT MIN(id) + 1 FROM subjects").await,
    ];
    let year = 365 * 86_400;
    let begin = chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    for start in (0..purchases).step_by(PURCHASES_PER_STATEMENT.unsigned_abs().try_into().unwrap()) {
        let numbers = start..(start + PURCHASES_PER_STATEMENT).min(purchases);
        let time = |number: i64| {
            let at = begin + chrono::TimeDelta::seconds(number * year / purchases);
            let zone = if app.backend == Backend::MariaDb { "" } else { "+00:00" };
            format!("'{}{zone}'", at.format("%Y-%m-%dT%H:%M:%S"))
        };
        let rows: Vec<String> = numbers
            .clone()
            .map(|number| {
                let at = time(number);
                format!(
                    "({}, {users}, {course}, 'multiple_subjects', 200, 'INR', 'active', {at})",
                    number + 1
                )
            })
            .collect();
        app.execute(&format!(
            "INSERT INTO purchases (id, user_id, course_id, purchase_type, cost, currency, status, created_at) VALUES {}",
            rows.join(", ")
        ))
        .await;
        let rows: Vec<String> = numbers
            .flat_map(|number| {
                let at = time(number);
                // All entitlements have ended, because a user can have only one live entitlement to a subject.
                [first, second].map(|subject| {
                    format!("({}, {subject}, {users}, 100, 150, 18, 1, {at}, {at})", number + 1)
                })
            })
            .collect();
        app.execute(&format!(
            "INSERT INTO entitlements (purchase_id, subject_id, user_id, price_paid, list_price, tax, test_cards, granted_at, \
             ended_at) VALUES {}",
            rows.join(", ")
        ))
        .await;
    }
}

async fn report_at_scale(app: Arc<TestApp>) {
    let asked = std::env::var("SALES_PURCHASES").ok().map(|purchases| purchases.parse().expect("a number"));
    let purchases: i64 = asked.unwrap_or(2_000);
    let books = Books::open(&app).await;
    grow(&app, purchases).await;
    if app.backend != Backend::Sqlite {
        let analyze = if app.backend == Backend::Postgres {
            "ANALYZE"
        } else {
            "ANALYZE TABLE purchases, entitlements"
        };
        let statement = Statement::from_string(app.services.database.backend(), analyze);
        app.connection().query_all_raw(statement).await.unwrap();
    }
    for by in [json!([]), json!(["MONTH"]), json!(["SUBJECT"]), json!(["DAY"]), json!(["DAY", "SUBJECT"])] {
        let (from, to) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let began = Instant::now();
        let answer = books.admin.run_with(REPORT, json!({ "from": from, "to": to, "by": by })).await;
        let took = began.elapsed();
        let rows = answer.list("/salesReport/rows");
        let sold: i64 = rows.iter().map(|row| row["subjectsSold"].as_i64().unwrap()).sum();
        assert_eq!(sold, 2 * purchases);
        if asked.is_some() {
            eprintln!("{:?}, {purchases} purchases by {by}: {} rows in {took:.2?}", app.backend, rows.len());
        }
    }
}

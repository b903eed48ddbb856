//! The handler for comparison: a purchase of one subject as somebody would write it by hand with axum and sqlx. It
//! verifies tokens, and runs the SQL statements of jishu in one transaction.

use std::path::{Path, PathBuf};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use jishu_tests::bench_token::TokenCheck;
use jishu_tests::load::ServerTask;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::sqlx::types::chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, Executor, PgPool, Row};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::CONNECTIONS;

/// The role of the server with this handler.
pub(crate) const ROLE: &str = "rest";

#[derive(Clone)]
struct Shared {
    pool: PgPool,
    tokens: TokenCheck,
    /// The statements of a purchase of one subject: lock, read, insert.
    statements: &'static [String; 3],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    course_id: i64,
    subject_id: i64,
    idempotency_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    outcome: &'static str,
    test_cards_created: i64,
}

/// Returns the path of the file with the statements, which the measuring process writes.
fn statements_file(folder: &Path) -> PathBuf {
    folder.join("statements.json")
}

/// Writes the statements of a purchase of one subject to the file that [`serve`] reads.
pub(crate) fn write_statements(folder: &Path, statements: &[String]) {
    let text = serde_json::to_string(statements).expect("texts");
    std::fs::write(statements_file(folder), text).expect("the file is written");
}

/// Runs a server with the handler [`purchase`] until the process is killed.
pub(crate) async fn serve(task: &ServerTask) {
    let connections = u32::try_from(CONNECTIONS).expect("few");
    // jishu sets the same option on its connections, and does not test them before each use either.
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("SET plan_cache_mode = force_generic_plan").await?;
                Ok(())
            })
        })
        .connect(&task.database_url)
        .await
        .expect("the database answers");
    let text = std::fs::read_to_string(statements_file(&task.folder)).expect("the statements");
    let statements = Box::leak(Box::new(serde_json::from_str(&text).expect("three statements")));
    let shared = Shared { pool, tokens: TokenCheck::of(task), statements };
    let router = Router::new().route("/purchases", post(purchase)).with_state(shared);
    let listener = TcpListener::bind(("127.0.0.1", task.port)).await.expect("the port is free");
    axum::serve(listener, router).await.expect("it serves");
}

async fn purchase(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(input): Json<Input>,
) -> Result<Json<Output>, StatusCode> {
    let buyer = shared.tokens.user(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    match insert(&shared, buyer, &input).await {
        Ok(Some(test_cards_created)) => Ok(Json(Output { outcome: "CREATED", test_cards_created })),
        Ok(None) => Err(StatusCode::CONFLICT),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Makes a purchase, and returns the number of its cards. Returns None if the buyer cannot purchase the subject, or
/// owns it already.
async fn insert(shared: &Shared, buyer: i64, input: &Input) -> Result<Option<i64>, sqlx::Error> {
    let [lock, read, insert] = shared.statements;
    let mut transaction = shared.pool.begin().await?;
    let locked = sqlx::query(AssertSqlSafe(lock.as_str())).bind(input.subject_id).bind(buyer);
    let Some(locked) = locked.fetch_optional(&mut *transaction).await? else { return Ok(None) };
    if locked.get::<&str, _>(0) != "active" || locked.get::<Option<DateTime<Utc>>, _>(1).is_some() {
        return Ok(None);
    }
    let mut stored = sqlx::query(AssertSqlSafe(read.as_str()));
    for _ in 0..5 {
        stored = stored.bind(buyer);
    }
    let key = input.idempotency_key.as_str();
    let stored = stored.bind(key).bind(input.course_id).bind(input.subject_id).bind(buyer);
    let stored = stored.fetch_one(&mut *transaction).await?;
    let is_known = stored.get::<Option<i64>, _>("r_id").is_some();
    if is_known || stored.get::<Option<i64>, _>("e_subject_id").is_some() {
        return Ok(None);
    }
    let (price, cards): (i64, i32) = (stored.get("s_list_price"), stored.get("s_total_mock_tests"));
    let currency: &str = stored.get("c_currency");
    let now = Utc::now();
    let made = sqlx::query(AssertSqlSafe(insert.as_str()))
        // The purchase.
        .bind(buyer)
        .bind(input.course_id)
        .bind("single_subject")
        .bind(price)
        .bind(price)
        .bind(0_i64)
        .bind("Tax")
        .bind(0_i32)
        .bind(true)
        .bind(currency)
        .bind("active")
        .bind(now)
        .bind(None::<DateTime<Utc>>)
        // The entitlements, one array for each column.
        .bind(vec![input.subject_id])
        .bind(vec![price])
        .bind(vec![price])
        .bind(vec![0_i64])
        .bind(vec![cards])
        // The request with its idempotency key.
        .bind(buyer)
        .bind(key)
        .bind("a".repeat(64))
        .bind("created")
        .bind(now)
        // The audit event.
        .bind(now)
        .bind(buyer)
        .bind("purchase.created")
        .bind("purchases")
        .bind(None::<&str>)
        .bind(None::<&str>)
        .fetch_one(&mut *transaction)
        .await?;
    let made: i64 = made.get(1);
    transaction.commit().await?;
    Ok(Some(made))
}

//! The server for comparison: a REST handler as somebody would write it by hand for this one page.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use jishu_tests::bench_token::TokenCheck;
use jishu_tests::load::ServerTask;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::sqlx::{self, PgPool};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The number of connections that jishu has for reading by default.
const CONNECTIONS: u32 = 8;

#[derive(Clone)]
struct Shared {
    pool: PgPool,
    /// None if the handler does not verify tokens.
    tokens: Option<TokenCheck>,
}

#[derive(Deserialize)]
struct Parameters {
    user: i64,
    first: i64,
    after: Option<String>,
}

#[derive(Serialize)]
struct Page {
    cards: Vec<Card>,
    #[serde(rename = "hasNextPage")]
    has_next_page: bool,
    #[serde(rename = "endCursor")]
    end_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    id: i64,
    test_number: i32,
    status: String,
    max_attempts: i32,
    attempts_used: i32,
    remaining_attempts: i32,
    subject: Subject,
}

#[derive(Serialize)]
struct Subject {
    id: i64,
    name: String,
    course: Course,
}

#[derive(Serialize)]
struct Course {
    id: i64,
    name: String,
}

/// Runs a server with the REST handler [`cards`] until the process is killed.
pub(crate) async fn serve(task: &ServerTask) {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(&task.database_url).await;
    let tokens = (task.role == "rest verified").then(|| TokenCheck::of(task));
    let shared = Shared { pool: pool.expect("the database answers"), tokens };
    let router = Router::new().route("/cards", get(cards)).with_state(shared);
    let listener = TcpListener::bind(("127.0.0.1", task.port)).await.expect("the port is free");
    axum::serve(listener, router).await.expect("it serves");
}

async fn cards(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, StatusCode> {
    let owner = match &shared.tokens {
        None => parameters.user,
        Some(tokens) => tokens.user(&headers).ok_or(StatusCode::UNAUTHORIZED)?,
    };
    let (subject, number, id) = match &parameters.after {
        None => (0, 0, 0),
        Some(after) => position(after).ok_or(StatusCode::BAD_REQUEST)?,
    };
    type Row = (i64, i32, String, i32, i32, i64, String, i64, String);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT a.id, a.test_number, a.status, a.max_attempts, a.attempts_used, s.id, s.name, c.id, c.name \
         FROM mock_test_attempts a JOIN subjects s ON s.id = a.subject_id JOIN courses c ON c.id = s.course_id \
         WHERE a.user_id = $1 AND (a.subject_id, a.test_number, a.id) > ($2, $3, $4) \
         ORDER BY a.subject_id, a.test_number, a.id LIMIT $5",
    )
    .bind(owner)
    .bind(subject)
    .bind(number)
    .bind(id)
    .bind(parameters.first + 1)
    .fetch_all(&shared.pool)
    .await
    .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let most = usize::try_from(parameters.first).map_err(|_| StatusCode::BAD_REQUEST)?;
    let has_next_page = rows.len() > most;
    let last = rows.get(most.saturating_sub(1)).or(rows.last());
    let end_cursor = last.map(|row| format!("{}-{}-{}", row.5, row.1, row.0));
    let card =
        |(id, test_number, status, max_attempts, attempts_used, subject, name, course, of): Row| Card {
            id,
            test_number,
            status: status.to_uppercase(),
            max_attempts,
            attempts_used,
            remaining_attempts: (max_attempts - attempts_used).max(0),
            subject: Subject { id: subject, name, course: Course { id: course, name: of } },
        };
    Ok(Json(Page { cards: rows.into_iter().take(most).map(card).collect(), has_next_page, end_cursor }))
}

fn position(after: &str) -> Option<(i64, i32, i64)> {
    let mut parts = after.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

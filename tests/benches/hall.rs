//! Measures a hall in which thousands of learners begin a test at once, and hand it in at once.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench hall` starts a burst of 5,000 sittings of 180 questions, each with all
//! questions in its response, and then submits them with a last batch of five answers. `TEST_DATABASES=postgres` in front
//! of it measures PostgreSQL only. `JISHU_BENCH_SERVER=PATH` measures another build of the binary.

// The futures of a whole server are nested deeply.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement ends where it fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, course, mock_test_attempt, subject, user};
use jishu_service::Services;
use jishu_service::auth::Viewer;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_tests::bench_server::{bench_services, ran_as_server, start_server};
use jishu_tests::load::{KeptConnection, ServerProcess, graphql_post};
use jishu_tests::{Backend, fill_bank, global_id};
use mimalloc::MiMalloc;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait};
use serde_json::Value;
use uuid::Uuid;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const LEARNERS: usize = 5_000;
const QUESTIONS: i64 = 180;
/// Number of connections that send at once. Each sends its next request when the last one has a response. It is below the
/// number of requests that a server runs at once, which is 512.
const CONNECTIONS: usize = 400;
/// Number of sittings before the burst, so that the paper is made and the statements are prepared.
const WARMING: usize = 200;

const START: &str = "mutation ($card: ID!) { startTestSession(input: { mockTestAttemptId: $card }) { resumed userErrors { code } \
    session { id status startedAt expiresAt serverTime answerSequence questions { id slot kind textFormat stem \
    options { id text } answer { optionIds numericValue text } flagged timeSpentSeconds } } } }";
const SUBMIT: &str = "mutation ($input: SubmitTestSessionInput!) { submitTestSession(input: $input) { userErrors { code } \
    session { status result { score maxScore percentage } } } }";

/// A learner with a card.
struct Learner {
    token: String,
    card: String,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if runtime.block_on(ran_as_server()) {
        return;
    }
    for backend in [Backend::Postgres, Backend::MariaDb, Backend::Sqlite] {
        if backend.is_selected() {
            runtime.block_on(measure(backend));
        }
    }
}

async fn measure(backend: Backend) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = backend.create(folder.path()).await;
    let learners = prepare(&url, folder.path()).await;
    let server = start_server(&url, folder.path(), &[]);
    let start =
        |learner: &Learner| request(&learner.token, START, &serde_json::json!({ "card": learner.card }));
    let all: Vec<Vec<u8>> = learners.iter().map(start).collect();
    let (warming, burst) = all.split_at(WARMING);
    send_all(&server, warming.to_vec()).await;
    println!("{backend:?}, {CONNECTIONS} connections, two cores with the load and the database:");
    let starts = send_all(&server, burst.to_vec()).await;
    starts.print("starts");
    let submits = learners[WARMING..].iter().zip(&starts.bodies).filter_map(|(learner, body)| {
        let body: Value = serde_json::from_slice(body.as_deref()?).expect("JSON");
        let session = &body["data"]["startTestSession"]["session"];
        let answers: Vec<Value> = session["questions"]
            .as_array()
            .expect("questions")
            .iter()
            .filter(|question| question["options"].as_array().is_some_and(|options| !options.is_empty()))
            .take(5)
            .map(|question| serde_json::json!({ "slot": question["slot"], "optionIds": [question["options"][0]["id"]] }))
            .collect();
        let input = serde_json::json!({ "sessionId": session["id"], "sequence": 1, "answers": answers });
        Some(request(&learner.token, SUBMIT, &serde_json::json!({ "input": input })))
    });
    let submits = send_all(&server, submits.collect()).await;
    submits.print("submits");
    drop(server);
    backend.remove(&url).await;
}

fn request(token: &str, query: &str, variables: &Value) -> Vec<u8> {
    graphql_post(token, &serde_json::json!({ "query": query, "variables": variables }).to_string())
}

/// The responses to many requests.
struct Burst {
    took: Duration,
    server_cpu: Duration,
    /// The time of each request.
    times: Vec<Duration>,
    /// The body of each response. None for a refusal.
    bodies: Vec<Option<Vec<u8>>>,
}

impl Burst {
    fn print(&self, what: &str) {
        let count = self.times.len();
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |part: usize| times[(count * part / 100).min(count - 1)].as_secs_f64();
        let refusals = self.bodies.iter().filter(|body| body.is_none()).count();
        let bytes = self.bodies.iter().flatten().map(Vec::len).max().unwrap_or_default();
        let per = |total: Duration| total.as_secs_f64() * 1e3 / f64::from(u32::try_from(count).expect("few"));
        println!(
            "  {count} {what}: {:.1} s, {refusals} refused, {:.2} ms of the server's CPU each, p50 {:.2} s, p99 {:.2} s, \
             {bytes} bytes at most",
            self.took.as_secs_f64(),
            per(self.server_cpu),
            at(50),
            at(99),
        );
    }
}

/// Sends all requests over the connections, each as soon as a connection is free.
async fn send_all(server: &ServerProcess, requests: Vec<Vec<u8>>) -> Burst {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS.min(requests.len()) {
        connections.push(KeptConnection::open(server.port).await);
    }
    let (cpu, started) = (server.cpu_time(), Instant::now());
    let clients: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            tokio::spawn(async move {
                let mut responses = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(number) else { return responses };
                    let sent = Instant::now();
                    let body = connection.try_send(request).await.ok().map(<[u8]>::to_vec);
                    let is_refused = |body: &Vec<u8>| !contains(body, b"\"userErrors\":[]");
                    responses.push((number, sent.elapsed(), body.filter(|body| !is_refused(body))));
                }
            })
        })
        .collect();
    let mut responses = Vec::new();
    for client in clients {
        responses.extend(client.await.expect("a client does not panic"));
    }
    let (took, server_cpu) = (started.elapsed(), server.cpu_time() - cpu);
    responses.sort_unstable_by_key(|(number, ..)| *number);
    let (times, bodies) = responses.into_iter().map(|(_, time, body)| (time, body)).unzip();
    Burst { took, server_cpu, times, bodies }
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

/// Creates a test of 180 questions, and the learners who have bought it.
async fn prepare(url: &str, folder: &Path) -> Vec<Learner> {
    let services = bench_services(url, folder, Arc::new(|_: &str| {})).await;
    let (connection, now) = (services.database.writer(), services.clock.now());
    let course = course::ActiveModel {
        name: Set("Course".to_owned()),
        currency: Set("INR".to_owned()),
        created_at: Set(now),
        ..Default::default()
    };
    let course = course.insert(connection).await.expect("a course").id;
    let subject = subject::ActiveModel {
        course_id: Set(course),
        name: Set("Physics".to_owned()),
        list_price: Set(100_00),
        total_mock_tests: Set(1),
        created_at: Set(now),
        ..Default::default()
    };
    let subject = subject.insert(connection).await.expect("a subject").id;
    fill_bank(connection, subject, QUESTIONS, now).await;
    // Texts as long as those of real questions: a response has some 130 KB.
    for longer in [
        "UPDATE question_versions SET stem = CONCAT(stem, ' ', REPEAT('A body moves along a line. ', 11))",
        "UPDATE question_options SET text = CONCAT(text, ' ', REPEAT('metres ', 5))",
    ] {
        let longer = match services.database.backend() {
            sea_orm::DbBackend::Sqlite => longer
                .replace(
                    "CONCAT(stem, ' ', REPEAT('A body moves along a line. ', 11))",
                    &format!("stem || '{}'", " A body moves along a line.".repeat(11)),
                )
                .replace(
                    "CONCAT(text, ' ', REPEAT('metres ', 5))",
                    &format!("text || '{}'", " metres".repeat(5)),
                ),
            _ => longer.to_owned(),
        };
        connection.execute_unprepared(&longer).await.expect("longer texts");
    }
    services.catalog.reload().await.expect("the catalogue can be read");
    let numbers: Vec<usize> = (0..LEARNERS + WARMING).collect();
    for numbers in numbers.chunks(500) {
        let rows = numbers.iter().map(|number| user::ActiveModel {
            name: Set("Learner".to_owned()),
            email: Set(format!("learner{number}@example.com")),
            // Nobody signs in with this password.
            password_hash: Set("none".to_owned()),
            role: Set(Role::Learner),
            status: Set(UserStatus::Active),
            created_at: Set(now),
            ..Default::default()
        });
        user::Entity::insert_many(rows).exec_without_returning(connection).await.expect("learners");
    }
    let users = user::Entity::find().all(connection).await.expect("the learners");
    let selection = Selection {
        course_id: course,
        purchase_type: PurchaseType::SingleSubject,
        subject_ids: vec![subject],
    };
    let mut learners = Vec::new();
    for users in users.chunks(8) {
        let bought = users.iter().map(|user| learner(&services, user.id, selection.clone()));
        learners.extend(futures_util::future::join_all(bought).await);
    }
    services.database.close().await.expect("it closes");
    learners
}

async fn learner(services: &Services, owner: UserId, selection: Selection) -> Learner {
    let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
    purchase::purchase(services, owner, request).await.expect("a purchase");
    let card = mock_test_attempt::Entity::of(owner).one(services.database.reader()).await;
    let card = card.expect("the query runs").expect("a card").id;
    let viewer = Viewer { user_id: owner, role: Role::Learner, session_id: Uuid::new_v4() };
    let token = services.tokens.issue(viewer, services.clock.now()).expect("a token").token;
    Learner { token, card: global_id("MockTestAttempt", card.0) }
}

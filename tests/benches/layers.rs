//! Measures the cost of the layers around async-graphql. It reads a page of 50 cards from jishu with all layers, and from
//! the same schema behind the stock service of async-graphql-axum on `axum::serve`.
//!
//! `cargo bench -p jishu-tests --bench layers` prints requests a second and the CPU time of the server process for
//! a request, in turns, so that other work of the machine affects both.

#![expect(clippy::expect_used, reason = "a measurement ends where it fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use clap::Parser;
use jishu_api::config::ServeConfig;
use jishu_api::graphql::{self, JishuSchema, Loaders};
use jishu_api::server;
use jishu_entity::purchase::PurchaseType;
use jishu_service::auth::{KeyRing, Viewer};
use jishu_service::clock::SystemClock;
use jishu_service::database::Database;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_service::{Services, demo};
use jishu_tests::UNLIMITED;
use jishu_tests::load::{ServerProcess, ServerTask, graphql_post, median};
use mimalloc::MiMalloc;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CONNECTIONS: usize = 16;
const TURNS: usize = 5;
const TURN_LENGTH: Duration = Duration::from_secs(4);

const PAGE: &str =
    "query Cards($first: Int!) { viewer { mockTestAttempts(first: $first) { edges { cursor node {
    id testNumber status maxAttempts attemptsUsed remainingAttempts subject { id name course { id name } } } }
    pageInfo { hasNextPage endCursor } } } }";

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    serve: ServeConfig,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match ServerTask::of_this_process() {
        Some(task) => runtime.block_on(serve(&task)),
        None => runtime.block_on(measure()),
    }
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("jishu.db").display())
}

fn config(folder: &Path, port: u16) -> ServeConfig {
    let url = url(folder);
    let (listen, keys) = (format!("127.0.0.1:{port}"), folder.join("keys.pem"));
    let keys = keys.to_str().expect("UTF-8");
    let mut args = vec!["bench", "--database-url", &url, "--listen", &listen, "--signing-keys", keys];
    // One learner sends as many requests as thousands of learners would.
    args.extend(UNLIMITED);
    Config::parse_from(args).serve
}

async fn services(config: &ServeConfig) -> Services {
    let database = Database::connect(&config.database.options()).await.expect("the database opens");
    server::services(config, database, Arc::new(SystemClock)).await.expect("the services start")
}

/// Runs a server in the child process.
async fn serve(task: &ServerTask) {
    let config = config(&task.folder, task.port);
    let services = services(&config).await;
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    if task.role == "stock" {
        let schema = graphql::builder(services.clone()).finish();
        let router = Router::new().route("/graphql", post(stock)).with_state((schema, Arc::new(services)));
        axum::serve(listener, router).await.expect("it serves");
    } else {
        let engine = config.graphql.engine().expect("no manifest");
        let never = std::future::pending();
        let channels = server::channels(&config).expect("the templates render");
        server::run(listener, services, (engine, channels), &config, never).await.expect("it serves");
    }
}

/// Handles a request as the documentation of async-graphql-axum shows. It also verifies the token, as jishu does.
async fn stock(
    State((schema, services)): State<(JishuSchema, Arc<Services>)>,
    headers: HeaderMap,
    request: GraphQLRequest,
) -> GraphQLResponse {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let viewer = token.and_then(|token| services.tokens.verify(token, services.clock.now()).ok());
    let mut request = request.into_inner().data(Loaders::new(&services));
    if let Some(viewer) = viewer {
        request = request.data(viewer);
    }
    schema.execute(request).await.into()
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = prepare(folder.path()).await;
    let mut servers = ["stock", "layers"].map(|role| Measured {
        role,
        process: ServerProcess::start(role, &url(folder.path()), folder.path()),
        requests: Vec::new(),
        cpu: Vec::new(),
    });
    let body = json!({ "query": PAGE, "variables": { "first": 50 } }).to_string();
    let request = graphql_post(&token, &body);
    let answers = [servers[0].process.response(&request).await, servers[1].process.response(&request).await];
    let requests = vec![request; CONNECTIONS];
    assert_eq!(answers[0], answers[1], "both answer the same");
    let text = String::from_utf8_lossy(&answers[0]);
    assert!(text.contains("\"testNumber\":50"), "{text}");

    for turn in 0..=TURNS {
        for server in &mut servers {
            let result = server.process.repeat(&requests, TURN_LENGTH).await;
            // The first turn warms up.
            if turn > 0 {
                server.requests.push(result.per_second());
                server.cpu.push(result.server_milliseconds());
            }
        }
    }
    for server in &servers {
        println!(
            "{:8} {:8.0} requests/s (median of {TURNS} turns), {:.3} ms of CPU a request",
            server.role,
            median(&server.requests),
            median(&server.cpu)
        );
    }
    let [stock, layers] = &servers;
    println!(
        "layers : stock = {:.2} in throughput, {:.2} in CPU time",
        median(&layers.requests) / median(&stock.requests),
        median(&layers.cpu) / median(&stock.cpu)
    );
}

/// Creates the demo's learner with a subject of 50 cards, and returns an access token.
async fn prepare(folder: &Path) -> String {
    KeyRing::load_or_create(&folder.join("keys.pem")).expect("a key");
    let config = config(folder, 0);
    let database = Database::connect(&config.database.options()).await.expect("the database opens");
    database.migrate_up().await.expect("the migrations apply");
    database.close().await.expect("it closes");
    let services = services(&config).await;
    let learner = demo::seed(&services).await.expect("the demo");
    services.catalog.reload().await.expect("the catalogue");
    let snapshot = services.catalog.snapshot();
    let course = snapshot.courses_on_sale().next().expect("a course");
    let selection = Selection {
        course_id: course.row.id,
        purchase_type: PurchaseType::FullBundle,
        subject_ids: Vec::new(),
    };
    let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
    purchase::purchase(&services, learner.id, request).await.expect("a purchase");
    let viewer = Viewer { user_id: learner.id, role: learner.role, session_id: Uuid::new_v4() };
    let token = services.tokens.issue(viewer, services.clock.now()).expect("a token").token;
    services.database.close().await.expect("it closes");
    token
}

/// A server and its turns.
struct Measured {
    role: &'static str,
    process: ServerProcess,
    requests: Vec<f64>,
    cpu: Vec<f64>,
}

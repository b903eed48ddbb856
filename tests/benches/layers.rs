//! Measures the cost of the layers around async-graphql. It reads a page of 50 cards from jishu with all layers, and from
//! the same schema behind the stock service of async-graphql-axum on `axum::serve`.
//!
//! `cargo bench -p jishu-tests --bench layers` prints requests a second and the CPU time of the server process for
//! a request, in turns, so that other work of the machine affects both.

#![expect(clippy::expect_used, reason = "a measurement ends where it fails")]

use std::path::Path;
use std::time::{Duration, Instant};

use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use jishu_api::config::ServeConfig;
use jishu_api::graphql::{self, JishuSchema, Loaders};
use jishu_entity::purchase::PurchaseType;
use jishu_service::auth::{KeyRing, Viewer};
use jishu_service::database::Database;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_service::{Services, demo};
use jishu_tests::load::{
    BenchServer, KeptConnection, graphql_post, median, open_services, serve_config, serve_for_ever,
};
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
/// Tells the child process which server it is.
const ROLE_VARIABLE: &str = "JISHU_BENCH_SERVER";
/// Tells it where the database is.
const FOLDER_VARIABLE: &str = "JISHU_BENCH_FOLDER";

const PAGE: &str =
    "query Cards($first: Int!) { viewer { mockTestAttempts(first: $first) { edges { cursor node {
    id testNumber status maxAttempts attemptsUsed remainingAttempts subject { id name course { id name } } } }
    pageInfo { hasNextPage endCursor } } } }";

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match BenchServer::port_of_this_process() {
        Some(port) => runtime.block_on(serve(port)),
        None => runtime.block_on(measure()),
    }
}

fn config(folder: &Path, port: u16) -> ServeConfig {
    let url = format!("sqlite://{}?mode=rwc", folder.join("jishu.db").display());
    serve_config(&url, folder, port, &[])
}

/// Runs a server in the child process.
async fn serve(port: u16) {
    let variable = |name| std::env::var(name).expect("set by the parent");
    let config = config(Path::new(&variable(FOLDER_VARIABLE)), port);
    if variable(ROLE_VARIABLE) != "stock" {
        return serve_for_ever(&config).await;
    }
    let services = open_services(&config).await;
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    let schema = graphql::builder(services.clone()).finish();
    let router = Router::new().route("/graphql", post(stock)).with_state((schema, services));
    axum::serve(listener, router).await.expect("it serves");
}

/// Handles a request as the documentation of async-graphql-axum shows. It also verifies the token, as jishu does.
async fn stock(
    State((schema, services)): State<(JishuSchema, Services)>,
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
    let mut servers = ["stock", "layers"].map(|role| Server::start(role, folder.path()));
    let body = json!({ "query": PAGE, "variables": { "first": 50 } }).to_string();
    let answers = [servers[0].request(&token, &body).await, servers[1].request(&token, &body).await];
    assert_eq!(answers[0], answers[1], "both answer the same");
    assert!(answers[0].contains("\"testNumber\":50"), "{}", answers[0]);

    for turn in 0..=TURNS {
        for server in &mut servers {
            let (requests, cpu) = server.load(&token, &body).await;
            // The first turn warms up.
            if turn > 0 {
                server.requests.push(requests / TURN_LENGTH.as_secs_f64());
                server.cpu.push(cpu.as_secs_f64() * 1e3 / requests);
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
    let services = open_services(&config).await;
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

struct Server {
    role: &'static str,
    process: BenchServer,
    requests: Vec<f64>,
    cpu: Vec<f64>,
}

impl Server {
    fn start(role: &'static str, folder: &Path) -> Self {
        let folder = folder.to_str().expect("UTF-8");
        let process = BenchServer::start(&[(ROLE_VARIABLE, role), (FOLDER_VARIABLE, folder)]);
        Self { role, process, requests: Vec::new(), cpu: Vec::new() }
    }

    async fn request(&self, token: &str, body: &str) -> String {
        let mut connection = KeptConnection::open(self.process.port).await;
        String::from_utf8_lossy(connection.send(&graphql_post(token, body)).await).into_owned()
    }

    /// Sends requests for one turn. Returns the requests per second and the server's CPU time for a request.
    async fn load(&self, token: &str, body: &str) -> (f64, Duration) {
        let before = self.process.cpu_time();
        let until = Instant::now() + TURN_LENGTH;
        let clients = (0..CONNECTIONS).map(|_| {
            let (port, request) = (self.process.port, graphql_post(token, body));
            tokio::spawn(async move {
                let mut connection = KeptConnection::open(port).await;
                let mut requests = 0.0;
                while Instant::now() < until {
                    connection.send(&request).await;
                    requests += 1.0;
                }
                requests
            })
        });
        let mut requests = 0.0;
        for client in clients.collect::<Vec<_>>() {
            requests += client.await.expect("a client does not panic");
        }
        (requests, self.process.cpu_time() - before)
    }
}

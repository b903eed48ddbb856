//! Measures the cost of the layers around async-graphql. It reads a page of 50 cards from jishu with all layers, and from
//! the same schema behind the stock service of async-graphql-axum on `axum::serve`.
//!
//! `cargo bench -p jishu-tests --bench layers` prints requests a second and the CPU time of the server process for
//! a request, in turns, so that other work of the machine affects both.
//!
//! `cargo bench -p jishu-tests --bench layers -- observed` compares the server without metrics and traces with the same server
//! that counts, that also traces one request in ten, and that traces each request. A collector takes the traces.

// The futures of a whole server are nested deeply.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use jishu_api::config::{LogFormat, ServeConfig};
use jishu_api::graphql::{self, JishuSchema, Loaders};
use jishu_api::telemetry;
use jishu_entity::purchase::PurchaseType;
use jishu_service::auth::{KeyRing, Viewer};
use jishu_service::database::Database;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_service::{Services, demo};
use jishu_tests::bench_data::page_request;
use jishu_tests::bench_server::{open_services, serve_config, serve_for_ever};
use jishu_tests::load::{ServerProcess, ServerTask, median};
use mimalloc::MiMalloc;
use tokio::net::TcpListener;
use uuid::Uuid;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CONNECTIONS: usize = 16;
/// Many short turns, so that work of the machine that lasts some seconds hits all servers of a turn.
const TURNS: usize = 25;
const TURN_LENGTH: Duration = Duration::from_secs(1);
/// Tells the child process where the collector of traces listens.
const COLLECTOR_VARIABLE: &str = "JISHU_BENCH_COLLECTOR";

/// The servers whose metrics and traces are compared with those of the first.
const OBSERVED_ROLES: [&str; 4] = ["off", "metrics", "traced-tenth", "traced-all"];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match ServerTask::of_this_process() {
        Some(task) => runtime.block_on(serve(&task)),
        None if std::env::args().any(|argument| argument == "observed") => {
            runtime.block_on(measure_observed());
        }
        None => runtime.block_on(measure_layers()),
    }
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("jishu.db").display())
}

fn config(folder: &Path, port: u16, more: &[&str]) -> ServeConfig {
    serve_config(&url(folder), folder, port, more)
}

/// Runs a server in the child process.
async fn serve(task: &ServerTask) {
    let collector = std::env::var(COLLECTOR_VARIABLE).unwrap_or_default();
    let endpoint = format!("--otlp-endpoint={collector}");
    let flags: &[&str] = match task.role.as_str() {
        "metrics" => &["--metrics-listen=127.0.0.1:1"],
        "traced-tenth" => &["--metrics-listen=127.0.0.1:1", &endpoint, "--trace-ratio=0.1"],
        "traced-all" => &["--metrics-listen=127.0.0.1:1", &endpoint, "--trace-ratio=1"],
        _ => &[],
    };
    let config = config(&task.folder, task.port, flags);
    // Each of these logs as the binary does.
    let _traces = OBSERVED_ROLES.contains(&task.role.as_str()).then(|| {
        telemetry::init(LogFormat::Text, Some(&config.observe)).expect("nothing else has set up logging")
    });
    if task.role != "stock" {
        return serve_for_ever(&config).await;
    }
    let services = open_services(&config).await;
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    let schema = graphql::builder(services.clone()).finish();
    let router = Router::new().route("/graphql", post(stock)).with_state((schema, Arc::new(services)));
    axum::serve(listener, router).await.expect("it serves");
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

async fn measure_layers() {
    let servers = measure(&["stock", "layers"], "").await;
    compare(&servers[0], &servers[1]);
}

async fn measure_observed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let collector = format!("http://{}", listener.local_addr().expect("its address"));
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let router = Router::new().fallback(move |body: Bytes| {
        count.fetch_add(body.len(), Ordering::Relaxed);
        std::future::ready(())
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let servers = measure(&OBSERVED_ROLES, &collector).await;
    for server in &servers[1..] {
        compare(&servers[0], server);
    }
    println!("the collector got {} bytes", received.load(Ordering::Relaxed));
}

/// Sends the same requests to servers in turns, and prints what each took.
async fn measure(roles: &[&'static str], collector: &str) -> Vec<Measured> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = prepare(folder.path()).await;
    let start = |role: &&'static str| {
        let mut program = Command::new(std::env::current_exe().expect("this program"));
        program.env(COLLECTOR_VARIABLE, collector);
        let process = ServerProcess::start_with(program, role, &url(folder.path()), folder.path());
        Measured { role, process, requests: Vec::new(), cpu: Vec::new() }
    };
    let mut servers: Vec<_> = roles.iter().map(start).collect();
    let request = page_request(&token, 50, None, None);
    let first = servers[0].process.response(&request).await;
    let text = String::from_utf8_lossy(&first);
    assert!(text.contains("\"testNumber\":50"), "{text}");
    for server in &servers {
        assert_eq!(server.process.response(&request).await, first, "the responses differ");
    }
    let requests = vec![request; CONNECTIONS];

    for turn in 0..=TURNS {
        // Each server is the first of a turn in its time.
        for place in 0..servers.len() {
            let index = (turn + place) % servers.len();
            let server = &mut servers[index];
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
            "{:12} {:8.0} requests/s (median of {TURNS} turns), {:.3} ms of CPU a request",
            server.role,
            median(&server.requests),
            median(&server.cpu)
        );
    }
    servers
}

/// Compares two servers turn by turn, and prints the median ratio with the quartiles of the throughput.
fn compare(base: &Measured, other: &Measured) {
    let mut throughput = ratios(&other.requests, &base.requests);
    throughput.sort_by(f64::total_cmp);
    println!(
        "{} : {} = {:.3} in throughput (quartiles {:.3} and {:.3}), {:.3} in CPU time",
        other.role,
        base.role,
        median(&throughput),
        throughput[TURNS / 4],
        throughput[TURNS - 1 - TURNS / 4],
        median(&ratios(&other.cpu, &base.cpu))
    );
}

fn ratios(values: &[f64], bases: &[f64]) -> Vec<f64> {
    values.iter().zip(bases).map(|(value, base)| value / base).collect()
}

/// Creates the demo's learner with a subject of 50 cards, and returns an access token.
async fn prepare(folder: &Path) -> String {
    KeyRing::load_or_create(&folder.join("keys.pem")).expect("a key");
    let config = config(folder, 0, &[]);
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

/// A server and its turns.
struct Measured {
    role: &'static str,
    process: ServerProcess,
    requests: Vec<f64>,
    cpu: Vec<f64>,
}

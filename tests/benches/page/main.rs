//! Measures a page of 50 cards with subject and course. jishu, with all of its layers, reads it beside a hand-written REST
//! handler over the same rows: axum and sqlx, one join, structs that serde writes.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench page` prints a table at the end. Each server has a process of its own,
//! and they take turns, so that other work of the machine affects all of them. `PAGE_TURNS` and `PAGE_TURN_SECONDS` change
//! the number of turns and their length.
//!
//! `tests/run -- tests/benches/instructions` counts the instructions of a request instead: see `instructions.rs`.

#![expect(clippy::expect_used, reason = "a measurement ends where it fails")]

mod data;
mod database_cpu;
mod instructions;
mod rest;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use data::World;
use database_cpu::DatabaseCpu;
use jishu_api::config::{LogFormat, ServeConfig};
use jishu_api::{server, telemetry};
use jishu_service::clock::SystemClock;
use jishu_service::database::Database;
use jishu_tests::load::{ServerProcess, ServerTask, graphql_post, median};
use jishu_tests::{Backend, UNLIMITED};
use mimalloc::MiMalloc;
use serde_json::json;
use tokio::net::TcpListener;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CONNECTIONS: usize = 32;
const CARDS_PER_PAGE: usize = 50;
/// The first bytes of anything that gzip has compressed.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

const PAGE: &str =
    "query Cards($first: Int!, $after: String) { viewer { mockTestAttempts(first: $first, after: $after) {
    edges { cursor node { id testNumber status maxAttempts attemptsUsed remainingAttempts
    subject { id name course { id name } } } } pageInfo { hasNextPage endCursor } } } }";

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    serve: ServeConfig,
}

fn config(url: &str, folder: &Path, port: u16) -> ServeConfig {
    let (listen, keys) = (format!("127.0.0.1:{port}"), folder.join("keys.pem"));
    let keys = keys.to_str().expect("UTF-8");
    let mut args = vec!["bench", "--database-url", url, "--listen", &listen, "--signing-keys", keys];
    // An hour is long enough for all turns. One learner sends as many requests as thousands of learners would.
    args.extend(["--access-token-seconds", "3600"]);
    args.extend(UNLIMITED);
    Config::parse_from(args).serve
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match ServerTask::of_this_process() {
        Some(task) if task.role == instructions::ROLE => instructions::serve(&task),
        Some(task) => runtime.block_on(serve(&task, std::future::pending())),
        None if std::env::var_os("PAGE_INSTRUCTIONS").is_some() => runtime.block_on(instructions::count()),
        None => runtime.block_on(measure()),
    }
}

/// Runs a server in the child process.
async fn serve(task: &ServerTask, stop: impl Future<Output = ()>) {
    if task.role.starts_with("rest") {
        rest::serve(task).await;
        return;
    }
    // The lines of the log cost what they cost in the binary.
    telemetry::init(LogFormat::Text, None).expect("the log starts");
    let config = config(&task.database_url, &task.folder, task.port);
    let database = Database::connect(&config.database.options()).await.expect("the database opens");
    let services = server::services(&config, database, Arc::new(SystemClock)).await.expect("the services");
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    let engine = config.graphql.engine().expect("no manifest");
    let channels = server::channels(&config).expect("the templates render");
    server::run(listener, services, (engine, channels), &config, stop).await.expect("it serves");
}

/// Returns the bytes of a request for a page.
fn page_request(token: &str, after: Option<&str>, accept_encoding: Option<&str>) -> Vec<u8> {
    let variables = json!({ "first": CARDS_PER_PAGE, "after": after });
    let body = json!({ "query": PAGE, "variables": variables }).to_string();
    // Headers can follow the token, which is the value of a header.
    let encoding =
        accept_encoding.map(|encoding| format!("\r\naccept-encoding: {encoding}")).unwrap_or_default();
    graphql_post(&format!("{token}{encoding}"), &body)
}

/// A request that is repeated, and its figures.
struct Measured {
    name: &'static str,
    server: usize,
    request: Vec<u8>,
    bytes: usize,
    per_second: Vec<f64>,
    server_ms: Vec<f64>,
    database_ms: Vec<f64>,
}

impl Measured {
    async fn new(name: &'static str, servers: &[ServerProcess], server: usize, request: Vec<u8>) -> Self {
        let response = servers[server].response(&request).await;
        let is_compressed = response.starts_with(GZIP_MAGIC);
        let text = String::from_utf8_lossy(&response);
        assert!(is_compressed || text.matches("estNumber").count() == CARDS_PER_PAGE, "{name}: {text}");
        let bytes = response.len();
        let (per_second, server_ms, database_ms) = Default::default();
        Self { name, server, request, bytes, per_second, server_ms, database_ms }
    }

    async fn turn(
        &mut self,
        servers: &[ServerProcess],
        database: &DatabaseCpu,
        length: Duration,
        counts: bool,
    ) {
        let requests = vec![self.request.clone(); CONNECTIONS];
        let before = database.read().await;
        let turn = servers[self.server].repeat(&requests, length).await;
        let after = database.read().await;
        if counts {
            self.per_second.push(turn.per_second());
            self.server_ms.push(turn.server_milliseconds());
            self.database_ms.push((after.saturating_sub(before)).as_secs_f64() * 1e3 / turn.requests);
        }
    }
}

async fn measure() {
    let mut tables = Vec::new();
    for backend in [Backend::Postgres, Backend::MariaDb, Backend::Sqlite] {
        if backend.is_selected() {
            tables.push(measure_on(backend).await);
        }
    }
    for table in tables {
        println!("{table}");
    }
}

/// Measures on one database, and returns the table.
async fn measure_on(backend: Backend) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = backend.create(folder.path()).await;
    let world = World::create(&url, folder.path(), World::SUBJECTS).await;
    let database = DatabaseCpu::connect(backend, &url).await;
    let has_rival = backend == Backend::Postgres;
    let roles: &[&str] = if has_rival { &["jishu", "rest verified", "rest"] } else { &["jishu"] };
    let servers: Vec<_> = roles.iter().map(|role| ServerProcess::start(role, &url, folder.path())).collect();
    let request = |after, encoding| page_request(&world.token, after, encoding);
    let deep = world.cursor_at_depth(servers[0].port).await;
    let mut all = vec![Measured::new("jishu", &servers, 0, request(None, None)).await];
    if has_rival {
        all.push(Measured::new("REST, verifies tokens", &servers, 1, world.rest(0)).await);
        all.push(Measured::new("REST, no sign-in", &servers, 2, world.rest(0)).await);
    }
    all.push(Measured::new("jishu, page 10,000", &servers, 0, request(Some(&deep), None)).await);
    all.push(Measured::new("jishu, gzip", &servers, 0, request(None, Some("gzip"))).await);
    if has_rival {
        let depth = World::DEPTH;
        all.push(Measured::new("REST, verifies tokens, page 10,000", &servers, 1, world.rest(depth)).await);
    }
    let number = |name: &str, default: u32| {
        std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
    };
    let (turns, seconds) = (number("PAGE_TURNS", 5), number("PAGE_TURN_SECONDS", 4));
    for turn in 0..=turns {
        for measured in &mut all {
            // The first turn warms up.
            measured.turn(&servers, &database, Duration::from_secs(seconds.into()), turn > 0).await;
        }
    }
    drop(servers);
    drop(database);
    backend.remove(&url).await;
    table(backend, turns, &all)
}

fn table(backend: Backend, turns: u32, all: &[Measured]) -> String {
    let mut lines = format!(
        "{backend:?}, medians of {turns} interleaved turns, {CONNECTIONS} connections, a page of {CARDS_PER_PAGE} cards\n\
         {:<36}{:>12}{:>16}{:>18}{:>10}{:>8}\n",
        "server", "requests/s", "CPU ms, server", "CPU ms, database", "bytes", "jishu"
    );
    let ours = median(&all[0].per_second);
    for Measured { name, bytes, per_second, server_ms, database_ms, .. } in all {
        let rate = median(per_second);
        let (server, database) = (median(server_ms), median(database_ms));
        let row =
            format!("{name:<36}{rate:>12.0}{server:>16.3}{database:>18.3}{bytes:>10}{:>8.2}\n", ours / rate);
        lines.push_str(&row);
    }
    lines.push_str("The last column is the throughput of jishu's first page divided by that of the row.\n");
    for Measured { name, per_second, .. } in all {
        lines.push_str(&format!("  turns of {name}: {per_second:.0?}\n"));
    }
    lines
}

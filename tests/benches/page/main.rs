//! Measures a page of 50 cards with subject and course, which jishu returns over HTTP: the first page, page 10,000, and
//! the first page compressed. On PostgreSQL, compares jishu with a hand-written REST handler and with Mercurius, which
//! both run one join. A second server with Mercurius has loaders instead of the join. Mercurius and a second REST handler
//! do not verify tokens.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench page` prints a table for each database at the end. Each server has
//! a process of its own. All servers on all databases take turns, so that other work of the machine affects all of
//! them. The environment variables `PAGE_TURNS` and `PAGE_TURN_SECONDS` change the number of turns and their length.
//!
//! Mercurius is left out unless its packages are installed: `npm ci --prefix tests/benches/page/mercurius`.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

mod data;
mod rest;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use data::World;
use jishu_api::config::LogFormat;
use jishu_api::telemetry;
use jishu_tests::Backend;
use jishu_tests::bench_data::page_request;
use jishu_tests::bench_server::{serve_config, serve_for_ever};
use jishu_tests::database_cpu::DatabaseCpu;
use jishu_tests::load::{ServerProcess, ServerTask, median, serve_or_measure};
use mimalloc::MiMalloc;
use tempfile::TempDir;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CONNECTIONS: usize = 32;
const CARDS_PER_PAGE: usize = 50;
/// The roles of the servers with Mercurius, and their names in the table.
const MERCURIUS: [(&str, &str); 2] = [
    ("mercurius", "Mercurius, JIT, one join, no sign-in"),
    ("mercurius loaders", "Mercurius, JIT, loaders, no sign-in"),
];
/// The first bytes of data that gzip has compressed.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

fn main() {
    serve_or_measure(async |task| serve(&task).await, measure);
}

/// Runs the server that the role of `task` names, in the child process.
async fn serve(task: &ServerTask) {
    if task.role.starts_with("rest") {
        rest::serve(task).await;
        return;
    }
    // Sets up logging as the binary does, so that log lines cost the same.
    let _traces = telemetry::init(LogFormat::Text, None).expect("the log starts");
    serve_for_ever(&serve_config(&task.database_url, &task.folder, task.port, &[])).await;
}

/// Returns the folder of the JavaScript program that runs Mercurius.
fn mercurius_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/page/mercurius")
}

/// Starts a server with Mercurius, in a role that `server.mjs` knows. Returns None if its npm packages are not installed.
fn start_mercurius(role: &str, url: &str, folder: &Path) -> Option<ServerProcess> {
    let program = mercurius_folder();
    if !program.join("node_modules/mercurius").exists() {
        return None;
    }
    let mut node = Command::new("node");
    node.arg(program.join("server.mjs")).env("NODE_ENV", "production");
    Some(ServerProcess::start_with(node, role, url, folder))
}

/// A request that is repeated, its server, and the figures of each turn.
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

    /// Returns the CPU time of the server and the database per request, in milliseconds.
    fn all_ms(&self) -> f64 {
        median(&self.server_ms) + median(&self.database_ms)
    }
}

/// A database with its servers, and the requests to these servers.
struct Measurement {
    backend: Backend,
    url: String,
    cpu: DatabaseCpu,
    servers: Vec<ServerProcess>,
    all: Vec<Measured>,
    /// The folder with SQLite's file and the signing keys. It is deleted when this value is dropped.
    _folder: TempDir,
}

impl Measurement {
    async fn prepare(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = backend.create(folder.path()).await;
        let world = World::create(&url, folder.path(), World::SUBJECTS).await;
        let cpu = DatabaseCpu::connect(backend, &url).await;
        let has_rivals = backend == Backend::Postgres;
        let roles: &[&str] = if has_rivals { &["jishu", "rest verified", "rest"] } else { &["jishu"] };
        let start = |role: &&str| ServerProcess::start(role, &url, folder.path());
        let mut servers: Vec<_> = roles.iter().map(start).collect();
        let request = |after, encoding| page_request(&world.token, CARDS_PER_PAGE, after, encoding);
        let deep = world.cursor_at_depth(servers[0].port).await;
        let mut all = vec![Measured::new("jishu", &servers, 0, request(None, None)).await];
        if has_rivals {
            all.push(Measured::new("REST, verifies tokens", &servers, 1, world.rest(0)).await);
            all.push(Measured::new("REST, no sign-in", &servers, 2, world.rest(0)).await);
            for (role, name) in MERCURIUS {
                let Some(server) = start_mercurius(role, &url, folder.path()) else { break };
                servers.push(server);
                all.push(Measured::new(name, &servers, servers.len() - 1, world.mercurius()).await);
            }
        }
        all.push(Measured::new("jishu, page 10,000", &servers, 0, request(Some(&deep), None)).await);
        all.push(Measured::new("jishu, gzip", &servers, 0, request(None, Some("gzip"))).await);
        if has_rivals {
            let depth = World::DEPTH;
            all.push(
                Measured::new("REST, verifies tokens, page 10,000", &servers, 1, world.rest(depth)).await,
            );
        }
        Self { backend, url, cpu, servers, all, _folder: folder }
    }

    async fn turn(&mut self, length: Duration, counts: bool) {
        for measured in &mut self.all {
            measured.turn(&self.servers, &self.cpu, length, counts).await;
        }
    }
}

async fn measure() {
    let number = |name: &str, default: u32| {
        std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
    };
    let (turns, seconds) = (number("PAGE_TURNS", 5), number("PAGE_TURN_SECONDS", 4));
    let mut measurements = Vec::new();
    for backend in Backend::selected() {
        measurements.push(Measurement::prepare(backend).await);
    }
    for turn in 0..=turns {
        for measurement in &mut measurements {
            // The first turn only warms up, and is not counted.
            measurement.turn(Duration::from_secs(seconds.into()), turn > 0).await;
        }
    }
    for measurement in &measurements {
        println!("{}", table(measurement, turns));
    }
    if !mercurius_folder().join("node_modules/mercurius").exists() {
        println!("Mercurius is left out: install it with `npm ci --prefix tests/benches/page/mercurius`.");
    }
    let of = |backend| measurements.iter().find(|measurement| measurement.backend == backend);
    if let (Some(sqlite), Some(postgres)) = (of(Backend::Sqlite), of(Backend::Postgres)) {
        let (sqlite, postgres) = (sqlite.all[0].all_ms(), postgres.all[0].all_ms());
        println!(
            "CPU of server and database for jishu's page: SQLite {sqlite:.3} ms, PostgreSQL {postgres:.3} ms. \
             SQLite : PostgreSQL = {:.2}",
            sqlite / postgres
        );
    }
    for Measurement { backend, url, servers, cpu, .. } in measurements {
        drop((servers, cpu));
        backend.remove(&url).await;
    }
}

fn table(Measurement { backend, all, .. }: &Measurement, turns: u32) -> String {
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

//! Compares how fast several servers on the same SQLite database return a page of 50 cards. The servers take turns.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jishu_api::config::ServeConfig;
use jishu_entity::purchase::PurchaseType;
use jishu_service::auth::{KeyRing, Viewer};
use jishu_service::database::Database;
use jishu_service::demo;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::bench_data::page_request;
use crate::bench_server::{open_services, serve_config};
use crate::load::{ServerProcess, median};

/// Number of connections that request pages at the same time.
const CONNECTIONS: usize = 16;

/// A server, with its requests per second and its CPU milliseconds per request in each turn.
pub struct MeasuredServer {
    role: &'static str,
    process: ServerProcess,
    requests: Vec<f64>,
    cpu: Vec<f64>,
}

/// The servers of a measurement. Dropping this value kills their processes.
pub struct PageServers {
    servers: Vec<MeasuredServer>,
    requests: Vec<Vec<u8>>,
    _folder: TempDir,
}

/// Returns the configuration of a server on this port, with the SQLite database in `folder` and with more flags.
#[must_use]
pub fn page_config(folder: &Path, port: u16, more: &[&str]) -> ServeConfig {
    serve_config(&url(folder), folder, port, more)
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("jishu.db").display())
}

impl PageServers {
    /// Starts this program again as a server, once for each role, with these environment variables. All servers must
    /// give the same response.
    ///
    /// # Panics
    /// Panics if a server does not start, or if the responses differ.
    pub async fn start(roles: &[&'static str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let token = prepare(folder.path()).await;
        let start = |role: &&'static str| {
            let mut program = Command::new(std::env::current_exe().expect("this program"));
            program.envs(variables.iter().copied());
            let process = ServerProcess::start_with(program, role, &url(folder.path()), folder.path());
            MeasuredServer { role, process, requests: Vec::new(), cpu: Vec::new() }
        };
        let servers: Vec<_> = roles.iter().map(start).collect();
        let request = page_request(&token, 50, None, None);
        let first = servers[0].process.response(&request).await;
        let text = String::from_utf8_lossy(&first);
        assert!(text.contains("\"testNumber\":50"), "{text}");
        for server in &servers {
            assert_eq!(server.process.response(&request).await, first, "the responses differ");
        }
        Self { servers, requests: vec![request; CONNECTIONS], _folder: folder }
    }

    /// Requests pages from each server in each turn, for `length`. Prints the requests per second and the CPU time of
    /// each server, and the ratio of every other server to the first server.
    pub async fn measure(&mut self, turns: usize, length: Duration) {
        for turn in 0..=turns {
            // The server that goes first changes with each turn.
            for place in 0..self.servers.len() {
                let index = (turn + place) % self.servers.len();
                let server = &mut self.servers[index];
                let result = server.process.repeat(&self.requests, length).await;
                // The first turn only warms up the servers, and is not counted.
                if turn > 0 {
                    server.requests.push(result.per_second());
                    server.cpu.push(result.server_milliseconds());
                }
            }
        }
        for server in &self.servers {
            println!(
                "{:12} {:8.0} requests/s (median of {turns} turns), {:.3} ms of CPU a request",
                server.role,
                median(&server.requests),
                median(&server.cpu)
            );
        }
        for server in &self.servers[1..] {
            compare(&self.servers[0], server);
        }
    }
}

/// Compares two servers turn by turn. Prints the median ratios of their throughput and their CPU time, and the
/// quartiles of the ratio of throughput.
fn compare(base: &MeasuredServer, other: &MeasuredServer) {
    let mut throughput = ratios(&other.requests, &base.requests);
    throughput.sort_by(f64::total_cmp);
    let quarter = throughput.len() / 4;
    println!(
        "{} : {} = {:.3} in throughput (quartiles {:.3} and {:.3}), {:.3} in CPU time",
        other.role,
        base.role,
        median(&throughput),
        throughput[quarter],
        throughput[throughput.len() - 1 - quarter],
        median(&ratios(&other.cpu, &base.cpu))
    );
}

fn ratios(values: &[f64], bases: &[f64]) -> Vec<f64> {
    values.iter().zip(bases).map(|(value, base)| value / base).collect()
}

/// Migrates the database, seeds the demo, and buys the bundle of the first course for the demo's learner. Returns an
/// access token of the learner.
async fn prepare(folder: &Path) -> String {
    KeyRing::load_or_create(&folder.join("keys.pem")).expect("a key");
    let config = page_config(folder, 0, &[]);
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

//! Measures what metrics and traces cost. Reads a page of 50 cards from four servers: without metrics and traces, with
//! metrics, with metrics and traces of one request in ten, and with metrics and traces of each request. This program is
//! the collector of the traces.
//!
//! `cargo bench -p jishu-tests --bench observed` prints the requests per second, and the CPU time of the server process
//! per request. The turns are short and many, so that other work of the machine affects all servers.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use jishu_api::config::LogFormat;
use jishu_api::telemetry;
use jishu_tests::bench_page::{PageServers, page_config};
use jishu_tests::bench_server::serve_for_ever;
use jishu_tests::load::{ServerTask, serve_or_measure};
use mimalloc::MiMalloc;
use tokio::net::TcpListener;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const TURNS: usize = 80;
const TURN_LENGTH: Duration = Duration::from_millis(500);
/// Environment variable with the URL of the collector of traces, for the server processes.
const COLLECTOR_VARIABLE: &str = "JISHU_BENCH_COLLECTOR";

fn main() {
    serve_or_measure(async |task| serve(&task).await, measure);
}

/// Runs the server that the role of `task` names, in the child process. The server writes log lines as the binary
/// `jishu` does.
async fn serve(task: &ServerTask) {
    let collector = std::env::var(COLLECTOR_VARIABLE).expect("the benchmark sets this variable");
    let endpoint = format!("--otlp-endpoint={collector}");
    let flags: &[&str] = match task.role.as_str() {
        "metrics" => &["--metrics-listen=127.0.0.1:1"],
        "traced-tenth" => &["--metrics-listen=127.0.0.1:1", &endpoint, "--trace-ratio=0.1"],
        "traced-all" => &["--metrics-listen=127.0.0.1:1", &endpoint, "--trace-ratio=1"],
        _ => &[],
    };
    let config = page_config(&task.folder, task.port, flags);
    let _traces =
        telemetry::init(LogFormat::Text, Some(&config.observe)).expect("nothing else has set up logging");
    serve_for_ever(&config).await;
}

async fn measure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let collector = format!("http://{}", listener.local_addr().expect("its address"));
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let router = Router::new().fallback(move |body: Bytes| {
        count.fetch_add(body.len(), Ordering::Relaxed);
        std::future::ready(())
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let roles = ["off", "metrics", "traced-tenth", "traced-all"];
    PageServers::start(&roles, &[(COLLECTOR_VARIABLE, &collector)]).await.measure(TURNS, TURN_LENGTH).await;
    println!("the collector got {} bytes", received.load(Ordering::Relaxed));
}

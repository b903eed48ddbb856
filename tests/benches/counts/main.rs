//! Counts the instructions that the server needs for a page, a purchase, a start and a save, with callgrind. Unlike times, the
//! counts are nearly the same on a busy machine.
//!
//! `tests/benches/instructions` compares the counts with the recorded ones, and fails if one differs by more than 5 %.
//! `UPDATE_INSTRUCTIONS=1` in front of it records the counts, after a change that is meant.
//!
//! The server has one thread besides those of SQLite. Its database is a file of SQLite, so the counts include the database.

// The futures of a whole server are nested deeply.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

mod recorded;
mod requests;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use jishu_tests::Backend;
use jishu_tests::bench_server::{serve_config, serve_until};
use jishu_tests::load::{KeptConnection, ServerProcess, ServerTask};
use mimalloc::MiMalloc;
use recorded::Counts;
use requests::Requests;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The role of the server. It ends with its standard input.
const ROLE: &str = "counted";

/// The two numbers of requests of a kind. Their difference leaves out what the server does at its start, and what the first
/// requests do for all.
const RUNS: [usize; 2] = [50, 250];

/// Reading the catalogue again would add to the counts of a slow run.
const QUIET: &[&str] = &["--catalog-refresh-ms=3600000"];

fn main() {
    match ServerTask::of_this_process() {
        Some(task) => serve(&task),
        None => tokio::runtime::Runtime::new().expect("a runtime").block_on(count()),
    }
}

/// Serves until the standard input ends.
fn serve(task: &ServerTask) {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = stop.send(());
    });
    let config = serve_config(&task.database_url, &task.folder, task.port, QUIET);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve_until(&config, async {
        let _ = stopped.await;
    }));
}

/// Counts the instructions of each kind of request, and compares the counts with the recorded ones.
async fn count() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = Backend::Sqlite.create(folder.path()).await;
    let mut requests = Requests::prepare(&url, folder.path(), RUNS.iter().sum()).await;
    let mut counts = Counts::of_this_compiler();
    for kind in requests::KINDS {
        let mut totals = Vec::new();
        for count in RUNS {
            let requests: Vec<_> = (0..count).map(|_| requests.next(kind)).collect();
            totals.push(total(&url, folder.path(), &requests).await);
        }
        let each = (totals[1] - totals[0]) / u64::try_from(RUNS[1] - RUNS[0]).expect("few");
        counts.add(kind.name(), each);
    }
    counts.compare_or_record();
}

/// Counts all instructions of a server that handles these requests, from its start to its end.
async fn total(url: &str, folder: &Path, requests: &[Vec<u8>]) -> u64 {
    let output: PathBuf = folder.join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(std::env::current_exe().expect("this program"));
    let mut server = ServerProcess::start_with(valgrind, ROLE, url, folder);
    let mut connection = KeptConnection::open(server.port).await;
    for request in requests {
        requests::check(connection.send(request).await);
    }
    drop(connection);
    server.ask_to_end();
    let output = std::fs::read_to_string(output).expect("the counts");
    let total = output.lines().find_map(|line| line.strip_prefix("totals:")).expect("a total");
    total.trim().parse().expect("a number")
}

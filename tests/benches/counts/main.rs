//! Counts the instructions that the server needs for a page, a purchase, a start and a save, with callgrind. Unlike
//! times, the counts are nearly the same on a busy machine.
//!
//! `tests/benches/instructions` compares the counts with the recorded ones, and fails if a count differs by more than 5
//! %. `UPDATE_INSTRUCTIONS=1` in front of the command records the counts, for a change that is intended.
//!
//! All tasks of the server run on one thread. Its database is SQLite, which has threads of its own in the same process.
//! So the counts include the work of the database.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
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

/// The role of the server process. The server ends when its standard input closes.
const ROLE: &str = "counted";

/// Number of requests of each kind before the count begins. So the count leaves out work that only the first requests
/// cause, such as filling caches.
const WARMING_REQUESTS: usize = 50;
/// Number of requests of each kind whose instructions are counted.
const COUNTED_REQUESTS: usize = 300;

/// Flags that keep the server from reading the catalogue again, which would add to the counts of a slow run.
const QUIET: &[&str] = &["--catalog-refresh-ms=3600000"];

fn main() {
    match ServerTask::of_this_process() {
        Some(task) => serve(&task),
        None => tokio::runtime::Runtime::new().expect("a runtime").block_on(count()),
    }
}

/// Runs the server until its standard input closes.
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

/// Counts the instructions of each kind of request, and compares the counts with the recorded ones or records them.
async fn count() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = Backend::Sqlite.create(folder.path()).await;
    let mut requests = Requests::prepare(&url, folder.path(), WARMING_REQUESTS + COUNTED_REQUESTS).await;
    let mut counts = Counts::of_this_compiler();
    for kind in requests::KINDS {
        let mut server = CountedServer::start(&url, folder.path());
        let mut connection = KeptConnection::open(server.process.port).await;
        let mut send = async |count: usize| {
            for _ in 0..count {
                requests::check(connection.send(&requests.next(kind)).await);
            }
        };
        send(WARMING_REQUESTS).await;
        server.forget_counts();
        send(COUNTED_REQUESTS).await;
        let total = server.read_count();
        server.process.ask_to_end();
        counts.add(kind.name(), total / u64::try_from(COUNTED_REQUESTS).expect("few"));
    }
    counts.compare_or_record();
}

/// A server in callgrind, which counts its instructions.
struct CountedServer {
    process: ServerProcess,
    /// The path that callgrind got for its output. The file of the first dump has this path with `.1` at the end.
    output: PathBuf,
}

impl CountedServer {
    fn start(url: &str, folder: &Path) -> Self {
        let output = folder.join("callgrind.out");
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", output.display()))
            .arg(std::env::current_exe().expect("this program"));
        Self { process: ServerProcess::start_with(valgrind, ROLE, url, folder), output }
    }

    /// Sets the counts of instructions to zero.
    fn forget_counts(&self) {
        self.control("--zero");
    }

    /// Returns the number of instructions since the counts were set to zero.
    fn read_count(&self) -> u64 {
        self.control("--dump");
        let dump = self.output.with_extension("out.1");
        let dump = std::fs::read_to_string(dump).expect("the counts");
        let total = dump.lines().find_map(|line| line.strip_prefix("totals:")).expect("a total");
        total.trim().parse().expect("a number")
    }

    /// Sends a command to callgrind, and waits until callgrind has run the command.
    fn control(&self, command: &str) {
        let status =
            Command::new("callgrind_control").args([command, &self.process.id().to_string()]).output();
        let output = status.expect("callgrind_control, which is part of valgrind, runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

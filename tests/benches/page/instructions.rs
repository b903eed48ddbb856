//! Counts the instructions that the server needs for a page, with callgrind. Unlike times, the count is nearly the same on a
//! busy machine.
//!
//! `tests/run -- tests/benches/instructions` compares the count with the recorded one, and fails if it is more than 5 %
//! higher. `UPDATE_INSTRUCTIONS=1` in front of it records the count.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use jishu_tests::Backend;
use jishu_tests::load::{KeptConnection, ServerProcess, ServerTask};

use crate::data::World;
use crate::page_request;

/// The role of a server whose instructions are counted. It has one thread, and ends with its standard input.
pub(crate) const ROLE: &str = "instructions";

/// The two numbers of requests. Their difference leaves out what the server does at its start.
const REQUESTS: [u32; 2] = [100, 300];

/// A count that is higher than the recorded one by more than this share fails.
const TOLERANCE: f64 = 0.05;

/// Serves until the standard input ends.
pub(crate) fn serve(task: &ServerTask) {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = stop.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(crate::serve(task, async {
        let _ = stopped.await;
    }));
}

/// Counts the instructions of a request, and compares the count with the recorded one.
pub(crate) async fn count() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let backend = Backend::Postgres;
    let url = backend.create(folder.path()).await;
    let world = World::create(&url, folder.path(), 1).await;
    let request = page_request(&world.token, None, None);
    let mut totals = Vec::new();
    for requests in REQUESTS {
        totals.push(total(&url, folder.path(), &request, requests).await);
    }
    backend.remove(&url).await;
    let per_request = (totals[1] - totals[0]) / u64::from(REQUESTS[1] - REQUESTS[0]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/page/instructions.txt");
    if std::env::var_os("UPDATE_INSTRUCTIONS").is_some() {
        std::fs::write(&file, format!("{per_request}\n")).expect("the file can be written");
    }
    let recorded =
        std::fs::read_to_string(&file).expect("a recorded count: make one with UPDATE_INSTRUCTIONS=1");
    let recorded: u64 = recorded.trim().parse().expect("a number");
    #[expect(clippy::cast_precision_loss, reason = "a ratio with two decimal places")]
    let ratio = per_request as f64 / recorded as f64;
    println!("{per_request} instructions for a page, {ratio:.3} of the recorded {recorded}");
    assert!(
        ratio <= 1.0 + TOLERANCE,
        "a page needs more instructions than recorded. Find the reason, or record the count with UPDATE_INSTRUCTIONS=1"
    );
}

/// Counts all instructions of a server that handles this number of requests.
async fn total(url: &str, folder: &Path, request: &[u8], requests: u32) -> u64 {
    let output: PathBuf = folder.join(format!("callgrind.{requests}"));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(std::env::current_exe().expect("this program"));
    let mut server = ServerProcess::start_with(valgrind, ROLE, url, folder);
    let mut connection = KeptConnection::open(server.port).await;
    for _ in 0..requests {
        connection.send(request).await;
    }
    drop(connection);
    server.ask_to_end();
    let output = std::fs::read_to_string(output).expect("the counts");
    let total = output.lines().find_map(|line| line.strip_prefix("totals:")).expect("a total");
    total.trim().parse().expect("a number")
}

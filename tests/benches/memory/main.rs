//! Measures the memory of the server, and the time to its first response.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench memory` prints two figures of resident memory for each database:
//! after the start of the server, and with 256 open connections that have read pages of cards. Then it starts a fresh
//! server, and prints the memory of a subscription that stays open on a WebSocket of its own. That memory is the
//! difference between 100 and 2,100 subscriptions, divided by 2,000. For SQLite it also prints the time from the start
//! of the process on an empty folder to the first response. `TEST_DATABASES=sqlite` in front of the command measures
//! SQLite only. `JISHU_BENCH_SERVER=PATH` measures another build of the binary.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

mod first_response;
mod subscriptions;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jishu_tests::Backend;
use jishu_tests::bench_data::{
    add_course, add_learners, add_subjects, gather_statistics, learner_token, page_request,
    purchase_subject_for_all,
};
use jishu_tests::bench_server::{bench_services, measure_each, start_server};
use jishu_tests::load::{ServerProcess, ServerTask, resident_kilobytes};
use mimalloc::MiMalloc;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Number of connections that read pages at once.
const CONNECTIONS: usize = 256;
const READING: Duration = Duration::from_secs(6);
/// Number of learners who read pages and watch their cards.
const LEARNERS: usize = 500;
const CARDS_PER_LEARNER: i32 = 50;
/// Flags of the servers. All clients have the same address, so the limits of connections are raised. The clients do not
/// answer pings while they wait, so the server sends a ping only every ten minutes.
const FLAGS: [&str; 3] =
    ["--max-connections-per-address=10000", "--max-connections=10000", "--live-ping-seconds=600"];

fn main() {
    if ServerTask::of_this_process().is_some_and(|task| task.role == first_response::ROLE) {
        return first_response::serve();
    }
    measure_each(measure);
}

async fn measure(backend: Backend) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = backend.create(folder.path()).await;
    let tokens = prepare(&url, folder.path()).await;
    let server = start_server(&url, folder.path(), &FLAGS);
    // The first response shows that the server has started.
    server.response(&page_request(&tokens[0], 50, None, None)).await;
    println!("{backend:?}:");
    println!("  after the start: {:.1} MB resident", megabytes(&server));
    let requests = (0..CONNECTIONS).map(|at| page_request(&tokens[at % tokens.len()], 50, None, None));
    let requests: Vec<_> = requests.collect();
    let open = server.repeat_and_stay(&requests, READING).await;
    println!(
        "  {CONNECTIONS} connections that have read {:.0} pages of 50 cards: {:.1} MB resident",
        open.turn.requests,
        megabytes(&server)
    );
    drop(open);
    drop(server);
    // The subscriptions need a new process, because the old one would reuse memory that the 256 connections have freed.
    let server = start_server(&url, folder.path(), &FLAGS);
    subscriptions::measure(&server, &tokens).await;
    drop(server);
    backend.remove(&url).await;
    if backend == Backend::Sqlite {
        first_response::measure().await;
    }
}

fn megabytes(server: &ServerProcess) -> f64 {
    resident_kilobytes(server.id()) / 1e3
}

/// Creates learners with cards, and returns their access tokens.
async fn prepare(url: &str, folder: &Path) -> Vec<String> {
    let services = bench_services(url, folder, Arc::new(|_: &str| {})).await;
    let course = add_course(&services).await;
    let subject = add_subjects(&services, course, 1, CARDS_PER_LEARNER).await[0];
    let learners = add_learners(&services, LEARNERS).await;
    purchase_subject_for_all(&services, &learners, course, subject).await;
    gather_statistics(&services).await;
    let tokens = learners.iter().map(|learner| learner_token(&services, *learner)).collect();
    services.database.close().await.expect("it closes");
    tokens
}

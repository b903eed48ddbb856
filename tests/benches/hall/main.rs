//! Measures a hall in which thousands of learners begin a test at once, and hand it in at once.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench hall` starts a burst of 5,000 sittings of 180 questions, each with
//! all questions in its response. Then it submits these sittings with a last batch of five answers.
//! `TEST_DATABASES=postgres` in front of the command measures PostgreSQL only. `HALL_SITTINGS=500` makes the burst
//! smaller. `JISHU_BENCH_SERVER=PATH` measures another build of the binary.
//!
//! On PostgreSQL, pgbench then runs the same SQL statements for other sittings, in turns with the server: see
//! `turns.rs`.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

mod learners;
mod pgbench;
mod turns;

use jishu_tests::Backend;
use jishu_tests::bench_server::{measure_each, start_server};
use jishu_tests::burst::Burst;
use learners::Hall;
use mimalloc::MiMalloc;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Number of sittings in the burst, unless `HALL_SITTINGS` sets another number.
const BURST: usize = 5_000;
const QUESTIONS: i64 = 180;
/// Number of connections that send at once. Each sends its next request when its last request has a response. The
/// number is below 512, the number of requests that a server runs at once, so the server refuses none.
const CONNECTIONS: usize = 400;
/// Number of sittings that start before the burst, so that the paper exists and the statements are prepared.
const WARMING: usize = 200;

fn main() {
    measure_each(measure);
}

async fn measure(backend: Backend) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = backend.create(folder.path()).await;
    let for_turns = if backend == Backend::Postgres { turns::LEARNERS } else { 0 };
    let burst = std::env::var("HALL_SITTINGS").map_or(BURST, |count| count.parse().expect("a number"));
    let hall = Hall::open(&url, folder.path(), WARMING + burst + for_turns).await;
    let server = start_server(&url, folder.path(), &[]);
    let (warming, rest) = hall.learners.split_at(WARMING);
    let (burst, for_turns) = rest.split_at(burst);
    Burst::send(&server, CONNECTIONS, learners::starts(warming)).await;
    let cores = std::thread::available_parallelism().expect("the number of cores");
    println!("{backend:?}, {CONNECTIONS} connections, {cores} cores for server, load and database together:");
    let starts = Burst::send(&server, CONNECTIONS, learners::starts(burst)).await;
    println!("{}", starts.line("starts"));
    let submissions = learners::submissions(burst, &starts.bodies);
    let submits = Burst::send(&server, CONNECTIONS, submissions).await;
    println!("{}", submits.line("submits"));
    if backend == Backend::Postgres {
        turns::measure(&server, &hall, for_turns, &url, folder.path()).await;
    }
    drop(server);
    backend.remove(&url).await;
}

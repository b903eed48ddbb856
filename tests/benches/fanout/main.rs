//! Measures the fan-out of events to subscriptions: 1,000 learners watch their cards over WebSockets, and each gets one
//! event in each round. A bare WebSocket server of axum sends the same bytes to 1,000 sockets, for comparison.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench fanout` prints a table for each database. The servers take turns of
//! ten rounds, so that other work of the machine affects both. `TEST_DATABASES=postgres` in front of the command
//! measures PostgreSQL only.
//!
//! The events come from another node: this program appends them to the audit events, in one transaction for each round.
//! So the server finds them when it reads the table, which it does twice a second.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

mod bare;
mod watchers;

use std::time::{Duration, Instant};

use jishu_tests::Backend;
use jishu_tests::bench_server::{measure_each, start_server};
use jishu_tests::database_cpu::DatabaseCpu;
use jishu_tests::load::{ServerProcess, ServerTask, median};
use mimalloc::MiMalloc;
use watchers::{Node, receive_all};

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Number of learners, each with one subscription.
const WATCHERS: usize = 1_000;
const TURNS: usize = 5;
/// Number of events that each subscription gets in a turn.
const ROUNDS_PER_TURN: usize = 10;

fn main() {
    if let Some(task) = ServerTask::of_this_process().filter(|task| task.role == bare::ROLE) {
        return bare::serve(&task);
    }
    measure_each(measure);
}

/// The figures of one server, with a value for each turn.
#[derive(Default)]
struct Measured {
    /// The CPU time of the server per event, in milliseconds.
    server_ms: Vec<f64>,
    /// The CPU time of PostgreSQL per event, in milliseconds.
    database_ms: Vec<f64>,
    /// The median time in milliseconds until the last socket has its event. It begins with the commit at jishu, and
    /// with the request at the bare server.
    last_ms: Vec<f64>,
}

impl Measured {
    fn add(&mut self, server: Duration, database: Duration, took: &[f64]) {
        let events = f64::from(u32::try_from(WATCHERS * ROUNDS_PER_TURN).expect("few"));
        self.server_ms.push(server.as_secs_f64() * 1e3 / events);
        self.database_ms.push(database.as_secs_f64() * 1e3 / events);
        self.last_ms.push(median(took));
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<24}{:>16.4}{:>18.4}{:>20.0}",
            median(&self.server_ms),
            median(&self.database_ms),
            median(&self.last_ms)
        );
    }
}

async fn measure(backend: Backend) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = backend.create(folder.path()).await;
    let node = Node::prepare(&url, folder.path()).await;
    let database = DatabaseCpu::connect(backend, &url).await;
    // All clients have the same address, so the limit of connections per address is off. The clients do not answer
    // pings between rounds, so the server sends a ping only once an hour.
    let more = ["--max-connections-per-address=0", "--live-ping-seconds=3600"];
    let server = start_server(&url, folder.path(), &more);
    let mut watching = node.watch(server.port).await;
    node.append_events().await;
    let message = receive_all(&mut watching).await;
    bare::keep_message(folder.path(), &message);
    let rival = ServerProcess::start(bare::ROLE, &url, folder.path());
    let mut listening = bare::listen(rival.port).await;

    let (mut ours, mut theirs) = (Measured::default(), Measured::default());
    // The first turn only warms up, and is not counted.
    for turn in 0..=TURNS {
        let (mut took, before, database_before) = (Vec::new(), server.cpu_time(), database.read().await);
        for _ in 0..ROUNDS_PER_TURN {
            node.append_events().await;
            let committed = Instant::now();
            assert_eq!(
                receive_all(&mut watching).await.len(),
                message.len(),
                "a round sent another number of bytes"
            );
            took.push(committed.elapsed().as_secs_f64() * 1e3);
        }
        let (cpu, of_database) = (server.cpu_time() - before, database.read().await - database_before);
        let (mut rival_took, before) = (Vec::new(), rival.cpu_time());
        for _ in 0..ROUNDS_PER_TURN {
            let requested = Instant::now();
            bare::send_to_all(&rival).await;
            assert_eq!(receive_all(&mut listening).await, message);
            rival_took.push(requested.elapsed().as_secs_f64() * 1e3);
        }
        if turn > 0 {
            ours.add(cpu, of_database, &took);
            theirs.add(rival.cpu_time() - before, Duration::ZERO, &rival_took);
        }
    }
    println!(
        "{backend:?}, medians of {TURNS} interleaved turns, {ROUNDS_PER_TURN} events for each of {WATCHERS} sockets, {} bytes\n\
         {:<24}{:>16}{:>18}{:>20}",
        message.len(),
        "server",
        "CPU ms, server",
        "CPU ms, database",
        "ms until the last"
    );
    ours.print("jishu");
    theirs.print("bare WebSockets");
    println!("jishu : bare = {:.1} in CPU time", median(&ours.server_ms) / median(&theirs.server_ms));
    drop((watching, listening, server, rival, database));
    node.close().await;
    backend.remove(&url).await;
}

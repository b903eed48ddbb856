//! Measures the cost of saving answers. It sends batches of five answers to the real server over HTTP. For comparison,
//! the database's own load tool runs the same statement on the same data, with the same durability.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench autosave` prints the batches per second of the server and of the
//! tool. The server and the tool take turns, so that other work of the machine affects both. `TEST_DATABASES=postgres`
//! in front of the command measures PostgreSQL only.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

mod rivals;
mod sittings;

use std::time::{Duration, Instant};

use jishu_tests::Backend;
use jishu_tests::bench_server::{measure_each, start_server};
use jishu_tests::load::{KeptConnection, ServerProcess, cpu_time, graphql_post, median};
use mimalloc::MiMalloc;
use rivals::Rival;
use sittings::Sitting;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Number of connections that save answers at once. The server and the database's tool get this number each, except
/// SQLite's tool, which has one connection.
const CONNECTIONS: usize = 16;
/// Number of sittings for which each connection saves answers. No two connections save for the same sitting.
const SITTINGS_PER_CONNECTION: usize = 13;
const QUESTIONS_PER_SITTING: usize = 45;
const ANSWERS_PER_BATCH: usize = 5;
const TURNS: u32 = 5;
const TURN_LENGTH: Duration = Duration::from_secs(4);

fn main() {
    measure_each(measure);
}

async fn measure(backend: Backend) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = backend.create(folder.path()).await;
    let (sittings, statement) = sittings::prepare(&url, folder.path()).await;
    let server = start_server(&url, folder.path(), &[]);
    let sittings = sittings::read_all(server.port, sittings).await;
    let rival = Rival { backend, url: &url, folder: folder.path(), statement, sittings: &sittings };

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut server_cpu, mut load_cpu) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        // An answer is saved only if its batch has a greater sequence than the stored answer of the slot. So the
        // sequences rise from turn to turn, and begin above the sequences of the saves in `sittings::prepare`.
        let base = i64::from(turn + 1) * 100_000;
        let load = load(&server, &sittings, base + 1).await;
        let rate = rival.run(load.batches, base + 50_000).await;
        assert!(rival.wrote(base + 50_000).await, "the tool did not store its batches");
        // The first turn only warms up, and is not counted.
        if turn > 0 {
            let batches = f64::from(load.batches);
            ours.push(batches / load.took.as_secs_f64());
            server_cpu.push(load.server_cpu.as_secs_f64() * 1e3 / batches);
            load_cpu.push(load.own_cpu.as_secs_f64() * 1e3 / batches);
            theirs.push(rate);
        }
    }
    println!(
        "{backend:?}: jishu {:.0} batches/s (median of {TURNS} turns; {:.3} ms of CPU a batch in the server, {:.3} in what \
         makes the load), {} {:.0} batches/s: {:.2}",
        median(&ours),
        median(&server_cpu),
        median(&load_cpu),
        rival.tool(),
        median(&theirs),
        median(&ours) / median(&theirs),
    );
    println!("  turns: jishu {ours:.0?}, {} {theirs:.0?}", rival.tool());
    drop(server);
    backend.remove(&url).await;
}

struct Load {
    batches: u32,
    took: Duration,
    server_cpu: Duration,
    own_cpu: Duration,
}

/// Saves batches on all connections for one turn. The sequences of each connection rise from `first`.
async fn load(server: &ServerProcess, sittings: &[Sitting], first: i64) -> Load {
    let (server_cpu, own_cpu) = (server.cpu_time(), cpu_time("self"));
    let started = Instant::now();
    let clients = sittings.chunks(SITTINGS_PER_CONNECTION).map(|sittings| {
        let (port, sittings) = (server.port, sittings.to_vec());
        tokio::spawn(async move {
            let mut connection = KeptConnection::open(port).await;
            let (mut batches, mut number) = (0, first);
            while started.elapsed() < TURN_LENGTH {
                let sitting: &Sitting = &sittings[rand::random_range(0..sittings.len())];
                let request = graphql_post(&sitting.token, &sitting.batch(number));
                let answer = connection.send(&request).await;
                assert_eq!(String::from_utf8_lossy(answer), SAVED_RESPONSE);
                batches += 1;
                number += 1;
            }
            batches
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut batches = 0;
    for client in clients {
        batches += client.await.expect("a client does not panic");
    }
    Load {
        batches,
        took: started.elapsed(),
        server_cpu: server.cpu_time() - server_cpu,
        own_cpu: cpu_time("self") - own_cpu,
    }
}

/// The response to a batch whose answers were all saved.
const SAVED_RESPONSE: &str = r#"{"data":{"saveAnswers":{"superseded":[],"userErrors":[]}}}"#;

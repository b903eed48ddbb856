//! Measures purchases through jishu, and compares them with the same SQL statements in pgbench, on PostgreSQL.
//! Purchases of one subject are also compared with a handler that is written by hand with axum and sqlx.
//!
//! `tests/run -- cargo bench -p jishu-tests --bench purchase` prints the purchases per second. jishu and its rivals
//! take turns, so that other work of the machine affects all of them. The bench starts a PostgreSQL server of its own,
//! which waits for its disk at each commit. jishu gets its requests over 16 connections, and pgbench has 16 connections
//! to the database. The load and pgbench share the processor with the database. `JISHU_BENCH_SERVER=PATH` measures
//! another build of the binary, whose statements may differ from those of pgbench.

#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

mod pgbench;
mod rest;
mod shop;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jishu_tests::Backend;
use jishu_tests::bench_server::{ran_as_server, start_server};
use jishu_tests::load::{KeptConnection, ServerProcess, ServerTask, cpu_time, median};
use jishu_tests::process::DatabaseProcess;
use mimalloc::MiMalloc;
use shop::{Shop, Workload};

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Number of connections that purchase at once, to the server and of pgbench.
const CONNECTIONS: usize = 16;
/// Returns the flag for 10 connections to the database, or for the number in `JISHU_BENCH_CONNECTIONS`. The default of
/// the server is 16. Of 10 connections, 5 are for reading and 2 for saving answers, so 3 transactions run at once.
fn database_connections() -> String {
    let number = std::env::var("JISHU_BENCH_CONNECTIONS");
    format!("--database-connections={}", number.as_deref().unwrap_or("10"))
}
const TURNS: usize = 5;
/// Number of programs that take turns: jishu, pgbench, and the handler that is written by hand.
const RIVALS: usize = 3;
/// A part of the response to a successful new purchase.
const CREATED: &[u8] = br#""outcome":"CREATED""#;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let Some(task) = ServerTask::of_this_process().filter(|task| task.role == rest::ROLE) {
        return runtime.block_on(rest::serve(&task));
    }
    if runtime.block_on(ran_as_server()) {
        return;
    }
    drop(runtime);
    // One thread sends the requests. More threads would wake each other, and take processor time from the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

/// One turn of the server or of pgbench.
struct Turn {
    purchases_per_second: f64,
    /// The processor time of the database per purchase, in milliseconds.
    database_ms: f64,
    /// The processor time of the server per purchase, in milliseconds. 0 for pgbench.
    server_ms: f64,
    /// The processor time of the program that sends the requests, per purchase, in milliseconds. In a turn of pgbench,
    /// that program is pgbench.
    load_ms: f64,
}

impl Turn {
    /// Prints the medians of the turns of one program, and returns its purchases per second.
    fn print(name: &str, turns: &[Self]) -> f64 {
        let of = |value: fn(&Self) -> f64| median(&turns.iter().map(value).collect::<Vec<_>>());
        let rate = of(|turn| turn.purchases_per_second);
        println!(
            "{name}: {rate:.0} purchases/s (CPU for each: {:.2} ms in the server, {:.2} in the database, {:.2} in the load)",
            of(|turn| turn.server_ms),
            of(|turn| turn.database_ms),
            of(|turn| turn.load_ms),
        );
        rate
    }
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = DatabaseProcess::start(Backend::Postgres, folder.path());
    let shop = Shop::open(&database.url(), folder.path()).await;
    let server = start_server(&database.url(), folder.path(), &[&database_connections()]);
    rest::write_statements(folder.path(), &shop.statements[0]);
    let by_hand = ServerProcess::start(rest::ROLE, &database.url(), folder.path());
    // The hot buyer is last: his subjects make the catalogue far larger than that of a real shop.
    for workload in [Workload::Single, Workload::Bundle, Workload::HotBuyer] {
        if workload == Workload::HotBuyer {
            shop.add_subjects_of_hot_buyer().await;
        }
        let (mut ours, mut theirs, mut hand_written) = (Vec::new(), Vec::new(), Vec::new());
        // The first turn only warms up, and is not counted.
        for turn in 0..=TURNS {
            let [first, second, third] = [0, 1, 2].map(|rival| RIVALS * turn + rival);
            let requests = workload.numbers(first).map(|number| shop.requests(workload, number));
            let jishu = buy(&server, &database, requests.unzip()).await;
            let pgbench = pgbench::buy(&database, &shop, workload, second, folder.path());
            if workload == Workload::Single {
                let requests = workload.numbers(third).map(|number| shop.rest_request(number));
                let turn_by_hand = buy(&by_hand, &database, (Vec::new(), requests.collect())).await;
                hand_written.extend((turn > 0).then_some(turn_by_hand));
            }
            if turn > 0 {
                ours.push(jishu);
                theirs.push(pgbench);
            }
        }
        let rate = Turn::print(&format!("{workload:?}: jishu"), &ours);
        for (name, turns) in [("pgbench -M prepared", theirs), ("axum and sqlx by hand", hand_written)] {
            if !turns.is_empty() {
                let rival = Turn::print(&format!("  {name}"), &turns);
                println!("    jishu makes {:.2} of these purchases", rate / rival);
            }
        }
    }
}

/// Makes all purchases of a turn through a server. Sends the requests in `before` first, one after the other, and does
/// not count their time.
async fn buy(
    server: &ServerProcess,
    database: &DatabaseProcess,
    (before, requests): (Vec<Vec<u8>>, Vec<Vec<u8>>),
) -> Turn {
    let mut connection = KeptConnection::open(server.port).await;
    for request in &before {
        connection.send(request).await;
    }
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let (server_cpu, database_cpu, load_cpu) = (server.cpu_time(), database.cpu_time(), cpu_time("self"));
    let started = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (port, requests, next) = (server.port, Arc::clone(&requests), Arc::clone(&next));
            tokio::spawn(async move {
                let mut connection = KeptConnection::open(port).await;
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let body = connection.send(request).await;
                    let is_created = body.windows(CREATED.len()).any(|part| part == CREATED);
                    assert!(is_created, "{}", String::from_utf8_lossy(body));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client does not panic");
    }
    let took = started.elapsed();
    let (server_cpu, database_cpu) = (server.cpu_time() - server_cpu, database.cpu_time() - database_cpu);
    Turn::new(requests.len(), took, [database_cpu, server_cpu, cpu_time("self") - load_cpu])
}

impl Turn {
    /// Creates a turn from its number of purchases, its length, and three processor times: of the database, of the
    /// server, and of the program that sends the requests.
    fn new(purchases: usize, took: Duration, [database, server, load]: [Duration; 3]) -> Self {
        let purchases = f64::from(u32::try_from(purchases).expect("few"));
        let ms = |time: Duration| time.as_secs_f64() * 1e3 / purchases;
        Self {
            purchases_per_second: purchases / took.as_secs_f64(),
            database_ms: ms(database),
            server_ms: ms(server),
            load_ms: ms(load),
        }
    }
}

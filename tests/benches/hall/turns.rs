//! Measures starts and submissions of the server in turns with pgbench, which runs the same statements for other
//! sittings.

use std::path::Path;

use jishu_tests::Backend;
use jishu_tests::burst::Burst;
use jishu_tests::database_cpu::DatabaseCpu;
use jishu_tests::load::{ServerProcess, median};
use sea_orm::{ConnectionTrait, Database};

use crate::learners::{self, FIRST_NUMBER, Hall, Learner};
use crate::pgbench::{self, CLIENTS};

const TURNS: usize = 5;
/// Number of sittings that the server starts and submits in a turn. pgbench starts and submits as many sittings.
const SITTINGS_PER_TURN: usize = 20 * CLIENTS;

/// Number of learners that all turns need, including the first turn, which only warms up.
pub(crate) const LEARNERS: usize = 2 * (TURNS + 1) * SITTINGS_PER_TURN;

/// The figures of starts or of submissions, with a value for each turn.
#[derive(Default)]
struct Measured {
    per_second: Vec<f64>,
    server_ms: Vec<f64>,
    database_ms: Vec<f64>,
    pgbench_per_second: Vec<f64>,
}

impl Measured {
    fn line(&self, name: &str) -> String {
        let (ours, theirs) = (median(&self.per_second), median(&self.pgbench_per_second));
        format!(
            "{name:<10}{ours:>12.0}{theirs:>16.0}{:>8.2}{:>16.3}{:>18.3}",
            ours / theirs,
            median(&self.server_ms),
            median(&self.database_ms)
        )
    }
}

/// Runs the turns, and prints a table with the medians.
pub(crate) async fn measure(server: &ServerProcess, hall: &Hall, all: &[Learner], url: &str, folder: &Path) {
    let cpu = DatabaseCpu::connect(Backend::Postgres, url).await;
    let connection = Database::connect(url).await.expect("the database answers");
    let (mut starts, mut submits) = (Measured::default(), Measured::default());
    for (turn, both) in all.chunks(2 * SITTINGS_PER_TURN).enumerate() {
        let (ours, theirs) = both.split_at(SITTINGS_PER_TURN);
        let before = cpu.read().await;
        let started = Burst::send(server, CLIENTS, learners::starts(ours)).await;
        let between = cpu.read().await;
        let submissions = learners::submissions(ours, &started.bodies);
        let submitted = Burst::send(server, CLIENTS, submissions).await;
        let after = cpu.read().await;
        assert_eq!((started.refusals(), submitted.refusals()), (0, 0), "the server refused requests");

        let first = theirs[0].id.0;
        for (learner, number) in theirs.iter().zip(0..) {
            assert_eq!(learner.id.0, first + number, "the ids must be consecutive");
        }
        // pgbench blocks this thread, which has nothing else to do meanwhile.
        let count = SITTINGS_PER_TURN;
        let pgbench_starts = tokio::task::block_in_place(|| pgbench::start(hall, first, count, url, folder));
        let last = first + i64::try_from(count).expect("few");
        let numbered = format!(
            "UPDATE test_sessions SET id = {FIRST_NUMBER} + user_id WHERE user_id >= {first} AND user_id < {last}"
        );
        let renumbered = connection.execute_unprepared(&numbered).await.expect("new ids").rows_affected();
        assert_eq!(usize::try_from(renumbered), Ok(count), "pgbench did not start all sittings");
        let pgbench_submits =
            tokio::task::block_in_place(|| pgbench::submit(hall, first, count, url, folder));
        if turn > 0 {
            for (measured, burst, database, rival) in [
                (&mut starts, &started, between.saturating_sub(before), pgbench_starts),
                (&mut submits, &submitted, after.saturating_sub(between), pgbench_submits),
            ] {
                measured.per_second.push(burst.per_second());
                measured.server_ms.push(burst.server_milliseconds());
                let sittings = f64::from(u32::try_from(count).expect("few"));
                measured.database_ms.push(database.as_secs_f64() * 1e3 / sittings);
                measured.pgbench_per_second.push(rival);
            }
        }
    }
    println!(
        "Medians of {TURNS} interleaved turns of {SITTINGS_PER_TURN} sittings, {CLIENTS} connections\n\
         {:<10}{:>12}{:>16}{:>8}{:>16}{:>18}",
        "", "jishu, 1/s", "pgbench, 1/s", "ratio", "CPU ms, server", "CPU ms, database"
    );
    println!("{}\n{}", starts.line("starts"), submits.line("submits"));
    connection.close().await.expect("it closes");
}

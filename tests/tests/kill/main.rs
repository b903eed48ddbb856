//! The kill harness. It kills the real server and the real database server again and again during *storms*: many
//! clients who buy, sit, refund or order at once. Afterwards everything that the server acknowledged must exist exactly
//! once and must be complete. Other tests abort the server at each boundary between two statements or calls, or plant
//! faults that the checks must find.
//!
//! - `KILL_SEED` repeats the choices of a run.
//! - `KILL_SECONDS` sets the seconds of each storm. Default 20 for purchases, 6 for sittings, 4 for refunds.
//! - `KILL_ORDERS` and `KILLS` set the number of orders and of kills in the storm of orders. Default 120 and 8.
//! - `KILL_BUYERS` sets the number of buyers. Default 4000.
//! - `KILL_FAULT_SECONDS` sets the seconds of each storm with a planted fault. Default 1, or 4 for the fault `Split`.
//!
//! The long runs: `KILL_ORDERS=20000 KILLS=300 tests/run orders_survive_kills`, and `KILL_SECONDS=400 KILL_BUYERS=40000
//! tests/run killed_at_random`.

// The async blocks of tests that start an app are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a test may panic at the first failure")]

mod deletions;
mod fault;
mod ledger;
mod orders;
mod refunds;
mod second_factor;
mod sittings;
mod storm;
mod world;

use std::time::Duration;

use fault::Fault;
use jishu_service::failpoint::{PURCHASE_BOUNDARIES, SITTING_BOUNDARIES};
use jishu_tests::Backend;
use ledger::Ledger;
use storm::Kills;
use world::World;

/// Maximum time for which a client retries a request. Clients of orders retry for twice this time. In a storm of
/// purchases or sittings, the time begins after the last kill.
const MAX_RETRY_TIME: Duration = Duration::from_secs(60);

/// Maximum times between a restart and the next kill, in milliseconds. A sitting takes many requests and needs more
/// time than a purchase, which takes one request.
const MAX_PURCHASE_PAUSE_MS: u64 = 700;
const MAX_SITTING_PAUSE_MS: u64 = 1_500;

/// Maximum time for which clients retry a request after a storm with a planted fault. A request that a fault has broken
/// never gets a response.
const MAX_FAULT_RETRY_TIME: Duration = Duration::from_secs(1);

/// Maximum number of storms with a planted fault until a storm shows the fault. Some faults show only when two requests
/// arrive almost at once, which happens rarely on a busy machine.
const MAX_STORMS_PER_FAULT: usize = 40;

fn seconds(variable: &str, default: u64) -> Duration {
    Duration::from_secs(std::env::var(variable).map_or(default, |value| value.parse().expect("seconds")))
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

fn seed() -> u64 {
    std::env::var("KILL_SEED").map_or_else(|_| rand::random(), |value| value.parse().expect("a number"))
}

/// Lets only one storm run at a time, because each uses all cores of the machine.
static STORM_LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn killed_at_random(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let seed = seed();
    let mut world = World::start(backend, &[]).await;
    let kills = Kills {
        server: true,
        database: backend != Backend::Sqlite,
        max_pause_ms: MAX_PURCHASE_PAUSE_MS,
        max_retry_time: MAX_RETRY_TIME,
    };
    let report = storm::run(&mut world, seed, seconds("KILL_SECONDS", 20), kills).await;
    eprintln!("{backend:?}: KILL_SEED={seed}: {report}");
    let violations = world.violations(&report.ledger).await;
    assert!(violations.is_empty(), "{backend:?}: KILL_SEED={seed}: {violations:#?}");
    assert!(
        report.server_kills > 0 && report.ledger.acknowledged() > 0,
        "nothing happened: no kill or no purchase"
    );
    assert!(report.database_kills > 0 || !kills.database, "the database was never killed");
}

async fn aborted_at_every_boundary(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let mut world = World::start(backend, &[]).await;
    let mut ledger = Ledger::default();
    for boundary in PURCHASE_BOUNDARIES {
        ledger.merge(storm::one_purchase_through_an_abort(&mut world, boundary).await);
        let violations = world.violations(&ledger).await;
        assert!(violations.is_empty(), "{backend:?} at {boundary}: {violations:#?}");
    }
    eprintln!("{backend:?}: aborted at {} boundaries", PURCHASE_BOUNDARIES.len());
}

/// Plants each fault of purchases. All faults share one database, because starting a database takes longer than most
/// storms.
async fn planted_faults_are_caught(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let mut world = World::start(backend, &[]).await;
    for fault in Fault::OF_PURCHASES {
        if fault == Fault::Unlocked {
            world.drop_the_live_key().await;
        }
        let kills = Kills {
            server: fault == Fault::Split,
            database: false,
            max_pause_ms: MAX_PURCHASE_PAUSE_MS,
            max_retry_time: MAX_FAULT_RETRY_TIME,
        };
        let mut caught = None;
        for _ in 0..MAX_STORMS_PER_FAULT {
            let seed = seed();
            world.start_server(&[("JISHU_PLANT", fault.name())]);
            // The fault `Split` shows only if a kill comes between two statements.
            let default = if fault == Fault::Split { 4 } else { 1 };
            let report = storm::run(&mut world, seed, seconds("KILL_FAULT_SECONDS", default), kills).await;
            caught = world
                .violations(&report.ledger)
                .await
                .into_iter()
                .find(|violation| fault.shows_in(violation));
            storm::forget(&mut world).await;
            if caught.is_some() {
                break;
            }
            eprintln!("{backend:?}: KILL_SEED={seed}: {fault:?} did not show: {report}");
        }
        let Some(caught) = caught else { panic!("{backend:?}: {fault:?} was not caught") };
        eprintln!("{backend:?}: {fault:?} caught: {caught}");
    }
}

async fn sittings_killed_at_random(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let seed = seed();
    let mut world = World::start(backend, &sittings::VARIABLES).await;
    sittings::banks(&mut world).await;
    let kills = Kills {
        server: true,
        database: backend != Backend::Sqlite,
        max_pause_ms: MAX_SITTING_PAUSE_MS,
        max_retry_time: MAX_RETRY_TIME,
    };
    let report = sittings::storm(&mut world, seed, seconds("KILL_SECONDS", 6), kills).await;
    eprintln!("{backend:?}: KILL_SEED={seed}: {report}");
    let violations = sittings::violations(&world, &report.ledger).await;
    assert!(violations.is_empty(), "{backend:?}: KILL_SEED={seed}: {violations:#?}");
    assert!(
        report.server_kills > 0 && report.ledger.acknowledged() > 0,
        "nothing happened: no kill, or no acknowledged request"
    );
}

async fn sittings_aborted_at_every_boundary(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let mut world = World::start(backend, &sittings::VARIABLES).await;
    sittings::banks(&mut world).await;
    let mut ledger = sittings::Ledger::default();
    for (boundary, learner) in SITTING_BOUNDARIES.into_iter().zip(0..) {
        ledger.merge(sittings::one_learner_through_an_abort(&mut world, boundary, learner).await);
        let violations = sittings::violations(&world, &ledger).await;
        assert!(violations.is_empty(), "{backend:?} at {boundary}: {violations:#?}");
    }
    eprintln!("{backend:?}: sittings aborted at {} boundaries", SITTING_BOUNDARIES.len());
}

async fn planted_faults_in_sittings_are_caught(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let mut world = World::start(backend, &sittings::VARIABLES).await;
    sittings::banks(&mut world).await;
    for fault in Fault::OF_SITTINGS {
        // The fault `NotHeld` saves answers without explicitly locking the sitting. The fault shows only on PostgreSQL.
        // SQLite has only one writer at a time. MariaDB locks the rows that an INSERT … SELECT reads, at the isolation
        // level of statements outside of transactions.
        if fault == Fault::NotHeld && backend != Backend::Postgres {
            continue;
        }
        let [grace, closing] = sittings::VARIABLES;
        let kills = Kills {
            server: false,
            database: false,
            max_pause_ms: MAX_SITTING_PAUSE_MS,
            max_retry_time: MAX_FAULT_RETRY_TIME,
        };
        let mut caught = None;
        for _ in 0..MAX_STORMS_PER_FAULT {
            let seed = seed();
            world.start_server(&[("JISHU_PLANT", fault.name()), grace, closing]);
            let report = sittings::storm(&mut world, seed, seconds("KILL_FAULT_SECONDS", 1), kills).await;
            caught = sittings::violations(&world, &report.ledger)
                .await
                .into_iter()
                .find(|violation| fault.shows_in(violation));
            sittings::forget(&mut world).await;
            if caught.is_some() {
                break;
            }
            eprintln!("{backend:?}: KILL_SEED={seed}: {fault:?} did not show: {report}");
        }
        let Some(caught) = caught else { panic!("{backend:?}: {fault:?} was not caught") };
        eprintln!("{backend:?}: {fault:?} caught: {caught}");
    }
}

/// Aborts refunds and expiry at each boundary, then runs a storm, then plants each fault of refunds. All parts share
/// one database, because starting a database takes as long as all parts together.
async fn refunds_and_expiry_survive_kills(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let mut world = World::start(backend, &sittings::VARIABLES).await;
    refunds::prepare(&mut world).await;
    let boundaries = refunds::abort_refunds(&mut world).await + refunds::abort_expiry(&mut world).await;
    eprintln!("{backend:?}: refunds and expiry aborted at {boundaries} boundaries");

    let seed = seed();
    let kills = Kills {
        server: true,
        database: backend != Backend::Sqlite,
        max_pause_ms: MAX_PURCHASE_PAUSE_MS,
        max_retry_time: MAX_RETRY_TIME,
    };
    let (made, server_kills, database_kills) =
        refunds::storm(&mut world, seed, seconds("KILL_SECONDS", 4), kills).await;
    eprintln!(
        "{backend:?}: KILL_SEED={seed}: {made} refunds, {server_kills} kills of the server, {database_kills} of the database"
    );
    let violations = refunds::violations(&world).await;
    assert!(violations.is_empty(), "{backend:?}: KILL_SEED={seed}: {violations:#?}");
    assert!(server_kills > 0 && made > 0, "nothing happened: no kill or no refund");

    for (fault, learner) in Fault::OF_REFUNDS.into_iter().zip(150..) {
        let Some(caught) = refunds::caught(&mut world, fault, learner).await else {
            panic!("{backend:?}: {fault:?} was not caught")
        };
        eprintln!("{backend:?}: {fault:?} caught: {caught}");
    }
}

async fn deletions_aborted_at_every_boundary(backend: Backend) {
    let _turn = STORM_LOCK.lock().await;
    deletions::abort(backend).await;
}

async fn second_factors_survive_aborts(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let mut world = World::start(backend, &[]).await;
    let boundaries = second_factor::abort_at_each_boundary(&mut world).await;
    eprintln!("{backend:?}: second factors aborted at {boundaries} boundaries");
}

/// The money harness. Aborts orders and their refunds at each boundary, then runs a storm of orders at a fake provider,
/// then plants each fault of orders. All parts share one database, because starting a database takes as long as some of
/// the parts.
async fn orders_survive_kills(backend: Backend) {
    if !backend.is_selected() {
        return;
    }
    let _turn = STORM_LOCK.lock().await;
    let length = orders::Length { orders: number("KILL_ORDERS", 120), kills: number("KILLS", 8) };
    let fake = std::sync::Arc::new(jishu_tests::payments::FakeRazorpay::start().await);
    let buyers = orders::SWEPT_BUYERS + length.orders + 100;
    let mut world = World::start_for(backend, buyers, &[]).await;
    orders::prepare(&mut world).await;
    let boundaries = orders::abort(&mut world, &fake).await;
    eprintln!("{backend:?}: orders aborted at {boundaries} boundaries");

    let seed = seed();
    let report = orders::storm(&mut world, &fake, seed, length, backend != Backend::Sqlite).await;
    eprintln!("{backend:?}: KILL_SEED={seed}: {report}");
    let violations = orders::violations(&world, &fake).await;
    assert!(violations.is_empty(), "{backend:?}: KILL_SEED={seed}: {violations:#?}");
    assert!(report.orders >= length.orders, "the storm made fewer orders than it should");
    assert!(report.database_kills > 0 || backend == Backend::Sqlite, "the database was never killed");

    for (fault, number) in Fault::OF_ORDERS.into_iter().zip(50..) {
        let Some(caught) = orders::caught(&mut world, &fake, fault, number).await else {
            panic!("{backend:?}: {fault:?} was not caught")
        };
        eprintln!("{backend:?}: {fault:?} caught: {caught}");
    }
}

macro_rules! on_each_database {
    ($($name:ident),+) => {$(
        mod $name {
            use super::Backend;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(Backend::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                super::$name(Backend::MariaDb).await;
            }
        }
    )+};
}

on_each_database!(
    killed_at_random,
    aborted_at_every_boundary,
    deletions_aborted_at_every_boundary,
    planted_faults_are_caught,
    sittings_killed_at_random,
    sittings_aborted_at_every_boundary,
    planted_faults_in_sittings_are_caught,
    refunds_and_expiry_survive_kills,
    second_factors_survive_aborts,
    orders_survive_kills
);

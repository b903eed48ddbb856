//! A storm in which many learners sit tests at once while processes are killed. The learners retry each request until
//! it gets a response.

mod check;
mod learner;
mod ledger;
mod review;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use futures_util::future::join_all;
use jishu_entity::SubjectId;
use jishu_tests::fill_bank;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::storm::{CLIENTS, Kills, kill_for};
use crate::world::World;

pub(crate) use check::violations;
pub(crate) use ledger::Ledger;

/// Flags of the server, as environment variables. With these flags, the server closes a sitting soon after its
/// deadline.
pub(crate) const VARIABLES: [(&str, &str); 2] =
    [("JISHU_ANSWER_GRACE_SECONDS", "1"), ("JISHU_CLOSING_INTERVAL_MS", "200")];

const QUESTIONS_PER_BANK: i64 = 12;

/// Time limit of the second subject's tests, in seconds. A test of the first subject takes an hour.
const SHORT_TIME_LIMIT_SECONDS: i64 = 2;

pub(crate) struct Report {
    pub(crate) ledger: Ledger,
    pub(crate) server_kills: usize,
    pub(crate) database_kills: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ledger, server_kills, database_kills } = self;
        let (sittings, acknowledged) = (ledger.sittings.len(), ledger.acknowledged());
        write!(
            f,
            "{sittings} sittings, {acknowledged} answers acknowledged, {} results, ",
            ledger.results()
        )?;
        write!(f, "{} attempts cut off, ", ledger.cut_off)?;
        write!(f, "{server_kills} kills of the server, {database_kills} of the database")
    }
}

/// State that all clients share.
struct Shared {
    http: reqwest::Client,
    endpoint: String,
    course: i64,
    /// The subject with a time limit of an hour.
    long: i64,
    /// The subject with a time limit of two seconds.
    short: i64,
    /// Percentage of learners who sit tests of the short subject.
    in_a_hurry: u32,
    learners: Vec<i64>,
    tokens: jishu_service::auth::AccessTokens,
    max_retry_time: Duration,
    next_learner: AtomicUsize,
    stop: AtomicBool,
}

/// Gives the first two subjects a bank of questions, and the second subject its short time limit. Restarts the server.
pub(crate) async fn banks(world: &mut World) {
    world.server.kill();
    let connection = world.connect().await;
    for subject in &world.subjects[..2] {
        fill_bank(&connection, SubjectId(*subject), QUESTIONS_PER_BANK, Utc::now()).await;
    }
    let short = world.subjects[1];
    let limit =
        format!("UPDATE subjects SET time_limit_seconds = {SHORT_TIME_LIMIT_SECONDS} WHERE id = {short}");
    world.change(&connection, &limit).await;
    connection.close().await.expect("closing");
    world.server.restart();
}

/// Kills the server and removes all sittings from the database directly, without the server's rules. The cards become
/// unused.
pub(crate) async fn forget(world: &mut World) {
    world.server.kill();
    let connection = world.connect().await;
    for statement in [
        "DELETE FROM audit_events WHERE action LIKE 'test_session.%'",
        "DELETE FROM test_answers",
        "DELETE FROM test_sessions",
        "DELETE FROM topic_totals",
        "DELETE FROM paper_scores",
        "UPDATE mock_test_attempts SET status = 'available', attempts_used = 0, latest_attempt_at = NULL, \
         latest_score = NULL, latest_percentage = NULL, first_score = NULL, best_score = NULL",
    ] {
        world.change(&connection, statement).await;
    }
    connection.close().await.expect("closing");
}

pub(crate) async fn storm(world: &mut World, seed: u64, length: Duration, kills: Kills) -> Report {
    let mut rng = StdRng::seed_from_u64(seed);
    // Short sittings take time, because the checks wait for their deadlines. So only the storm that kills the server
    // has short sittings.
    let in_a_hurry = if kills.server { 20 } else { 0 };
    let shared = Arc::new(Shared { in_a_hurry, ..shared(world, kills.max_retry_time) });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(Arc::clone(&shared), StdRng::seed_from_u64(rng.next_u64()))))
        .collect();
    let (server_kills, database_kills) = if kills.server {
        kill_for(world, &mut rng, length, kills).await
    } else {
        tokio::time::sleep(length).await;
        (0, 0)
    };
    shared.stop.store(true, Ordering::SeqCst);
    let mut ledger = Ledger::default();
    for client in join_all(clients).await {
        ledger.merge(client.expect("clients do not panic"));
    }
    Report { ledger, server_kills, database_kills }
}

/// Sits the tests of one learner after the other until the storm stops.
async fn client(shared: Arc<Shared>, mut rng: StdRng) -> Ledger {
    let mut ledger = Ledger::default();
    while !shared.stop.load(Ordering::SeqCst) {
        let number = shared.next_learner.fetch_add(1, Ordering::SeqCst);
        let Some(learner) = shared.learners.get(number) else { break };
        ledger.merge(shared.sit(*learner, &mut rng).await);
    }
    ledger
}

/// One learner sits a test while the server aborts at a boundary and is started again.
pub(crate) async fn one_learner_through_an_abort(world: &mut World, boundary: &str, number: usize) -> Ledger {
    world.abort_at(boundary);
    let shared = Arc::new(shared(world, Duration::from_secs(60)));
    let learner = shared.learners[number];
    let sitting = tokio::spawn(async move {
        let mut rng = StdRng::seed_from_u64(u64::try_from(number).expect("small"));
        shared.sit_and_submit(learner, &mut rng).await
    });
    tokio::task::block_in_place(|| assert!(world.revive(), "the server did not abort"));
    sitting.await.expect("the learner does not panic")
}

fn shared(world: &World, max_retry_time: Duration) -> Shared {
    let http = jishu_tests::loopback_client().timeout(Duration::from_secs(30)).build().expect("a client");
    Shared {
        http,
        endpoint: world.server.endpoint(),
        course: world.course,
        long: world.subjects[0],
        short: world.subjects[1],
        in_a_hurry: 0,
        learners: world.buyers.clone(),
        tokens: world.tokens(),
        max_retry_time,
        next_learner: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    }
}

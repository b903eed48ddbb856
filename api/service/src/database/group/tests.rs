//! Tests of groups on an SQLite database in memory. It has one connection for writing. So while one transaction runs,
//! all others wait, and join its group.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jishu_entity::UserId;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::{Board, MAX_MEMBERS};
use crate::database::queue::WriteQueue;
use crate::database::{Database, DatabaseOptions, Unavailable, WritePolicy, sql};
use crate::error::{Error, Fault, Refusal};

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("refused")]
struct Refused;

impl Refusal for Refused {}

/// The behaviour of a transaction in a test. Every transaction inserts its row first, except a refused one.
#[derive(Clone, Copy)]
enum Act {
    Nothing,
    /// Waits until the test opens the gate.
    WaitAtGate,
    Fail,
    /// The transaction is refused, and inserts no row.
    Refuse,
    Panic,
    /// Inserts a row that SQLite refuses at COMMIT.
    FailAtCommit,
}

/// A transaction that inserts a row with its id.
struct Insert {
    id: i64,
    act: Act,
    runs: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Insert {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<i64, Error<Refused>> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if matches!(self.act, Act::Refuse) {
            return Err(Refused.into());
        }
        let insert = sql(DbBackend::Sqlite, "INSERT INTO rows_of_test (id) VALUES (?)", [self.id.into()]);
        transaction.execute_raw(insert).await?;
        match self.act {
            Act::Nothing | Act::Refuse => {}
            Act::Fail => return Err(Fault::Inconsistent("the test wants a failure".to_owned()).into()),
            Act::WaitAtGate => drop(self.gate.acquire().await.unwrap()),
            Act::Panic => panic!("the code of the transaction panics"),
            Act::FailAtCommit => {
                let orphan = "INSERT INTO children (parent) VALUES (-1)";
                transaction.execute_raw(sql(DbBackend::Sqlite, orphan, [])).await?;
            }
        }
        Ok(self.id)
    }
}

struct World {
    database: Database,
    gate: Arc<Semaphore>,
}

/// A transaction that was begun.
struct Begun {
    result: JoinHandle<Result<i64, Error<Refused>>>,
    runs: Arc<AtomicUsize>,
}

impl World {
    async fn open() -> Self {
        let mut database = Database::connect(&DatabaseOptions::new("sqlite::memory:")).await.unwrap();
        let tables = "CREATE TABLE rows_of_test (id INTEGER PRIMARY KEY); \
            CREATE TABLE children (parent INTEGER REFERENCES rows_of_test (id) DEFERRABLE INITIALLY DEFERRED)";
        database.writer().execute_unprepared(tables).await.unwrap();
        // On a busy machine, 50 ms may pass before all waiting transactions have joined. So groups take transactions
        // for up to 60 s here.
        let mut board = Board::default();
        board.max_open_time = Duration::from_secs(60);
        database.groups = Arc::new(board);
        Self { database, gate: Arc::new(Semaphore::new(0)) }
    }

    /// Begins a transaction that keeps the connection until the test opens the gate. It belongs to no group.
    async fn hold(&self) -> Begun {
        self.begin_with(WritePolicy::idempotent("holder"), 99, 0, Act::WaitAtGate).await
    }

    /// Begins a transaction of a user that can join a group, and waits until it waits for the connection.
    async fn begin(&self, user: i64, id: i64, act: Act) -> Begun {
        self.begin_with(WritePolicy::grouped("test"), user, id, act).await
    }

    async fn begin_with(&self, policy: WritePolicy, user: i64, id: i64, act: Act) -> Begun {
        let runs = Arc::<AtomicUsize>::default();
        let insert = Insert { id, act, runs: Arc::clone(&runs), gate: Arc::clone(&self.gate) };
        let database = self.database.clone();
        let result = tokio::spawn(async move {
            let key = UserId(user);
            database.write_for(key, policy, insert, |open, insert| Box::pin(insert.run(open))).await
        });
        // The tests run on one thread. While this task yields, the new task runs until it waits.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        Begun { result, runs }
    }

    async fn rows(&self) -> Vec<i64> {
        let select = sql(DbBackend::Sqlite, "SELECT id FROM rows_of_test ORDER BY id", []);
        let rows = self.database.writer().query_all_raw(select).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    fn open_gate(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }
}

#[tokio::test]
async fn a_failure_rolls_back_its_group_and_each_of_the_others_succeeds_alone() {
    let world = World::open().await;
    let holder = world.hold().await;
    let mut waiting = Vec::new();
    for id in 1..=5 {
        waiting.push(world.begin(id, id, Act::Nothing).await);
    }
    let failing = world.begin(6, 6, Act::Fail).await;
    let later = world.begin(7, 7, Act::Nothing).await;
    world.open_gate();
    assert_eq!(holder.result.await.unwrap().unwrap(), 0);
    for (id, begun) in (1..).zip(waiting) {
        assert_eq!(begun.result.await.unwrap().unwrap(), id);
        assert_eq!(begun.runs.load(Ordering::SeqCst), 2, "it was in the group of the failure");
    }
    assert!(matches!(failing.result.await.unwrap(), Err(Error::Failed(_))));
    assert_eq!(later.result.await.unwrap().unwrap(), 7);
    assert_eq!(later.runs.load(Ordering::SeqCst), 1, "it came after the failure, so it was in another group");
    assert_eq!(world.rows().await, [0, 1, 2, 3, 4, 5, 7]);
}

#[tokio::test]
async fn after_a_failed_group_the_next_transactions_run_alone_for_a_moment() {
    let world = World::open().await;
    let holder = world.hold().await;
    let first = world.begin(1, 1, Act::Nothing).await;
    let failing = world.begin(2, 2, Act::Fail).await;
    let mut later = Vec::new();
    for id in 3..=6 {
        later.push(world.begin(id, id, Act::Nothing).await);
    }
    let failing_later = world.begin(7, 7, Act::Fail).await;
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    assert_eq!(first.result.await.unwrap().unwrap(), 1);
    for begun in later {
        begun.result.await.unwrap().unwrap();
        assert_eq!(begun.runs.load(Ordering::SeqCst), 1, "it shared a group with a later failure");
    }
    for failing in [failing, failing_later] {
        assert!(matches!(failing.result.await.unwrap(), Err(Error::Failed(_))));
    }
}

#[tokio::test]
async fn a_refusal_changes_nothing_for_the_others_of_its_group() {
    let world = World::open().await;
    let holder = world.hold().await;
    let first = world.begin(1, 1, Act::Nothing).await;
    let refused = world.begin(2, 2, Act::Refuse).await;
    let last = world.begin(3, 3, Act::Nothing).await;
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    for (id, begun) in [(1, first), (3, last)] {
        assert_eq!(begun.result.await.unwrap().unwrap(), id);
        assert_eq!(begun.runs.load(Ordering::SeqCst), 1);
    }
    assert!(matches!(refused.result.await.unwrap(), Err(Error::Refused(Refused))));
    assert_eq!(world.rows().await, [0, 1, 3]);
}

#[tokio::test]
async fn other_transactions_get_the_connection_in_their_order_beside_groups() {
    let world = World::open().await;
    let holder = world.hold().await;
    let order = Arc::new(AtomicUsize::new(0));
    let mut all = Vec::new();
    for id in 1..=40 {
        let policy =
            if id % 2 == 0 { WritePolicy::grouped("test") } else { WritePolicy::idempotent("other") };
        let begun = world.begin_with(policy, id, id, Act::Nothing).await;
        let order = Arc::clone(&order);
        all.push(tokio::spawn(async move {
            begun.result.await.unwrap().unwrap();
            order.fetch_add(1, Ordering::SeqCst)
        }));
    }
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    let mut places = Vec::new();
    for begun in all {
        places.push(begun.await.unwrap());
    }
    // The first of the others waits for one group at most, and the last of the groups for few others.
    assert!(places[0] <= 1 + MAX_MEMBERS, "{places:?}");
    assert!(places[39] < 39, "{places:?}");
}

#[tokio::test]
async fn every_transaction_of_a_group_gets_its_own_result_and_runs_once() {
    let world = World::open().await;
    let holder = world.hold().await;
    let count = 3 * i64::try_from(MAX_MEMBERS).unwrap() + 1;
    let mut waiting = Vec::new();
    for id in 1..=count {
        waiting.push(world.begin(id, id, Act::Nothing).await);
    }
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    for (id, begun) in (1..).zip(waiting) {
        assert_eq!(begun.result.await.unwrap().unwrap(), id);
        assert_eq!(begun.runs.load(Ordering::SeqCst), 1);
    }
    assert_eq!(world.rows().await, (0..=count).collect::<Vec<_>>());
    assert!(world.database.groups.is_empty());
}

#[tokio::test]
async fn a_transaction_that_is_alone_and_refused_or_fails_runs_once() {
    let world = World::open().await;
    let refused = world.begin(1, 1, Act::Refuse).await;
    assert!(matches!(refused.result.await.unwrap(), Err(Error::Refused(Refused))));
    let failed = world.begin(1, 1, Act::Fail).await;
    assert!(matches!(failed.result.await.unwrap(), Err(Error::Failed(_))));
    for begun in [refused.runs, failed.runs] {
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
    assert!(world.rows().await.is_empty());
    assert!(world.database.groups.is_empty());
}

#[tokio::test]
async fn transactions_of_one_user_run_one_after_the_other_in_one_group() {
    let world = World::open().await;
    let holder = world.hold().await;
    let mut waiting = Vec::new();
    for id in 1..=4 {
        waiting.push(world.begin(1, id, Act::Nothing).await);
    }
    // This one belongs to no group, and has the same key. It waits until the group is committed.
    let other = world.begin_with(WritePolicy::idempotent("other"), 1, 5, Act::Nothing).await;
    let failing = world.begin(1, 6, Act::Fail).await;
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    for (id, begun) in (1..).zip(waiting) {
        assert_eq!(begun.result.await.unwrap().unwrap(), id);
        assert_eq!(begun.runs.load(Ordering::SeqCst), 2, "it was in the group of the failure");
    }
    assert_eq!(other.result.await.unwrap().unwrap(), 5);
    assert!(matches!(failing.result.await.unwrap(), Err(Error::Failed(_))));
    assert_eq!(world.rows().await, [0, 1, 2, 3, 4, 5]);
    assert!(world.database.groups.is_empty());
}

#[tokio::test]
async fn a_panic_fails_its_own_transaction_only() {
    let world = World::open().await;
    let holder = world.hold().await;
    let first = world.begin(1, 1, Act::Nothing).await;
    let panicking = world.begin(2, 2, Act::Panic).await;
    let last = world.begin(3, 3, Act::Nothing).await;
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    assert_eq!(first.result.await.unwrap().unwrap(), 1);
    assert!(panicking.result.await.unwrap_err().is_panic());
    assert_eq!(last.result.await.unwrap().unwrap(), 3);
    assert_eq!(world.rows().await, [0, 1, 3]);
    assert!(world.database.groups.is_empty());
}

#[tokio::test]
async fn a_failed_commit_fails_only_the_transaction_that_caused_it() {
    let world = World::open().await;
    let holder = world.hold().await;
    let first = world.begin(1, 1, Act::Nothing).await;
    let failing = world.begin(2, 2, Act::FailAtCommit).await;
    let last = world.begin(3, 3, Act::Nothing).await;
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    assert_eq!(first.result.await.unwrap().unwrap(), 1);
    assert!(matches!(failing.result.await.unwrap(), Err(Error::Failed(_))));
    assert_eq!(last.result.await.unwrap().unwrap(), 3);
    assert_eq!(world.rows().await, [0, 1, 3]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_before_its_turn_changes_nothing_and_later_is_committed() {
    let world = World::open().await;
    let holder = world.hold().await;
    let has_turn = world.begin(1, 1, Act::Nothing).await;
    let waits_for_turn = world.begin(1, 2, Act::Nothing).await;
    let behind = world.begin(1, 3, Act::Nothing).await;
    has_turn.result.abort();
    waits_for_turn.result.abort();
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    assert_eq!(behind.result.await.unwrap().unwrap(), 3);
    assert_eq!(waits_for_turn.runs.load(Ordering::SeqCst), 0);
    assert_eq!(world.rows().await, [0, 1, 3]);
    assert!(world.database.groups.is_empty());
}

#[tokio::test]
async fn a_wait_for_a_connection_ends_after_its_maximum_time() {
    let mut world = World::open().await;
    world.database.queue = WriteQueue::new(1, Duration::from_millis(50));
    let holder = world.hold().await;
    let first = world.begin(1, 1, Act::Nothing).await;
    let follower = world.begin(1, 2, Act::Nothing).await;
    for late in [first, follower] {
        let Err(Error::Failed(fault)) = late.result.await.unwrap() else { panic!("it had no connection") };
        let unavailable = fault.database_error().and_then(Unavailable::of);
        assert_eq!(unavailable, Some(Unavailable::NoConnection));
        assert_eq!(late.runs.load(Ordering::SeqCst), 0);
    }
    world.open_gate();
    holder.result.await.unwrap().unwrap();
    let next = world.begin(1, 3, Act::Nothing).await;
    assert_eq!(next.result.await.unwrap().unwrap(), 3);
    assert!(world.database.groups.is_empty());
}

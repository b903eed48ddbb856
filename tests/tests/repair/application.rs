//! The old application, which keeps running while its database is repaired.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jishu_service::database::Failure;
use jishu_tests::{Backend, rows};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};
use tokio::task::JoinHandle;

use crate::old_database::{OldDatabase, connect};

/// The number of cards that each purchase creates.
const CARDS_PER_PURCHASE: i64 = 5;

/// The running application: a task that reads cards and a task that makes purchases, each on its own connection.
pub(crate) struct Application {
    stop: Arc<AtomicBool>,
    reader: JoinHandle<(Duration, i64)>,
    buyer: JoinHandle<(Duration, i64)>,
}

/// The longest delays of the application, and the work that it did.
pub(crate) struct Stalls {
    pub(crate) read: Duration,
    pub(crate) reads: i64,
    pub(crate) purchase: Duration,
    pub(crate) purchases: i64,
    /// The number of cards that each purchase created.
    pub(crate) cards: i64,
}

impl Application {
    pub(crate) async fn start(old: &OldDatabase) -> Self {
        let (reader, buyer) = (connect(&old.url).await, connect(&old.url).await);
        if old.backend == Backend::Sqlite {
            // jishu uses WAL mode, too. In WAL mode readers do not wait for writers.
            rows(&reader, "PRAGMA journal_mode = WAL").await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        Self {
            reader: tokio::spawn(read(reader, Arc::clone(&stop))),
            buyer: tokio::spawn(buy(buyer, Arc::clone(&stop))),
            stop,
        }
    }

    pub(crate) async fn stop(self) -> Stalls {
        self.stop.store(true, Ordering::SeqCst);
        let (read, reads) = self.reader.await.unwrap();
        let (purchase, purchases) = self.buyer.await.unwrap();
        Stalls { read, reads, purchase, purchases, cards: CARDS_PER_PURCHASE }
    }
}

/// Reads a learner's cards in a loop. Returns the longest time of a read, and the number of reads.
async fn read(connection: DatabaseConnection, stop: Arc<AtomicBool>) -> (Duration, i64) {
    let (mut longest, mut times) = (Duration::ZERO, 0);
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let page = "SELECT id, status FROM mock_test_attempts WHERE purchase_id = 1 ORDER BY id";
        assert!(rows(&connection, page).await.len() >= 50, "the cards of the purchase are missing");
        longest = longest.max(began.elapsed());
        times += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connection.close().await.unwrap();
    (longest, times)
}

/// Makes purchases in a loop, as the old application does, and retries after a conflict. Returns the longest time
/// of a purchase, and the number of purchases.
async fn buy(connection: DatabaseConnection, stop: Arc<AtomicBool>) -> (Duration, i64) {
    let (mut longest, mut times) = (Duration::ZERO, 0);
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        while let Err(error) = purchase(&connection).await {
            assert_eq!(Failure::of(&error), Failure::Conflict, "{error}");
        }
        longest = longest.max(began.elapsed());
        times += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    connection.close().await.unwrap();
    (longest, times)
}

async fn purchase(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = connection.begin().await?;
    transaction.execute_unprepared("INSERT INTO users (name) VALUES ('Ravi')").await?;
    let user = "(SELECT MAX(id) FROM users)";
    transaction.execute_unprepared(&format!("INSERT INTO purchases (user_id) VALUES ({user})")).await?;
    let id = "(SELECT MAX(id) FROM purchases)";
    let numbers: Vec<_> = (1..=CARDS_PER_PURCHASE)
        .map(|number| format!("({id}, {user}, 1, 3, {number}, 'available')"))
        .collect();
    let cards = format!(
        "INSERT INTO mock_test_attempts (purchase_id, user_id, course_id, subject_id, test_number, status) VALUES {}",
        numbers.join(", ")
    );
    transaction.execute_unprepared(&cards).await?;
    transaction.commit().await
}

//! A storm of buyers who order, while the server and its database are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_service::failpoint::{ORDER_BOUNDARIES, ORDER_REFUND_BOUNDARIES, REFUND_BOUNDARIES};
use jishu_tests::payments::{DeliveryPlan, FakeRazorpay, FaultRates};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::shop::Shop;
use super::visit::Visit;
use super::{SWEPT_BUYERS, start};
use crate::world::World;

/// Number of buyers who order at the same time.
const BUYERS_AT_ONCE: usize = 24;
/// Maximum time in which no order is made before the test fails.
const MAX_STANDSTILL: Duration = Duration::from_secs(120);
/// Maximum time that the orders may take to end after the storm.
const MAX_SETTLING_TIME: Duration = Duration::from_secs(600);
/// Maximum time to wait for the server to abort at a boundary, before it is killed.
const MAX_LIFE_AT_BOUNDARY: Duration = Duration::from_secs(1);
/// The interval between two checks of the number of orders.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// The interval between two checks of the orders that have not ended.
const SETTLING_INTERVAL: Duration = Duration::from_millis(200);
/// The interval at which the test lets unpaid orders expire, and makes the waiting checks and calls of the server due.
const HURRY_INTERVAL: Duration = Duration::from_secs(10);

/// The random faults of the provider's API: about one request in thirty has one.
const FAULTS: FaultRates = FaultRates {
    lost_responses: 0.005,
    closed: 0.005,
    errors: 0.005,
    errors_after_work: 0.005,
    limited: 0.005,
    slow: 0.01,
};

/// The length of a storm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// Minimum number of orders.
    pub(crate) orders: usize,
    /// The number of kills, which are spread evenly over the orders.
    pub(crate) kills: usize,
}

/// The numbers of orders, kills, aborts and webhooks in a storm, and the time that the storm took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) orders: usize,
    /// Number of kills of the server at a random moment.
    pub(crate) server_kills: usize,
    /// Number of aborts of the server at a boundary.
    pub(crate) aborts: usize,
    pub(crate) database_kills: usize,
    pub(crate) lost_webhooks: usize,
    pub(crate) sent_webhooks: usize,
    /// The time until the last order was made, and until all orders had ended.
    pub(crate) took: (Duration, Duration),
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { orders, server_kills, aborts, database_kills, lost_webhooks, sent_webhooks, took } = self;
        write!(
            f,
            "{orders} orders, {} kills ({server_kills} of the server at random, {aborts} at boundaries, \
             {database_kills} of the database), {sent_webhooks} webhooks sent, {lost_webhooks} lost, {:.1} s, all ended \
             after {:.1} s",
            server_kills + aborts + database_kills,
            took.0.as_secs_f64(),
            took.1.as_secs_f64(),
        )
    }
}

/// Runs a storm, and waits until all orders have ended.
pub(crate) async fn storm(
    world: &mut World,
    fake: &Arc<FakeRazorpay>,
    seed: u64,
    length: Length,
    kills_database: bool,
) -> Report {
    let started = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    start(world, fake, &[]);
    fake.forget_requests();
    fake.webhooks().deliver_by(DeliveryPlan::STORMY, random.next_u64());
    fake.faults().random(random.next_u64(), FAULTS);
    let shop = Arc::new(Shop::of(world));
    let stop = Arc::new(AtomicBool::new(false));
    let (made, next) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(SWEPT_BUYERS)));
    let buyers: Vec<_> = (0..BUYERS_AT_ONCE)
        .map(|_| {
            let (shop, fake, stop) = (Arc::clone(&shop), Arc::clone(fake), Arc::clone(&stop));
            let (made, next) = (Arc::clone(&made), Arc::clone(&next));
            let mut random = StdRng::seed_from_u64(random.next_u64());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let buyer = *shop.buyers.get(next.fetch_add(1, Ordering::SeqCst)).expect("enough buyers");
                    let mut visit = Visit { shop: &shop, fake: &fake, buyer, random: &mut random };
                    made.fetch_add(visit.run().await, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut report = Report::default();
    for number in 0..length.kills {
        reach(&made, length.orders * (number + 1) / (length.kills + 1)).await;
        kill(world, &mut random, number, kills_database, &mut report).await;
    }
    reach(&made, length.orders).await;
    stop.store(true, Ordering::SeqCst);
    for buyer in join_all(buyers).await {
        buyer.expect("no buyer panics");
    }
    report.orders = made.load(Ordering::SeqCst);
    report.took.0 = started.elapsed();
    fake.faults().stop();
    fake.webhooks().settled().await;
    settle(world, &shop).await;
    // Only webhooks report disputes and refunds at the console, so staff replay the lost webhooks about them.
    fake.webhooks().replay_lost(&["dispute", "refund"]).await;
    fake.webhooks().settled().await;
    settle(world, &shop).await;
    fake.webhooks().settled().await;
    fake.webhooks().hold();
    report.lost_webhooks = fake.webhooks().lost();
    report.sent_webhooks = fake.webhooks().sent().len();
    report.took.1 = started.elapsed();
    report
}

/// Waits until this many orders are made. Panics if no order is made for two minutes.
async fn reach(made: &AtomicUsize, orders: usize) {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let now = made.load(Ordering::SeqCst);
        if now >= orders {
            return;
        }
        if now > last {
            (last, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < MAX_STANDSTILL, "no order was made for long, after {now} of {orders}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Ends the leases that a killed server had on orders. Otherwise each buyer whose checkout was cut off would wait for
/// 45 seconds.
const END_LEASES: &str =
    "UPDATE orders SET due_at = created_at WHERE state = 'pending' AND provider_reference IS NULL";

/// Kills a process, and starts it again. Every sixth kill is of the database, if `kills_database` is true. Most of the
/// other kills are aborts of the server at a random boundary.
async fn kill(
    world: &mut World,
    random: &mut StdRng,
    number: usize,
    kills_database: bool,
    report: &mut Report,
) {
    if kills_database && number % 6 == 1 {
        let database = world.database.get_mut().expect("never poisoned");
        tokio::task::block_in_place(|| {
            database.kill();
            database.restart();
        });
        report.database_kills += 1;
        return;
    }
    let mut has_aborted = false;
    if number % 3 != 2 {
        let boundaries = [ORDER_BOUNDARIES.as_slice(), &ORDER_REFUND_BOUNDARIES, &REFUND_BOUNDARIES].concat();
        world.abort_at(boundaries.choose(random).expect("there are some"));
        has_aborted = tokio::task::block_in_place(|| world.server.ends_within(MAX_LIFE_AT_BOUNDARY));
        world.abort_nowhere();
    }
    if has_aborted {
        report.aborts += 1;
    } else {
        // No boundary was chosen for this kill, or no request reached the boundary in time. So the kill is at a random
        // moment.
        world.server.kill();
        report.server_kills += 1;
    }
    let connection = world.connect().await;
    world.change(&connection, END_LEASES).await;
    connection.close().await.expect("closing");
    tokio::task::block_in_place(|| world.server.restart());
}

/// Selects the orders that have not ended, that wait for a check for late money, or that have a refund under way.
const UNFINISHED: &str = "SELECT id FROM orders WHERE state IN ('pending', 'paid', 'refunding', 'needs_attention') \
                          OR (state IN ('expired', 'cancelled') AND due_at = created_at) \
                          UNION SELECT order_id FROM payment_refunds WHERE status = 'requested'";
/// Makes the reconciler look for late money now, instead of in some minutes.
const LOOK_FOR_LATE_MONEY: &str = "UPDATE orders SET due_at = created_at, checks = 0 WHERE state IN ('expired', 'cancelled') AND due_at IS NOT NULL";
/// Makes unpaid orders expire, and makes the checks of the reconciler and the calls of the outbox due now, instead of
/// in some minutes.
const HURRY: [&str; 4] = [
    "UPDATE orders SET expires_at = created_at WHERE state = 'pending'",
    "UPDATE orders SET due_at = created_at, checks = 0 WHERE state IN ('pending', 'paid')",
    "UPDATE orders SET due_at = created_at WHERE id IN (SELECT order_id FROM payment_refunds WHERE status = \
     'requested')",
    "UPDATE outbox SET due_at = created_at WHERE channel = 'payment' AND state IN ('pending', 'leased')",
];

/// Waits until all orders have ended. Makes unpaid orders expire, and lets support refund the orders that need
/// attention.
async fn settle(world: &World, shop: &Shop) {
    let connection = world.connect().await;
    let started = Instant::now();
    world.change(&connection, LOOK_FOR_LATE_MONEY).await;
    let mut hurried: Option<Instant> = None;
    loop {
        let unfinished = world.numbers(&connection, UNFINISHED).await;
        if unfinished.is_empty() {
            break;
        }
        assert!(
            started.elapsed() < MAX_SETTLING_TIME,
            "{} orders have not ended: {unfinished:?}",
            unfinished.len()
        );
        if hurried.is_none_or(|hurried| hurried.elapsed() > HURRY_INTERVAL) {
            for statement in HURRY {
                world.change(&connection, statement).await;
            }
            hurried = Some(Instant::now());
        }
        let waiting = "SELECT id FROM orders WHERE state = 'needs_attention'";
        for order in world.numbers(&connection, waiting).await {
            shop.resolve(order).await;
        }
        tokio::time::sleep(SETTLING_INTERVAL).await;
    }
    connection.close().await.expect("closing");
}

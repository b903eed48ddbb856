//! Tests with a Galera cluster of three nodes, and a jishu server on each node. Learners purchase and sit tests through
//! all three servers at once.
//!
//! `tests/run` skips these tests, because they need the distribution's MariaDB with Galera. This command runs them:
//! `TEST_DATABASES=mariadb tests/run --test galera -- --ignored --nocapture --test-threads 1`. `GALERA_ROUNDS` sets the
//! number of rounds of each test. The default is 30.

#![expect(clippy::expect_used, reason = "a test may panic at the first failure")]

mod cluster;
mod sittings;
mod storm;
mod world;

use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Galera cluster; tests/README.md has the command"]
async fn purchases_through_three_nodes_converge() {
    let world = World::start().await;
    storm::identical(&world).await;
    storm::overlapping(&world).await;
    storm::keyed(&world).await;
    world.assert_right().await;
    world.tell_conflicts().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Galera cluster; tests/README.md has the command"]
async fn an_acknowledged_purchase_is_known_to_all_nodes() {
    let world = World::start().await;
    storm::one_after_the_other(&world).await;
    world.assert_right().await;
    world.tell_conflicts().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Galera cluster; tests/README.md has the command"]
async fn an_acknowledged_answer_is_scored_by_another_node() {
    let world = World::start().await;
    let outcome = std::panic::AssertUnwindSafe(sittings::acknowledged(&world));
    if let Err(panic) = futures_util::FutureExt::catch_unwind(outcome).await {
        world.tell_errors();
        std::panic::resume_unwind(panic);
    }
    world.tell_conflicts().await;
}

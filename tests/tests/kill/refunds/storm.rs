//! A storm in which many learners buy, sit, are refunded and buy again, while processes are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::client::Shop;
use super::start;
use crate::storm::{CLIENTS, Kills, kill_for};
use crate::world::World;

/// Runs the storm. Returns the number of refunds, of kills of the server, and of kills of the database.
pub(crate) async fn run(
    world: &mut World,
    seed: u64,
    length: Duration,
    kills: Kills,
) -> (usize, usize, usize) {
    start(world, &[]);
    let shop = Arc::new(Shop::of(world));
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(200)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(Arc::clone(&shop), Arc::clone(&stop), Arc::clone(&next))))
        .collect();
    let (server_kills, database_kills) =
        kill_for(world, &mut StdRng::seed_from_u64(seed), length, kills).await;
    stop.store(true, Ordering::SeqCst);
    let refunds = join_all(clients).await.into_iter().map(|client| client.expect("no client panics")).sum();
    (refunds, server_kills, database_kills)
}

/// For one learner after the other, buys, starts a sitting, refunds and buys again, until the storm stops. Returns the
/// number of refunds.
async fn client(shop: Arc<Shop>, stop: Arc<AtomicBool>, next: Arc<AtomicUsize>) -> usize {
    let mut refunds = 0;
    while !stop.load(Ordering::SeqCst) {
        let learner = next.fetch_add(1, Ordering::SeqCst);
        let (purchase, card) = shop.buy(learner, &[0, 1]).await;
        let key = Uuid::new_v4().to_string();
        // Support sends the same refund twice at once, while the learner starts a sitting and buys again.
        let refunds_of_both =
            join(shop.until_refunded(&purchase, &key), shop.until_refunded(&purchase, &key));
        let learner_acts = join(shop.start(learner, &card), shop.buy(learner, &[0]));
        let ((first, second), (refused, _)) = join(refunds_of_both, learner_acts).await;
        assert_eq!(first["refund"], second["refund"], "one key made two refunds");
        assert!(matches!(refused.as_deref(), None | Some("ENTITLEMENT_ENDED")), "{refused:?}");
        refunds += 1;
    }
    refunds
}

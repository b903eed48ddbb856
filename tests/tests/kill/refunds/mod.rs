//! Refunds and the end of terms, while the server is killed. Clients retry each request with the same key until it gets
//! a response.

mod client;
mod storm;

use std::time::{Duration, Instant};

use chrono::Utc;
use jishu_entity::{entitlement, purchase, test_session};
use jishu_service::failpoint::{EXPIRY_BOUNDARIES, REFUND_BOUNDARIES};
use jishu_tests::RULE_VIOLATIONS;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::fault::Fault;
use crate::sittings::{VARIABLES, banks};
use crate::storm::row;
use crate::world::World;

use client::{Outcome, Shop};
pub(crate) use storm::run as storm;

/// Maximum time that the server may take to end a purchase whose term is over.
const MAX_EXPIRY_TIME: Duration = Duration::from_secs(20);

/// Returns the boundaries at which the server is aborted during a refund. They include boundaries of closing, because
/// these refunds end an open sitting.
fn refund_boundaries() -> impl Iterator<Item = &'static str> {
    REFUND_BOUNDARIES.into_iter().chain(["close.scored", "close.counted"])
}

/// Gives the subjects their questions, and makes the last buyer a member of support.
pub(crate) async fn prepare(world: &mut World) {
    banks(world).await;
    let connection = world.connect().await;
    let support = world.buyers.pop().expect("a buyer");
    let promotion = format!("UPDATE users SET role = 'support' WHERE id = {support}");
    world.change(&connection, &promotion).await;
    connection.close().await.expect("closing");
    world.support = Some(support);
}

/// Starts the server with the short times of [`VARIABLES`] and with more environment variables.
fn start(world: &mut World, variables: &[(&str, &str)]) {
    let variables: Vec<_> = VARIABLES.iter().chain(variables).copied().collect();
    world.start_server(&variables);
}

/// Returns all violations of [`RULE_VIOLATIONS`] in the tables.
pub(crate) async fn violations(world: &World) -> Vec<String> {
    let connection = world.connect().await;
    let violations = world.broken(&connection, &RULE_VIOLATIONS).await;
    connection.close().await.expect("closing");
    violations
}

/// Aborts the server at every boundary of a refund while a sitting of the purchase is open. The retry must find the
/// refund or make it. Returns the number of boundaries.
pub(crate) async fn abort_refunds(world: &mut World) -> usize {
    start(world, &[]);
    let shop = Shop::of(world);
    for (boundary, learner) in refund_boundaries().zip(0..) {
        let (purchase, card) = shop.buy_and_start(learner).await;
        world.abort_at(boundary);
        let key = uuid::Uuid::new_v4().to_string();
        assert!(
            matches!(shop.refund(&purchase, &key).await, Outcome::Nothing),
            "{boundary}: the server did not abort"
        );
        assert!(world.revive(), "{boundary}");
        let first = shop.until_refunded(&purchase, &key).await;
        let again = shop.until_refunded(&purchase, &key).await;
        assert_eq!(first["refund"], again["refund"], "{boundary}: one key made two refunds");
        assert_eq!(first["purchase"]["status"], "REFUNDED", "{boundary}: {first}");
        assert_eq!(shop.refused_start(learner, &card).await, "ENTITLEMENT_ENDED", "{boundary}");
        let violations = violations(world).await;
        assert!(violations.is_empty(), "{:?} at {boundary}: {violations:#?}", world.backend);
    }
    refund_boundaries().count()
}

/// Aborts the server at every boundary while it ends a purchase with an open sitting. Returns the number of boundaries.
pub(crate) async fn abort_expiry(world: &mut World) -> usize {
    start(world, &[]);
    let shop = Shop::of(world);
    for (boundary, learner) in EXPIRY_BOUNDARIES.into_iter().zip(100..) {
        let (purchase, _) = shop.buy_and_start(learner).await;
        let purchase = row(&purchase);
        world.abort_at(boundary);
        end_term(world, purchase).await;
        assert!(world.revive(), "{boundary}: the server did not abort");
        let connection = world.connect().await;
        let open = format!(
            "SELECT purchase_id FROM entitlements WHERE purchase_id = {purchase} AND ended_at IS NULL"
        );
        let started = Instant::now();
        while !world.numbers(&connection, &open).await.is_empty() {
            assert!(started.elapsed() < MAX_EXPIRY_TIME, "{boundary}: purchase {purchase} is not ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        connection.close().await.expect("closing");
        let violations = violations(world).await;
        assert!(violations.is_empty(), "{:?} at {boundary}: {violations:#?}", world.backend);
    }
    EXPIRY_BOUNDARIES.len()
}

/// Ends the term of a purchase and the time of its sittings now, directly in the database.
async fn end_term(world: &World, purchase: i64) {
    let connection = world.connect().await;
    let (now, id) = (Utc::now(), jishu_entity::PurchaseId(purchase));
    // The sittings are changed first. The server must not find the purchase ended while the deadline of its sitting is
    // an hour away.
    let cards = world
        .numbers(&connection, &format!("SELECT id FROM mock_test_attempts WHERE purchase_id = {purchase}"))
        .await;
    test_session::Entity::update_many()
        .col_expr(test_session::Column::ExpiresAt, Expr::value(now))
        .filter(test_session::Column::MockTestAttemptId.is_in(cards))
        .exec(&connection)
        .await
        .expect("the sittings change");
    entitlement::Entity::update_many()
        .col_expr(entitlement::Column::ExpiresAt, Expr::value(now))
        .filter(entitlement::Column::PurchaseId.eq(id))
        .exec(&connection)
        .await
        .expect("the entitlements change");
    purchase::Entity::update_many()
        .col_expr(purchase::Column::ExpiresAt, Expr::value(now))
        .filter(purchase::Column::Id.eq(id))
        .exec(&connection)
        .await
        .expect("the purchase changes");
    connection.close().await.expect("closing");
}

/// Refunds a purchase with an open sitting while a fault is planted. Returns the violation that reveals the fault, if
/// there is one. The server aborts right after the commit, so what another transaction would write later is missing.
pub(crate) async fn caught(world: &mut World, fault: Fault, learner: usize) -> Option<String> {
    start(world, &[]);
    let (purchase, _) = Shop::of(world).buy_and_start(learner).await;
    start(world, &[("JISHU_PLANT", fault.name())]);
    world.abort_at("refund.committed");
    let shop = Shop::of(world);
    let outcome = shop.refund(&purchase, &uuid::Uuid::new_v4().to_string()).await;
    assert!(matches!(outcome, Outcome::Nothing), "the server did not abort");
    assert!(world.server.ends());
    world.abort_nowhere();
    violations(world).await.into_iter().find(|violation| fault.shows_in(violation))
}

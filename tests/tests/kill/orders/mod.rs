//! The money harness: orders and their refunds at a fake provider, while the server and its database are killed.
//! Afterwards the books of the server and of the provider must agree for each order.

mod check;
mod planted;
mod shop;
mod storm;
mod sweep;
mod visit;

pub(crate) use check::violations;
use jishu_tests::payments::FakeRazorpay;
pub(crate) use planted::caught;
pub(crate) use storm::{Length, storm};
pub(crate) use sweep::abort;

use crate::world::World;

/// Number of buyers for the aborts at boundaries and for the planted faults. The storm has all other buyers.
pub(crate) const SWEPT_BUYERS: usize = 100;

/// Starts a server that takes payments at a fake of Razorpay, with more environment variables.
fn start(world: &mut World, fake: &FakeRazorpay, variables: &[(&str, &str)]) {
    let payments = [
        ("JISHU_PAYMENTS", "razorpay"),
        ("JISHU_PAYMENT_KEY", FakeRazorpay::KEY_ID),
        ("JISHU_PAYMENT_SECRET", FakeRazorpay::KEY_SECRET),
        ("JISHU_PAYMENT_WEBHOOK_SECRET", FakeRazorpay::WEBHOOK_SECRET),
        ("JISHU_PAYMENT_ACCOUNT", FakeRazorpay::ACCOUNT),
        ("JISHU_PAYMENT_URL", fake.address()),
        // If a call of the outbox is cut off, the outbox repeats the call after three times this number of seconds.
        ("JISHU_MAIL_SECONDS", "1"),
    ];
    let variables: Vec<_> = payments.iter().chain(variables).copied().collect();
    world.start_server(&variables);
    fake.webhooks().send_to(world.server.endpoint().replace("/graphql", "/webhooks/payments/razorpay"));
}

/// Makes the last buyer a member of support.
pub(crate) async fn prepare(world: &mut World) {
    let connection = world.connect().await;
    let support = world.buyers.pop().expect("a buyer");
    let promotion = format!("UPDATE users SET role = 'support' WHERE id = {support}");
    world.change(&connection, &promotion).await;
    connection.close().await.expect("closing");
    world.support = Some(support);
}

/// Waits for the server to abort, then restarts it and ends the leases of the aborted process at once. Returns whether
/// the server aborted.
async fn revive(world: &mut World) -> bool {
    let has_ended = world.server.ends();
    world.abort_nowhere();
    if has_ended {
        let connection = world.connect().await;
        for table in ["orders", "outbox"] {
            let end = format!("UPDATE {table} SET due_at = created_at WHERE due_at IS NOT NULL");
            world.change(&connection, &end).await;
        }
        connection.close().await.expect("closing");
        world.server.restart();
    }
    has_ended
}

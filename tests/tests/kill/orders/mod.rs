//! The money harness: orders and their refunds at a fake provider, while the server is killed. Afterwards the books of the
//! server and of the provider must agree, for each order.

mod check;
mod planted;
mod shop;
mod storm;
mod sweep;
mod visit;

pub(crate) use check::wrong;
use jishu_tests::payments::FakeRazorpay;
pub(crate) use planted::caught;
pub(crate) use storm::{Length, storm};
pub(crate) use sweep::abort;

use crate::world::World;

/// The first buyers belong to the sweep of the boundaries and to the planted faults, and the others to the storm.
pub(crate) const SWEPT_BUYERS: usize = 100;

/// Starts a server that takes payments at a fake, with these variables.
fn start(world: &mut World, fake: &FakeRazorpay, variables: &[(&str, &str)]) {
    let payments = [
        ("JISHU_PAYMENTS", "razorpay"),
        ("JISHU_PAYMENT_KEY", FakeRazorpay::KEY_ID),
        ("JISHU_PAYMENT_SECRET", FakeRazorpay::KEY_SECRET),
        ("JISHU_PAYMENT_WEBHOOK_SECRET", FakeRazorpay::WEBHOOK_SECRET),
        ("JISHU_PAYMENT_ACCOUNT", FakeRazorpay::ACCOUNT),
        ("JISHU_PAYMENT_URL", fake.address()),
        // A call that was cut off is made again soon.
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

/// Restarts a server that aborted. The leases of the one that aborted end at once.
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

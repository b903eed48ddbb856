//! Plays a scene for each planted fault of orders: requests with which the fault loses money, or gives money away.

use std::time::{Duration, Instant};

use futures_util::future::join;
use jishu_tests::payments::{self, FakeRazorpay, UnsentWebhook};
use uuid::Uuid;

use super::check::violations_of;
use super::shop::{Shop, until};
use super::{revive, start};
use crate::fault::Fault;
use crate::world::World;

/// Maximum time to wait until the orders and refunds of a scene have ended. With some faults, they never end.
const MAX_SCENE_TIME: Duration = Duration::from_secs(10);
/// The time that the provider takes to respond to one request. It is so long that a webhook overtakes the response.
const SLOW_RESPONSE: Duration = Duration::from_millis(500);
/// The interval between two checks of the orders and refunds of a scene.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Plays the scene of a fault, and returns the violation that reveals the fault, if there is one.
pub(crate) async fn caught(
    world: &mut World,
    fake: &FakeRazorpay,
    fault: Fault,
    number: usize,
) -> Option<String> {
    start(world, fake, &[("JISHU_PLANT", fault.name())]);
    let shop = Shop::of(world);
    let scene = Scene { buyer: shop.buyers[number], shop, fake };
    scene.play(world, fault).await;
    scene.until_over(world).await;
    violations_of(world, fake, scene.buyer).await.into_iter().find(|violation| fault.shows_in(violation))
}

struct Scene<'a> {
    shop: Shop,
    fake: &'a FakeRazorpay,
    buyer: i64,
}

impl Scene<'_> {
    async fn play(&self, world: &mut World, fault: Fault) {
        let (shop, fake, buyer) = (&self.shop, self.fake, self.buyer);
        // The order has two subjects, so that one of them can be refunded.
        let order = shop.place(buyer, &Uuid::new_v4().to_string(), &[0, 1]).await;
        let price = fake.read_books(|books| books.order(&order.provider).amount);
        match fault {
            Fault::AmountNotCompared => {
                fake.customer_pays_other_money(&order.provider, price - 1, "INR");
            }
            Fault::CurrencyNotCompared => {
                fake.customer_pays_other_money(&order.provider, price, "USD");
            }
            Fault::SecondPaymentDropped => {
                fake.customer_pays(&order.provider);
                fake.customer_pays_again(&order.provider);
            }
            Fault::LateMoneyKept => {
                assert!(shop.cancel(buyer, &order).await);
                fake.customer_pays(&order.provider);
            }
            // The provider sends two events about the payment.
            Fault::EventIdTrusted => {
                fake.customer_pays(&order.provider);
            }
            Fault::EachSourceCounts => {
                let returned = fake.customer_pays(&order.provider);
                fake.faults().next("GET", "/orders/", payments::Fault::Slow(SLOW_RESPONSE));
                // The buyer returns from the form, and the webhook arrives while the server waits for the provider's
                // response.
                let webhooks = async {
                    until("a request to the provider", async || (fake.faults().planned() == 0).then_some(()))
                        .await;
                    self.send_all().await;
                };
                let (response, ()) = join(shop.come_back(buyer, &order, &returned), webhooks).await;
                assert!(response.is_some(), "the buyer got no response");
            }
            Fault::GrantOutside => {
                fake.customer_pays(&order.provider);
                world.abort_at("order.purchase-made");
                fake.webhooks().send_all().await;
                assert!(revive(world).await, "the server did not abort");
            }
            Fault::RefundNotListed | Fault::GrantedAgain => {
                let returned = fake.customer_pays(&order.provider);
                let captured = self.send_all().await;
                let purchase = shop.until_granted(buyer, &order, &returned).await;
                if fault == Fault::GrantedAgain {
                    shop.until_refunded(&purchase, None).await;
                    self.until_over(world).await;
                    fake.webhooks().send(&captured).await;
                } else {
                    // The server aborts after the provider has refunded, and before the server records the refund.
                    world.abort_at("order.refund-sent");
                    let _ = shop.refund(&purchase, Some(0), &Uuid::new_v4().to_string()).await;
                    assert!(revive(world).await, "the server did not abort");
                    self.until_over(world).await;
                    // The provider's webhooks about the refund never arrive, so the server does not learn about the
                    // refund from them.
                    let _ = fake.webhooks().take();
                }
            }
            other => panic!("{other:?} is not a fault of orders"),
        }
        fake.webhooks().send_all().await;
    }

    /// Sends all webhooks that the fake keeps, and returns the webhook about the captured payment.
    async fn send_all(&self) -> UnsentWebhook {
        let events = self.fake.webhooks().take();
        for event in &events {
            self.fake.webhooks().send(event).await;
        }
        events.into_iter().find(|event| event.kind == "payment.captured").expect("a captured payment")
    }

    /// Waits until no order and no refund of the buyer is under way, but at most [`MAX_SCENE_TIME`].
    async fn until_over(&self, world: &World) {
        let buyer = self.buyer;
        let open = format!(
            "SELECT id FROM orders WHERE user_id = {buyer} AND state IN ('pending', 'paid', 'refunding') UNION SELECT \
             r.order_id FROM payment_refunds r JOIN orders o ON o.id = r.order_id WHERE o.user_id = {buyer} AND \
             r.status = 'requested'"
        );
        let connection = world.connect().await;
        let started = Instant::now();
        while started.elapsed() < MAX_SCENE_TIME && !world.numbers(&connection, &open).await.is_empty() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        connection.close().await.expect("closing");
    }
}

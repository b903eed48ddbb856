//! One visit of a buyer to the shop.

use futures_util::future::join;
use jishu_tests::payments::{CheckoutReturn, FakeRazorpay};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use super::shop::{PlacedOrder, Shop};

/// What a buyer does with an order, or what happens to its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Pays,
    /// The first payment fails, and the second succeeds.
    FailsFirst,
    /// The bank approves the payment late, so the provider does not capture the payment. The server must capture it.
    BankIsLate,
    /// The buyer pays nothing, so the order expires.
    Leaves,
    Cancels,
    /// The buyer cancels the order, and pays it nevertheless.
    CancelsAndPays,
    /// The buyer makes the same order with another idempotency key in another tab, and pays both orders.
    PaysInTwoTabs,
    /// Support refunds the whole purchase.
    IsRefunded,
    /// Support refunds one subject.
    IsRefundedInPart,
    /// Somebody refunds the payment at the provider's console.
    IsRefundedAtConsole,
    LosesMoneyByDispute,
    DisputesInVain,
}

impl Deed {
    /// All deeds, each with its percentage of the visits.
    const ALL: [(Self, u32); 12] = [
        (Self::Pays, 40),
        (Self::FailsFirst, 8),
        (Self::BankIsLate, 8),
        (Self::Leaves, 5),
        (Self::Cancels, 3),
        (Self::CancelsAndPays, 4),
        (Self::PaysInTwoTabs, 5),
        (Self::IsRefunded, 10),
        (Self::IsRefundedInPart, 8),
        (Self::IsRefundedAtConsole, 4),
        (Self::LosesMoneyByDispute, 3),
        (Self::DisputesInVain, 2),
    ];

    fn random(random: &mut StdRng) -> Self {
        Self::ALL.choose_weighted(random, |(_, part)| *part).expect("there are some").0
    }
}

/// A buyer in the shop.
pub(super) struct Visit<'a> {
    pub(super) shop: &'a Shop,
    pub(super) fake: &'a FakeRazorpay,
    pub(super) buyer: i64,
    pub(super) random: &'a mut StdRng,
}

impl Visit<'_> {
    /// Makes one order or two, and plays a random deed. Returns the number of orders.
    pub(super) async fn run(&mut self) -> usize {
        let deed = Deed::random(self.random);
        let places: &[usize] = match self.random.random_range(0..4) {
            _ if deed == Deed::IsRefundedInPart => &[0, 1],
            0 => &[0],
            1 => &[2, 1],
            2 => &[0, 1, 2],
            _ => &[1],
        };
        let order = self.place(places).await;
        let (shop, fake, buyer) = (self.shop, self.fake, self.buyer);
        match deed {
            Deed::Pays => self.pay(&order).await,
            Deed::FailsFirst => {
                fake.customer_fails(&order.provider, "payment_timed_out");
                self.pay(&order).await;
            }
            Deed::BankIsLate => {
                let returned = fake.customer_pays_uncaptured(&order.provider);
                self.come_back(&order, &returned).await;
            }
            Deed::Leaves => {}
            Deed::Cancels | Deed::CancelsAndPays => {
                shop.cancel(buyer, &order).await;
                if deed == Deed::CancelsAndPays {
                    self.pay(&order).await;
                }
            }
            Deed::PaysInTwoTabs => {
                let other = self.place(places).await;
                fake.customer_pays(&other.provider);
                self.pay(&order).await;
                return 2;
            }
            Deed::IsRefunded | Deed::IsRefundedInPart => {
                let returned = fake.customer_pays(&order.provider);
                let purchase = shop.until_granted(buyer, &order, &returned).await;
                let place = (deed == Deed::IsRefundedInPart).then_some(places[0]);
                shop.until_refunded(&purchase, place).await;
            }
            Deed::IsRefundedAtConsole => {
                let returned = fake.customer_pays(&order.provider);
                fake.refund_at_console(&returned.payment_id, amount(fake, &returned));
                self.come_back(&order, &returned).await;
            }
            Deed::LosesMoneyByDispute | Deed::DisputesInVain => {
                let returned = fake.customer_pays(&order.provider);
                self.come_back(&order, &returned).await;
                let dispute = fake.customer_disputes(&returned.payment_id, amount(fake, &returned));
                fake.decide_dispute(&dispute, deed == Deed::DisputesInVain);
            }
        }
        1
    }

    /// Makes an order. About every fourth buyer sends the same checkout twice at once.
    async fn place(&mut self, places: &[usize]) -> PlacedOrder {
        let key = Uuid::new_v4().to_string();
        let place = || self.shop.place(self.buyer, &key, places);
        if !self.random.random_ratio(1, 4) {
            return place().await;
        }
        let (first, second) = join(place(), place()).await;
        assert_eq!((&first.id, &first.provider), (&second.id, &second.provider), "one key made two orders");
        first
    }

    async fn pay(&mut self, order: &PlacedOrder) {
        let returned = self.fake.customer_pays(&order.provider);
        self.come_back(order, &returned).await;
    }

    /// Sends `confirmPayment` as the page does when the buyer returns from the form: never, once, or twice at once.
    async fn come_back(&mut self, order: &PlacedOrder, returned: &CheckoutReturn) {
        let come_back = || self.shop.come_back(self.buyer, order, returned);
        match self.random.random_range(0..3) {
            0 => {}
            1 => drop(come_back().await),
            _ => drop(join(come_back(), come_back()).await),
        }
    }
}

fn amount(fake: &FakeRazorpay, returned: &CheckoutReturn) -> i64 {
    fake.read_books(|books| books.payment(&returned.payment_id).amount)
}

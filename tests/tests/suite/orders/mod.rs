//! Orders: payments at fakes of Razorpay and Stripe or by hand, late payments and events, requests at the same time,
//! refunds, and decisions of support.

mod basics;
mod elsewhere;
mod late;
mod manual;
mod money;
mod races;
mod refunds;
mod stripe;

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_service::integrity;
use jishu_tests::payments::{FakeRazorpay, UnsentWebhook};
use jishu_tests::{Backend, Client, PurchaseInput, TestApp, TestCourse, wait_for};
use serde_json::{Value, json};

pub(crate) const CHECKOUT: &str = "mutation ($input: CheckoutInput!) { checkout(input: $input) { outcome
    order { id status receiptNumber provider total { amount } lines { subject { name } price { amount } } purchase { id } }
    payment { provider publicKey providerOrderId clientSecret amount { amount currency } }
    owned { id } userErrors { __typename code message path } } }";
const ORDER: &str = "query ($id: ID!) { node(id: $id) { ... on Order { status statusReason
    purchase { status cost { amount } subjects { name } } disputedAt
    refunds { amount { amount } status reason } } } }";
const CONFIRM: &str = "mutation ($input: ConfirmPaymentInput!) { confirmPayment(input: $input) {
    order { status } userErrors { code message path } } }";
const CANCEL: &str =
    "mutation ($id: ID!) { cancelOrder(orderId: $id) { order { status } userErrors { code } } }";
pub(crate) const RESOLVE: &str = "mutation ($input: ResolveOrderInput!) { resolveOrder(input: $input) {
    order { status } userErrors { code message } } }";

/// A server that takes payments at a fake of Razorpay, with a course, a learner and a member of support.
pub(crate) struct World {
    pub(crate) app: Arc<TestApp>,
    pub(crate) fake: FakeRazorpay,
    pub(crate) course: TestCourse,
    pub(crate) learner: Client,
    pub(crate) support: Client,
}

/// An order that a test has made.
pub(crate) struct MadeOrder {
    /// The global id of the order.
    pub(crate) id: String,
    /// The id of the order at the payment provider.
    pub(crate) provider: String,
}

/// Makes a test of each function on each database. Each test gets a new [`World`].
macro_rules! in_a_world {
    ($($name:ident),+ $(,)?) => {
        in_a_world!(@ sqlite, Sqlite, $($name),+);
        in_a_world!(@ postgres, Postgres, $($name),+);
        in_a_world!(@ mariadb, MariaDb, $($name),+);
    };
    (@ $module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::orders::World::run(jishu_tests::Backend::$backend, super::$name).await;
                }
            )+
        }
    };
}
pub(crate) use in_a_world;

/// Returns the flags of a server that takes payments at this fake of Razorpay.
pub(crate) fn flags(fake: &FakeRazorpay) -> Vec<String> {
    [
        "--payments=razorpay".to_owned(),
        format!("--payment-key={}", FakeRazorpay::KEY_ID),
        format!("--payment-secret={}", FakeRazorpay::KEY_SECRET),
        format!("--payment-webhook-secret={}", FakeRazorpay::WEBHOOK_SECRET),
        format!("--payment-account={}", FakeRazorpay::ACCOUNT),
        format!("--payment-url={}", fake.address()),
        "--order-alerts=shop@example.com".to_owned(),
    ]
    .into()
}

/// Asserts that the rows of the database do not contradict each other.
pub(crate) async fn assert_consistent(app: &TestApp) {
    let found = integrity::examine(app.connection()).await.expect("the database can be examined");
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
}

impl World {
    pub(crate) async fn run(backend: Backend, test: impl AsyncFnOnce(Self)) {
        let fake = FakeRazorpay::start().await;
        let flags = flags(&fake);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        TestApp::run_with(backend, &flags, async |app| {
            let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
            // A token of `staff` is valid for longer than any test moves the clock. So `staff` makes the learner, too.
            let learner = app.staff("Asha", Role::Learner).await;
            let support = app.staff("Sam", Role::Support).await;
            fake.webhooks().send_to(app.url("/webhooks/payments/razorpay"));
            test(Self { app, fake, course, learner, support }).await;
        })
        .await;
    }

    /// Sends a checkout as this client, and returns its payload.
    pub(crate) async fn checkout_as(&self, client: &Client, input: &PurchaseInput) -> Value {
        let mut selection = input.json().clone();
        let fields = selection.as_object_mut().expect("an object");
        let (cost, key) = (fields.remove("cost"), fields.remove("idempotencyKey"));
        let mut input = json!({ "selection": selection });
        for (name, value) in [("cost", cost), ("idempotencyKey", key)] {
            if let Some(value) = value {
                input[name] = value;
            }
        }
        client.run_with(CHECKOUT, json!({ "input": input })).await.at("/checkout").clone()
    }

    /// Checks out as the learner, and returns the new order.
    pub(crate) async fn order(&self, input: PurchaseInput) -> MadeOrder {
        self.order_of(&self.learner, input).await
    }

    pub(crate) async fn order_of(&self, client: &Client, input: PurchaseInput) -> MadeOrder {
        let made = self.checkout_as(client, &input).await;
        assert_eq!((&made["outcome"], &made["userErrors"]), (&json!("CREATED"), &json!([])), "{made:#}");
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made:#}")).to_owned();
        MadeOrder { id: text(&made["order"]["id"]), provider: text(&made["payment"]["providerOrderId"]) }
    }

    /// Sends all webhooks that the fake has queued. The server must accept all of them.
    pub(crate) async fn deliver(&self) {
        for status in self.fake.webhooks().send_all().await {
            assert_eq!(status, Some(200));
        }
    }

    /// Reads an order as support does.
    pub(crate) async fn read(&self, order: &MadeOrder) -> Value {
        self.support.run_with(ORDER, json!({ "id": order.id })).await.at("/node").clone()
    }

    /// Returns the id of the purchase of an order.
    pub(crate) async fn purchase_of(&self, order: &MadeOrder) -> String {
        let document = "query ($id: ID!) { node(id: $id) { ... on Order { purchase { id } } } }";
        let read = self.support.run_with(document, json!({ "id": order.id })).await;
        read.text("/node/purchase/id").to_owned()
    }

    /// Waits until an order has this status, and returns the order.
    pub(crate) async fn wait_for(&self, order: &MadeOrder, status: &str) -> Value {
        wait_for(&format!("{status} of {}", order.id), async || {
            let order = self.read(order).await;
            (order["status"] == status).then_some(order)
        })
        .await
    }

    /// Waits until all refunds of an order have this status, and returns the order.
    pub(crate) async fn wait_for_refunds(&self, order: &MadeOrder, status: &str) -> Value {
        wait_for(&format!("refunds of {} with {status}", order.id), async || {
            // A webhook may report that a refund is settled, so each check first delivers the queued webhooks.
            self.deliver().await;
            let order = self.read(order).await;
            let refunds = order["refunds"].as_array().expect("a list");
            let all = !refunds.is_empty() && refunds.iter().all(|refund| refund["status"] == status);
            all.then_some(order)
        })
        .await
    }

    pub(crate) async fn resolve(&self, order: &MadeOrder, resolution: &str) -> Value {
        let input = json!({ "orderId": order.id, "resolution": resolution, "reason": "As agreed by phone" });
        let answer = self.support.run_with(RESOLVE, json!({ "input": input })).await;
        answer.at("/resolveOrder").clone()
    }

    /// Asserts that support must decide about an order, and that its purchase has not ended.
    pub(crate) async fn assert_support_decides(&self, order: &MadeOrder, otherwise: &str) {
        let asked = self.read(order).await;
        assert_eq!(
            (&asked["status"], &asked["purchase"]["status"]),
            (&json!("NEEDS_ATTENTION"), &json!("ACTIVE")),
            "{otherwise}"
        );
    }

    /// Counts the cards of all learners.
    pub(crate) async fn cards(&self) -> i64 {
        self.app.number("SELECT COUNT(*) FROM mock_test_attempts").await
    }

    /// Asserts that the rows of the database do not contradict each other. Asserts that the provider has kept the price
    /// of each granted subject that was not refunded.
    pub(crate) async fn assert_books(&self) {
        assert_consistent(&self.app).await;
        let value = "SELECT COALESCE(SUM(e.price_paid), 0) FROM entitlements e JOIN orders o ON o.purchase_id = \
                     e.purchase_id LEFT JOIN refund_lines l ON l.purchase_id = e.purchase_id AND l.subject_id = \
                     e.subject_id WHERE l.refund_id IS NULL";
        let value = match self.app.backend {
            Backend::Sqlite => value.to_owned(),
            Backend::Postgres => value
                .replace("COALESCE(SUM(e.price_paid), 0)", "CAST(COALESCE(SUM(e.price_paid), 0) AS BIGINT)"),
            Backend::MariaDb => value
                .replace("COALESCE(SUM(e.price_paid), 0)", "CAST(COALESCE(SUM(e.price_paid), 0) AS SIGNED)"),
        };
        assert_eq!(
            self.fake.books().kept(),
            self.app.number(&value).await,
            "the provider has not kept as much money as the granted subjects cost that were not refunded"
        );
    }

    /// Returns a webhook with a changed body. The fake signs the new body when it sends the webhook.
    pub(crate) fn forged(&self, event: &UnsentWebhook, change: impl FnOnce(&mut Value)) -> UnsentWebhook {
        let mut body = event.json();
        change(&mut body);
        UnsentWebhook { body: body.to_string().into_bytes(), ..event.clone() }
    }
}

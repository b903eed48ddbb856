//! A fake of Stripe: <https://docs.stripe.com/api>.
//!
//! The fake is not based on the PyPI package `localstripe`. That package refuses the parameters
//! `automatic_payment_methods` and `description`, has no idempotency keys and no disputes, sends no events of refunds
//! and cancellations, and waits a second before each webhook.

mod api;
mod books;
mod customer;
mod objects;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub use books::{StripeBooks, StripeCharge, StripeDispute, StripeIntent, StripeRefund};
use serde_json::{Value, json};

use super::faults::Faults;
use super::server::{FakeServer, SeenRequest};
use super::sign::hmac_hex;
use super::webhooks::{Outbox, UnsentWebhook};

/// A clock: a function that returns the time in seconds since 1970.
type Seconds = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A running fake of Stripe. Dropping this value stops the fake.
pub struct FakeStripe {
    account: Arc<Account>,
    server: FakeServer,
}

/// The application's account at the fake of Stripe.
struct Account {
    books: Mutex<StripeBooks>,
    outbox: Outbox,
    webhook_secrets: Arc<Mutex<Vec<String>>>,
    clock: Arc<Mutex<Seconds>>,
    next_id: AtomicUsize,
    refunds_settle_later: Mutex<bool>,
    /// The outcomes of requests by their idempotency keys.
    outcomes: Mutex<BTreeMap<String, Outcome>>,
}

/// The outcome of the first request with an idempotency key, with the path and the body of this request.
#[derive(Clone)]
struct Outcome {
    path: String,
    body: Vec<u8>,
    status: u16,
    answer: Value,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeStripe {
    /// The publishable key of the API.
    pub const PUBLISHABLE_KEY: &str = "pk_test_FakePublishableKey";
    /// The secret key of the API.
    pub const SECRET_KEY: &str = "sk_test_FakeSecretKey";
    /// The secret that signs webhooks, until [`Self::sign_with`] changes it.
    pub const WEBHOOK_SECRET: &str = "whsec_fake_stripe_webhook_secret";

    /// Starts a fake with an empty account.
    pub async fn start() -> Self {
        let webhook_secrets = Arc::new(Mutex::new(vec![Self::WEBHOOK_SECRET.to_owned()]));
        let clock: Arc<Mutex<Seconds>> = Arc::new(Mutex::new(Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
            i64::try_from(since.as_secs()).expect("a time that fits i64")
        })));
        let (secrets, time) = (webhook_secrets.clone(), clock.clone());
        let outbox = Outbox::new(Arc::new(move |event: &UnsentWebhook| {
            // Each attempt to send an event is signed with the time of that attempt.
            let at = lock(&time).clone()().to_string();
            let signatures: Vec<String> = lock(&secrets)
                .iter()
                .map(|secret| format!("v1={}", hmac_hex(secret, &[at.as_bytes(), b".", &event.body])))
                .collect();
            vec![
                ("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned()),
                (
                    "Stripe-Signature".to_owned(),
                    format!("t={at},{},v0={}", signatures.join(","), "0".repeat(64)),
                ),
            ]
        }));
        let account = Arc::new(Account {
            books: Mutex::default(),
            outbox,
            webhook_secrets,
            clock,
            next_id: AtomicUsize::new(1),
            refunds_settle_later: Mutex::new(false),
            outcomes: Mutex::default(),
        });
        let server = FakeServer::start(account.clone()).await;
        Self { account, server }
    }

    /// Returns the URL of the fake: `http://` with the address and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.server.address
    }

    /// Returns the faults of the fake, so that a test can plan more faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Returns the outbox with the webhooks of the fake.
    #[must_use]
    pub fn webhooks(&self) -> &Outbox {
        &self.account.outbox
    }

    /// Returns all requests that arrived, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.server.seen()
    }

    /// Returns a copy of the books.
    #[must_use]
    pub fn books(&self) -> StripeBooks {
        self.account.books().clone()
    }

    /// Signs all further webhooks with each of these secrets, as Stripe does for a day after a rotation.
    pub fn sign_with(&self, secrets: &[&str]) {
        *lock(&self.account.webhook_secrets) = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    }

    /// Takes the time of signatures and objects from a clock of a test, in seconds since 1970.
    pub fn use_clock(&self, seconds: impl Fn() -> i64 + Send + Sync + 'static) {
        *lock(&self.account.clock) = Arc::new(seconds);
    }

    /// Leaves new refunds pending, until [`Self::settle_refund`] or [`Self::fail_refund`] is called.
    pub fn settle_refunds_later(&self) {
        *lock(&self.account.refunds_settle_later) = true;
    }

    /// Forgets the outcomes of all idempotency keys, as Stripe may do after a day.
    pub fn forget_idempotency_keys(&self) {
        lock(&self.account.outcomes).clear();
    }
}

impl Account {
    fn books(&self) -> std::sync::MutexGuard<'_, StripeBooks> {
        lock(&self.books)
    }

    fn now(&self) -> i64 {
        lock(&self.clock).clone()()
    }

    /// Makes an id: a prefix, an underscore and 21 characters.
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_3Fake{:016}", self.next_id.fetch_add(1, Ordering::SeqCst))
    }

    /// Puts a webhook event with a snapshot of this object into the outbox.
    fn emit(&self, kind: &str, object: &Value) {
        let id = self.id("evt");
        let body = objects::event(&id, kind, object, self.now());
        self.outbox.put(UnsentWebhook {
            kind: kind.to_owned(),
            event_id: id,
            // Stripe sends JSON with line breaks and indentation.
            body: serde_json::to_vec_pretty(&body).expect("JSON"),
        });
    }

    fn emit_intent(&self, kind: &str, books: &StripeBooks, intent: &str) {
        self.emit(kind, &objects::intent(books.intent(intent), None));
    }

    fn emit_charge(&self, kind: &str, books: &StripeBooks, intent: &str) {
        let intent = books.intent(intent);
        if let Some(charge) = &intent.charge {
            self.emit(kind, &objects::charge(charge, intent));
        }
    }
}

/// Returns the body of an error response of the API.
fn error(kind: &str, code: Option<&str>, message: &str) -> Value {
    json!({ "error": { "type": kind, "code": code, "message": message, "doc_url": null, "param": null } })
}
